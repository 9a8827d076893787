"""The root in a file: root keys sealed by a passphrase, for sites without a key service.

The file is JSON. A *file key* of 32 random octets is sealed by AES-256-GCM under a key
that scrypt makes of the passphrase; the file key seals the root keys, one a version.
The passphrase comes from a file of its own or from a systemd credential. Whoever has
both files has every key; their copies are the operator's to guard. *Recovery shares*
(`recovery`) give back the file key when the passphrase is lost, and open nothing
without the file.

scrypt with n = 2**17, r = 8, p = 1 (RFC 7914) takes 128 MiB and a third of a second a
guess. Files of the first form, with one root key right under the passphrase, open as
ever and become of the second form when something is added to them.

What version 1 wraps begins with 0x01 (`envelope`); later versions put
`0x02 || version (2)` before it. The newest version wraps, unless the file says which one
does: a version that was *prepared* only unwraps, until every machine has the file.

Who changes the file reads, changes and writes it alone, under a lock on its directory, and
starts from what it holds at that moment: of two commands at once neither loses what the
other added.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keys import durable_file
from keys.envelope import KEY_BYTES, new_key, unwrap_key, wrap_key
from keys.errors import KeyringLocked, SealBroken
from keys.recovery import Share, join, split

FORMAT_NAME = "earwitness-keyring/2"
FIRST_FORMAT_NAME = "earwitness-keyring/1"
SCRYPT_N = 2**17
SCRYPT_R = 8
SCRYPT_P = 1
SALT_BYTES = 32

PASSPHRASE_BYTES_MAX = 1024
"""Room for any passphrase or credential file; more is a wrong file given by mistake."""

VERSIONS_COUNT_MAX = 100
"""A version a year is usual; more of them point at a loop in the caller."""

FILE_BYTES_MAX = 32 * 1024
"""A version takes about 150 octets; more is a wrong file given by mistake."""

_LATER = b"\x02"
_VERSION_BYTES = 2


@dataclass(frozen=True)
class _Content:
    """What stands in the file; `wraps` only while a later version is prepared."""

    salt: bytes
    sealed: bytes
    versions: Mapping[int, bytes] = field(default_factory=dict)
    wraps: int | None = None

    @property
    def is_first_form(self) -> bool:
        return not self.versions


@dataclass(frozen=True)
class _Roots:
    """Root keys by version; `wraps` is the version that wraps when it is not the newest."""

    keys: Mapping[int, bytes]
    wraps: int | None = None

    @property
    def wrapping(self) -> int:
        return max(self.keys) if self.wraps is None else self.wraps

    @property
    def has_prepared(self) -> bool:
        return max(self.keys) > self.wrapping

    def prepared(self) -> _Roots:
        """Return these with one more, which does not wrap yet."""
        if len(self.keys) >= VERSIONS_COUNT_MAX:
            raise KeyringLocked(f"The keyring has {VERSIONS_COUNT_MAX} root keys: drop the former ones.")
        return _Roots({**self.keys, max(self.keys) + 1: new_key()}, self.wrapping)


class LocalKeyring:
    """A root that wraps with keys held in this process; made by `create` or `open`.

    Safe to share among threads. What another process adds to the file is seen here.
    """

    kind = "file"

    def __init__(self, root_key: bytes) -> None:
        """Hold a root key without a file, for what lives in this process alone."""
        self._lock = threading.Lock()
        self._roots = _Roots({1: root_key})
        self._path: Path | None = None
        self._file_key = b""
        self._stamp = (0, 0)

    @classmethod
    def create(cls, path: Path, passphrase: bytes) -> LocalKeyring:
        """Make a new root key, seal it into a new file of mode 0600 and return it opened.

        Raises KeyringLocked when the file exists (a second root would leave the
        archive of the first unreadable), can't be written, or the passphrase is
        empty or too long.
        """
        file_key, root_key = new_key(), new_key()
        roots = _Roots({1: root_key})
        content = _sealed(passphrase, file_key, roots)
        try:
            durable_file.create(path, _document(content))
        except FileExistsError:
            raise KeyringLocked(f"There is a keyring at {path} already; it is never replaced.") from None
        except OSError as error:
            raise KeyringLocked(f"The keyring {path} can't be written: {error.strerror}.") from error
        return cls._of_file(path, file_key, roots)

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> LocalKeyring:
        """Open the keyring in `path`; raises KeyringLocked when that can't be done, saying why."""
        content = _read(path)
        name = FIRST_FORMAT_NAME if content.is_first_form else FORMAT_NAME
        try:
            opened = unwrap_key(_stretched(passphrase, content.salt), content.sealed, name.encode())
            if content.is_first_form:
                return cls._of_file(path, b"", _Roots({1: opened}))
            return cls._of_file(path, opened, _opened(opened, content))
        except SealBroken:
            raise KeyringLocked(f"The keyring {path} does not open with this passphrase.") from None

    @classmethod
    def recover(cls, path: Path, shares: Sequence[Share], passphrase: bytes) -> LocalKeyring:
        """Open the keyring in `path` by recovery shares, and seal it by a new passphrase.

        Raises KeyringLocked when the shares are too few or of another keyring.
        """
        file_key = join(shares)
        with _alone(path):
            try:
                roots = _opened(file_key, _read(path))
            except (SealBroken, ValueError):
                raise KeyringLocked(f"These recovery shares are not those of the keyring {path}.") from None
            _write(path, file_key, _sealed(passphrase, file_key, roots))
        return cls._of_file(path, file_key, roots)

    @classmethod
    def _of_file(cls, path: Path, file_key: bytes, roots: _Roots) -> LocalKeyring:
        keyring = cls(b"")
        keyring._path, keyring._file_key, keyring._roots = path, file_key, roots
        keyring._stamp = _stamp(path)
        return keyring

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of the root key in the file, the newest last."""
        return tuple(sorted(self._now().keys))

    @property
    def former(self) -> tuple[int, ...]:
        """The versions that only unwrap since a newer one wraps."""
        roots = self._now()
        return tuple(version for version in sorted(roots.keys) if version < roots.wrapping)

    @property
    def has_prepared(self) -> bool:
        """Whether a version waits to be the one that wraps."""
        return self._now().has_prepared

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` (1 to 4096 octets) sealed by the root key that wraps, bound to `context`."""
        roots = self._now()
        version = roots.wrapping
        sealed = wrap_key(roots.keys[version], plaintext, context)
        return sealed if version == 1 else _LATER + version.to_bytes(_VERSION_BYTES, "big") + sealed

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what `wrap` sealed; raises SealBroken for another root, context or octets."""
        version, sealed = _version(wrapped)
        root_key = self._roots.keys.get(version) or self._now().keys.get(version)
        if root_key is None:
            raise SealBroken("This was wrapped by a root key that is not in this keyring (any more).")
        return unwrap_key(root_key, sealed, context)

    def rewrapped(self, wrapped: bytes, context: bytes) -> bytes | None:
        """Return a secret wrapped by the newest version, or None when it is already."""
        secret = self.unwrap(wrapped, context)
        return None if _version(wrapped)[0] == self._now().wrapping else self.wrap(secret, context)

    def prepare(self) -> None:
        """Add a root key that only unwraps until `rotate`, unless one waits already; raises as `rotate`."""
        self._change(lambda roots: roots if roots.has_prepared else roots.prepared())

    def rotate(self) -> None:
        """Let a newer root key wrap from now on: the one that was prepared, else one that is added here.

        Raises KeyringLocked for a file of the first form, which `set_passphrase` brings
        up to date.
        """
        self._change(lambda roots: _Roots((roots if roots.has_prepared else roots.prepared()).keys))

    def drop_former(self) -> None:
        """Keep the newest root key alone: what the former ones wrapped can't be opened any more.

        Raises KeyringLocked while the newest is only prepared: it has wrapped nothing yet.
        """

        def newest_alone(roots: _Roots) -> _Roots:
            if roots.has_prepared:
                raise KeyringLocked(
                    "A root key is prepared and not in use yet: run earwitness keys rotate first."
                )
            return _Roots({roots.wrapping: roots.keys[roots.wrapping]})

        self._change(newest_alone)

    def set_passphrase(self, passphrase: bytes) -> None:
        """Seal the file by this passphrase, in the present form; recovery shares stay good.

        Raises KeyringLocked when another command brought the file up to date meanwhile.
        """
        path = self._of_path()
        with _alone(path):
            content = _read(path)
            if content.is_first_form:
                self._file_key = new_key()
                roots = self._roots
            else:
                self._require_present_form()
                roots = _opened(self._file_key, content)
            _write(path, self._file_key, _sealed(passphrase, self._file_key, roots))
        self._hold(path, roots)

    def recovery_shares(self, needed: int, count: int) -> tuple[Share, ...]:
        """Return shares of the file key; the numbers as for `recovery.split`.

        They stay good when root keys are added and the passphrase changes.
        """
        self._require_present_form()
        return split(self._file_key, needed, count)

    def _change(self, changed: Callable[[_Roots], _Roots]) -> None:
        self._require_present_form()
        path = self._of_path()
        with _alone(path):
            content = _read(path)
            roots = changed(_opened(self._file_key, content))
            sealed = _sealed_roots(self._file_key, roots)
            _write(path, self._file_key, replace(content, versions=sealed, wraps=roots.wraps))
        self._hold(path, roots)

    def _hold(self, path: Path, roots: _Roots) -> None:
        with self._lock:
            self._roots, self._stamp = roots, _stamp(path)

    def _now(self) -> _Roots:
        """Return the root keys of the file as it is now."""
        if self._path is None or not self._file_key:
            return self._roots
        with self._lock:
            stamp = _stamp(self._path)
            # A file that is away is no reason to stop: the keys are here.
            if stamp not in {self._stamp, (0, 0)}:
                self._roots, self._stamp = _opened(self._file_key, _read(self._path)), stamp
            return self._roots

    def _of_path(self) -> Path:
        if self._path is None:
            raise KeyringLocked("This root has no keyring file.")
        return self._path

    def _require_present_form(self) -> None:
        self._of_path()
        if not self._file_key:
            raise KeyringLocked(
                "This keyring is of the first form: bring it up to date with earwitness keys passphrase."
            )


def _version(wrapped: bytes) -> tuple[int, bytes]:
    """Return which version wrapped something, and what it wrapped."""
    if wrapped[:1] != _LATER:
        return 1, wrapped
    return int.from_bytes(wrapped[1 : 1 + _VERSION_BYTES], "big"), wrapped[1 + _VERSION_BYTES :]


def _sealed(passphrase: bytes, file_key: bytes, roots: _Roots) -> _Content:
    salt = secrets.token_bytes(SALT_BYTES)
    sealed = wrap_key(_stretched(passphrase, salt), file_key, FORMAT_NAME.encode())
    return _Content(salt, sealed, _sealed_roots(file_key, roots), roots.wraps)


def _sealed_roots(file_key: bytes, roots: _Roots) -> dict[int, bytes]:
    return {version: _seal_root(file_key, version, key) for version, key in roots.keys.items()}


def _opened(file_key: bytes, content: _Content) -> _Roots:
    return _Roots(
        {
            version: unwrap_key(file_key, sealed, _root_context(version))
            for version, sealed in content.versions.items()
        },
        content.wraps,
    )


def _seal_root(file_key: bytes, version: int, root_key: bytes) -> bytes:
    return wrap_key(file_key, root_key, _root_context(version))


def _root_context(version: int) -> bytes:
    return f"{FORMAT_NAME} root {version}".encode()


def _document(content: _Content) -> bytes:
    document = {
        "format": FORMAT_NAME,
        "salt": base64.b64encode(content.salt).decode(),
        "sealed": base64.b64encode(content.sealed).decode(),
        "roots": {
            str(version): base64.b64encode(sealed).decode() for version, sealed in content.versions.items()
        },
        **({} if content.wraps is None else {"wraps": content.wraps}),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _write(path: Path, file_key: bytes, content: _Content) -> None:
    """Put other content in the place of the file, and see that it opens before anything is wrapped by it."""
    with _file(path, "written"):
        durable_file.replace(path, _document(content))
    if _opened(file_key, _read(path)) != _opened(file_key, content):
        raise KeyringLocked(f"The keyring {path} does not hold what was written: restore it from its copy.")


def _read(path: Path) -> _Content:
    """Return what stands in a keyring file of either form."""
    with _file(path, "read"), path.open("rb") as file:
        text = file.read(FILE_BYTES_MAX + 1)
    try:
        document = json.loads(text) if len(text) <= FILE_BYTES_MAX else None
        if not isinstance(document, dict) or document.get("format") not in {FORMAT_NAME, FIRST_FORMAT_NAME}:
            raise KeyringLocked(f"{path} is not a keyring of the format {FORMAT_NAME}.")
        of_first_form = document["format"] == FIRST_FORMAT_NAME
        roots = {} if of_first_form else {int(n): _octets(text) for n, text in document["roots"].items()}
        if not of_first_form:
            max(roots)  # a ValueError when there is none
        wraps = document.get("wraps")
        _ = wraps is None or roots[wraps]  # a KeyError when that one is not there
        return _Content(_octets(document["salt"]), _octets(document["sealed"]), roots, wraps)
    except (ValueError, KeyError, AttributeError):
        raise KeyringLocked(f"{path} is not a keyring, or was damaged: restore it from its copy.") from None


def _octets(text: object) -> bytes:
    return base64.b64decode(str(text), validate=True)


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when the file is replaced, zeros when it is away."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other commands from changing the file until this one has."""
    with ExitStack() as locks:
        with _file(path, "locked"):
            locks.enter_context(durable_file.alone(path.parent))
        yield


@contextmanager
def _file(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyringLocked(f"The keyring {path} can't be {done}: {error.strerror}.") from error


def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    if not 1 <= len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise KeyringLocked(f"The passphrase of a keyring has 1 to {PASSPHRASE_BYTES_MAX} octets.")
    return Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)
