"""A security module as root, spoken to by PKCS#11: the key is made there and never leaves it.

KEYRING is a PKCS#11 URI (RFC 7512): `pkcs11:token=NAME;object=KEY?module-path=FILE`. The
key is an AES key of 256 bits with that label, sensitive and not extractable; its versions
are keys of the same label whose CKA_ID is their number in two octets. Secrets are sealed
in the token by CKM_AES_GCM with our context as associated data, and kept as
`0x12 || version (2) || nonce (12) || ciphertext and tag`.

Proved with SoftHSM 2.6. A module that makes the nonces of GCM itself refuses ours, and
does not serve as root.

Rules: sessions of PKCS#11 are for one thread; one session is shared under a lock and
opened again when the module dropped it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast
from urllib.parse import parse_qsl, unquote

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11 import exceptions as refusals
from pkcs11.mechanisms import GCMParams

from keys.envelope import NONCE_BYTES, SECRET_BYTES_MAX
from keys.errors import KeyringLocked, KeyStoreUnavailable, SealBroken

KEY_BITS = 256
TAG_BYTES = 16

VERSIONS_COUNT_MAX = 1000
"""A version a year is usual; more of them point at a loop in the caller."""

_FORMAT = b"\x12"
_VERSION_BYTES = 2
_HEADER_BYTES = len(_FORMAT) + _VERSION_BYTES + NONCE_BYTES
_FORM = "A keyring pkcs11: has the form pkcs11:token=NAME;object=KEY?module-path=FILE."

_LOGIN = (
    refusals.PinIncorrect,
    refusals.PinInvalid,
    refusals.PinLenRange,
    refusals.PinExpired,
    refusals.PinLocked,
    refusals.UserPinNotInitialized,
)

_T = TypeVar("_T")


class _Key(Protocol):
    """What is asked of an AES key in a token."""

    id: bytes

    def encrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes:
        """Return ciphertext and tag."""

    def decrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes:
        """Return the plaintext, once its tag verified."""


@dataclass(frozen=True)
class Place:
    """Where a key is: the library of the module, the token, and the label of the key."""

    module: str
    token: str
    label: str

    @classmethod
    def parse(cls, uri: str) -> Place:
        """Read a PKCS#11 URI; raises KeyringLocked with the form it must have."""
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        fields = dict(part.partition("=")[::2] for part in path.split(";") if part)
        module = dict(parse_qsl(query)).get("module-path", "")
        token, label = unquote(fields.get("token", "")), unquote(fields.get("object", ""))
        if not (module and token and label):
            raise KeyringLocked(_FORM)
        return cls(module, token, label)


