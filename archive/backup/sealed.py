"""A backup under seal: the dump is read, and the backup believed, only with the root of the keys.

Each backup has a random key of its own, wrapped by the root and kept in the manifest. It
seals the dump, in the format of sealed objects (`docs/archive-format.md`), and it seals what
the manifest says: the SHA-256 of SHA256SUMS in it reaches every file, so that nobody
without the root can alter a backup, or make one, that a restore takes for ours.

Rules: the dump stands on no disk unsealed, neither when it is made nor when it is restored.
Not here: the files of a backup (`archive.backup.folder`), and its term.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from archive.backup.folder import DUMP, MANIFEST, MANIFEST_SEAL, Manifest, bounded, checked
from archive.errors import Refused, VerificationFailed
from keys.binding import length_prefixed
from keys.envelope import new_key
from keys.errors import SealBroken
from keys.root import Root
from keys.streaming_aead import (
    FIRST_SEGMENT_BYTES,
    HEADER_BYTES,
    SEGMENT_BYTES,
    SealPin,
    SegmentOpener,
    commitment,
    seal_stream,
)

_ROOT_CONTEXT = b"earwitness-backup/2\x00"
_DUMP, _TOLD = "earwitness-backup-database/2", "earwitness-backup-manifest/2"


@dataclass(frozen=True)
class BackupKey:
    """The key of one backup in memory, and wrapped by the root."""

    made_at: datetime
    wrapped: bytes
    key: bytes = field(repr=False)

    def seal_dump(self, pieces: Iterable[bytes], target: Path) -> SealPin:
        """Write a dump that comes in pieces into a new file, sealed."""
        target.touch(mode=0o600, exist_ok=False)
        with target.open("wb") as file:
            return seal_stream(self.key, self._bound_to(_DUMP), pieces, file.write)

    def open_dump(self, source: Path, pin: SealPin) -> Iterator[bytes]:
        """Yield the dump in pieces, each verified before it is given; raises VerificationFailed."""
        with source.open("rb") as file:
            try:
                opener = SegmentOpener(self.key, self._bound_to(_DUMP), file.read(HEADER_BYTES), pin)
                first, size_bytes = 0, FIRST_SEGMENT_BYTES
                for _ in range(pin.segments):
                    last = min(first + size_bytes, pin.plaintext_bytes)
                    start, stop = opener.ciphertext_range(first, last)
                    yield opener.open(file.read(stop - start), first, last)
                    first, size_bytes = last, SEGMENT_BYTES
            except SealBroken as error:
                raise VerificationFailed(f"{source} was altered: use another backup.") from error

    def seal_of(self, manifest: bytes) -> bytes:
        """Return what stands beside a manifest, and what only this key gives for it."""
        return commitment(self.key, self._bound_to(_TOLD) + manifest).encode() + b"\n"

    def _bound_to(self, what: str) -> bytes:
        return length_prefixed(what) + length_prefixed(_moment(self.made_at))


@dataclass(frozen=True)
class OpenedBackup:
    """A backup that is whole, within its term, and made by who has the root."""

    folder: Path
    manifest: Manifest
    key: BackupKey

    def dump(self) -> Iterator[bytes]:
        """Yield the dump of the database in pieces; raises VerificationFailed before an altered one."""
        return self.key.open_dump(self.folder / DUMP, self.manifest.database)


def make_key(root: Root, made_at: datetime) -> BackupKey:
    """Return a new key for the backup of that moment; raises KeyringLocked, KeyStoreUnavailable."""
    key = new_key()
    return BackupKey(made_at, root.wrap(key, _context(made_at)), key)


def open_backup(folder: Path, root: Root, now: datetime) -> OpenedBackup:
    """Return a backup after it was found whole, before anything of it is used.

    Raises Refused when its term is over, it was made by another release or the root is not the
    one it was sealed by; VerificationFailed naming what was altered.
    """
    manifest = checked(folder, now)
    made_at = manifest.made_at
    try:
        wrapped = bytes.fromhex(manifest.key)
        key = BackupKey(made_at, wrapped, root.unwrap(wrapped, _context(made_at)))
    except (SealBroken, ValueError) as error:
        raise Refused(
            f"{folder} does not open by this keyring: it was sealed by another one, or altered. Name the "
            "keyring of the time it was made."
        ) from error
    try:
        told, sealed = bounded(folder / MANIFEST), bounded(folder / MANIFEST_SEAL)
    except OSError as error:
        raise VerificationFailed(f"{error.filename} is missing: use another backup.") from None
    if not hmac.compare_digest(sealed, key.seal_of(told)):
        raise VerificationFailed(f"{folder / MANIFEST} was altered by somebody without the keyring.")
    return OpenedBackup(folder, manifest, key)


def _context(made_at: datetime) -> bytes:
    return _ROOT_CONTEXT + _moment(made_at).encode()


def _moment(made_at: datetime) -> str:
    return made_at.astimezone(UTC).isoformat()
