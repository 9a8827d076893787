"""The top of the chain of keys: something that wraps and unwraps, and never shows its key.

`open_root` reads the KEYRING setting:

    file:PATH                            a file, sealed by a passphrase (`local_keyring`)
    kms:arn:aws:kms:REGION:ACCOUNT:key/ID    AWS KMS (`kms`)
    vault:https://HOST:PORT/MOUNT/KEY    the transit engine of HashiCorp Vault (`vault_transit`)
    pkcs11:token=NAME;object=KEY?module-path=FILE    a security module (`security_module`)

Each is imported only when it is named, so that nobody needs the libraries of another.

Rules: every root binds what it wraps to a context and refuses another one; the first
octet of what it gives tells its kind. `KEYRING_FORMER` names the root that was used
before while everything is wrapped anew (`Moving`). Not here: doing that (`rotation`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from keys.errors import KeyringLocked, KeysError, SealBroken

FORMS = "file:PATH, kms:KEY-ARN, vault:https://HOST:PORT/MOUNT/KEY or pkcs11:token=NAME;object=KEY"


class Root(Protocol):
    """Wraps short secrets; only the same root with the same context unwraps them."""

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed and bound to `context`; ValueError outside that.

        Raises KeyringLocked, KeyStoreUnavailable when a key service is away.
        """

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another root, context or octets.

        Raises KeyringLocked, KeyStoreUnavailable when a key service is away.
        """


class RotatingRoot(Root, Protocol):
    """A root whose key has versions, so that it can be replaced while everything goes on."""

    @property
    def kind(self) -> str:
        """What sort of root it is, for people: `file`, `kms`, `vault` or `pkcs11`."""

    def rotate(self) -> None:
        """Make a new version; what is wrapped from now on is wrapped by it.

        Raises KeyringLocked when this root is rotated where it is kept, saying how.
        """

    def rewrapped(self, wrapped: bytes, context: bytes) -> bytes | None:
        """Return a secret wrapped by the newest version, or None when it is already."""


@runtime_checkable
class RootWithKeyToMake(Protocol):
    """A root whose key can be made from here, where it is kept."""

    def ensure_key(self) -> None:
        """Make the key when there is none."""


class Moving:
    """A new root while secrets of the former one are still about: wraps by the new, unwraps by either."""

    def __init__(self, root: RotatingRoot, former: Root) -> None:
        self._root = root
        self._former = former

    @property
    def kind(self) -> str:
        """The kind of the new root."""
        return self._root.kind

    def rotate(self) -> None:
        """Make a new version of the new root."""
        self._root.rotate()

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` sealed by the new root."""
        return self._root.wrap(plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what either root sealed; raises SealBroken when it was neither."""
        try:
            return self._root.unwrap(wrapped, context)
        except (SealBroken, KeyringLocked) as refusal:
            # AWS says of what another key wrapped that access is denied.
            return self._by_former(wrapped, context, refusal)

    def rewrapped(self, wrapped: bytes, context: bytes) -> bytes | None:
        """Return a secret wrapped by the newest version of the new root, or None when it is already."""
        try:
            return self._root.rewrapped(wrapped, context)
        except (SealBroken, KeyringLocked) as refusal:
            return self._root.wrap(self._by_former(wrapped, context, refusal), context)

    def _by_former(self, wrapped: bytes, context: bytes, refusal: KeysError) -> bytes:
        try:
            return self._former.unwrap(wrapped, context)
        except SealBroken:
            raise refusal from None


def open_root(url: str, secret: bytes | None) -> RotatingRoot:
    """Open the root a KEYRING setting names; `secret` is the passphrase, token or PIN that opens it.

    A key service is not asked before it is needed. Raises KeyringLocked, naming the
    setting to change, when the root can't be opened.
    """
    kind, separator, place = url.partition(":")
    if not separator or not place or kind not in {"file", "kms", "vault", "pkcs11"}:
        raise KeyringLocked(f"KEYRING has the form {FORMS}.")
    if kind == "kms":
        return _open_kms(place)
    if not secret:
        raise KeyringLocked(
            f"A keyring {kind}: is opened by a secret: set KEYRING_PASSPHRASE_FILE to a file with its "
            + {"file": "passphrase.", "vault": "token.", "pkcs11": "PIN."}[kind]
        )
    if kind == "vault":
        from keys.vault_transit import VaultTransit  # noqa: PLC0415 - see the rules above

        return VaultTransit.open(place, secret)
    if kind == "pkcs11":
        return _open_security_module(url, secret)
    from keys.local_keyring import LocalKeyring  # noqa: PLC0415

    return LocalKeyring.open(Path(place), secret)


def _open_kms(arn: str) -> RotatingRoot:
    from keys.kms import AwsKms  # noqa: PLC0415

    return AwsKms.open(arn)


def _open_security_module(url: str, pin: bytes) -> RotatingRoot:
    try:
        from keys.security_module import SecurityModule  # noqa: PLC0415
    except ImportError as error:
        raise KeyringLocked(
            "A keyring pkcs11: needs the package python-pkcs11: install earwitness[pkcs11]."
        ) from error
    return SecurityModule.open(url, pin)