class SecurityModule:
    """A root that is a key in a token; safe to share among threads."""

    kind = "pkcs11"

    def __init__(self, place: Place, pin: str) -> None:
        self._place = place
        self._pin = pin
        self._lock = threading.Lock()
        self._session: pkcs11.Session | None = None

    def __repr__(self) -> str:
        return f"SecurityModule({self._place.token}/{self._place.label})"

    @classmethod
    def open(cls, uri: str, pin: bytes) -> SecurityModule:
        """Return the root for a PKCS#11 URI; the module is not asked yet. Raises KeyringLocked."""
        return cls(Place.parse(uri), pin.decode(errors="replace").strip())

    def ensure_key(self) -> None:
        """Make the first version of the key in the token when there is none."""

        def make(session: pkcs11.Session) -> None:
            if not self._keys(session):
                self._generate(session, 1)

        self._with_session(make, writing=True)

    def rotate(self) -> None:
        """Make a new version of the key in the token."""

        def make(session: pkcs11.Session) -> None:
            version = max(self._keys(session), default=0) + 1
            if version > VERSIONS_COUNT_MAX:
                raise KeyringLocked(f"The token has {VERSIONS_COUNT_MAX} versions of the key: look at why.")
            self._generate(session, version)

        self._with_session(make, writing=True)

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed in the token and bound to `context`."""
        if not 1 <= len(plaintext) <= SECRET_BYTES_MAX:
            raise ValueError(f"A secret to wrap has 1 to {SECRET_BYTES_MAX} octets, not {len(plaintext)}.")

        def seal(session: pkcs11.Session) -> bytes:
            keys = self._keys(session)
            if not keys:
                raise KeyringLocked("The token has no key of that label: run earwitness install.")
            version = max(keys)
            nonce = secrets.token_bytes(NONCE_BYTES)
            sealed = _encrypt(keys[version], plaintext, nonce, context)
            return _FORMAT + version.to_bytes(_VERSION_BYTES, "big") + nonce + sealed

        return self._with_session(seal)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another key, context or octets."""
        version = _version(wrapped)
        nonce, sealed = wrapped[_HEADER_BYTES - NONCE_BYTES : _HEADER_BYTES], wrapped[_HEADER_BYTES:]

        def unseal(session: pkcs11.Session) -> bytes:
            key = self._keys(session).get(version)
            if key is None:
                raise SealBroken("The token does not hold the key that wrapped this.")
            try:
                return bytes(
                    key.decrypt(
                        sealed, mechanism=Mechanism.AES_GCM, mechanism_param=_parameters(nonce, context)
                    )
                )
            except (refusals.GeneralError, refusals.EncryptedDataInvalid, refusals.SignatureInvalid) as error:
                # SoftHSM says "general error" of a tag that does not verify; a module that is
                # broken says so too, and can't do this either.
                _encrypt(key, nonce, secrets.token_bytes(NONCE_BYTES), context)
                raise SealBroken("The token refuses it: altered, or wrapped by another key.") from error

        return self._with_session(unseal)

    def rewrapped(self, wrapped: bytes, context: bytes) -> bytes | None:
        """Return a secret wrapped by the newest version, or None when it is already."""
        secret = self.unwrap(wrapped, context)
        newest = self._with_session(lambda session: max(self._keys(session)))
        return None if _version(wrapped) == newest else self.wrap(secret, context)

    def close(self) -> None:
        """End the session with the module; the next use opens another."""
        with self._lock:
            self._close()

    def _keys(self, session: pkcs11.Session) -> dict[int, _Key]:
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._place.label}
        found = (cast("_Key", each) for each in session.get_objects(wanted))
        return {int.from_bytes(bytes(key.id), "big"): key for key in found}

    def _generate(self, session: pkcs11.Session, version: int) -> None:
        session.generate_key(
            KeyType.AES,
            KEY_BITS,
            id=version.to_bytes(_VERSION_BYTES, "big"),
            label=self._place.label,
            store=True,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )

    def _with_session(self, act: Callable[[pkcs11.Session], _T], *, writing: bool = False) -> _T:
        """Do something with the token, once more on a new session when the module dropped ours."""
        with self._lock:
            for last in (False, True):
                try:
                    return act(self._opened(writing=writing))
                except _LOGIN as error:
                    raise KeyringLocked(
                        "The token refuses the PIN: check KEYRING_PASSPHRASE_FILE."
                    ) from error
                except refusals.PKCS11Error as error:
                    self._close()
                    if last:
                        raise KeyStoreUnavailable(
                            f"The security module can't do it ({type(error).__name__}): is it there?"
                        ) from error
                finally:
                    if writing:
                        self._close()
        raise AssertionError

    def _opened(self, *, writing: bool) -> pkcs11.Session:
        if self._session is None:
            self._session = self._open(writing=writing)
        elif writing:
            self._close()
            self._session = self._open(writing=True)
        return self._session

    def _open(self, *, writing: bool) -> pkcs11.Session:
        try:
            library = pkcs11.lib(self._place.module)
        except (RuntimeError, OSError) as error:
            raise KeyringLocked(
                f"The library {self._place.module} can't be loaded: check KEYRING."
            ) from error
        try:
            token = library.get_token(token_label=self._place.token)
        except (refusals.NoSuchToken, refusals.TokenNotPresent) as error:
            raise KeyringLocked(f"The module has no token {self._place.token}: check KEYRING.") from error
        try:
            return token.open(rw=writing, user_pin=self._pin)
        except refusals.UserAlreadyLoggedIn:
            # Another root of this process has a session; logging in is for all of them together.
            return token.open(rw=writing)

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except refusals.PKCS11Error:
                return


def _encrypt(key: _Key, plaintext: bytes, nonce: bytes, context: bytes) -> bytes:
    parameters = _parameters(nonce, context)
    return bytes(key.encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))


def _parameters(nonce: bytes, context: bytes) -> GCMParams:
    return GCMParams(nonce=nonce, aad=context, tag_bits=TAG_BYTES * 8)


def _version(wrapped: bytes) -> int:
    most = _HEADER_BYTES + TAG_BYTES + SECRET_BYTES_MAX
    if wrapped[:1] != _FORMAT or not _HEADER_BYTES + TAG_BYTES < len(wrapped) <= most:
        raise SealBroken("This was not wrapped by a security module.")
    return int.from_bytes(wrapped[1 : 1 + _VERSION_BYTES], "big")
