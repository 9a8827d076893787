"""A backup on disk: what it holds, how it is proved whole, and until when it may live.

    earwitness-backup-20261122T100000Z/
        database.sealed   of pg_dump, custom format, sealed under the key of this backup
        keys/             the key store as it is: sealed keys, and tombstones of destroyed ones
        SHA256SUMS        of every file above; `sha256sum --check` reads it
        manifest.json     when, by which release, of what, the wrapped key, the SHA-256 of SHA256SUMS
        manifest.sha256   of the manifest; it stands in the audit log too
        manifest.seal     of the manifest, by the key of this backup (`archive.backup.sealed`)

Rules: no name, no number and no hash of a password stands in it in clear. Folders 0700,
files 0600. A folder is made under another name and renamed when it is complete. It holds
copies of keys, so it lives seven days at most (`TERM`): the next backup in the same place
destroys it, and no drill restores from it after. Only folders with a manifest of ours are
ever removed. What an older release made in clear (`CLEAR_FORMAT`) is restored by no one, and
destroyed at its term like all others.

Not here: sealing and opening (`archive.backup.sealed`); what the root of the keys is sealed
by: neither keyring nor passphrase is in a backup.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from archive.catalogue.holdings import Holding
from archive.embedded.private_file import write_private
from archive.errors import Refused, VerificationFailed
from keys import durable_file
from keys.key_store import BACKUP_DAYS_MAX
from keys.streaming_aead import SealPin

_T = TypeVar("_T")

FORMAT, CLEAR_FORMAT = "earwitness backup 2", "earwitness backup 1"
TERM = timedelta(days=BACKUP_DAYS_MAX)
AHEAD_MAX = timedelta(minutes=1)
"""As far as two right clocks differ; by one that runs behind, a term would never be over."""

DUMP, KEYS, SUMS = "database.sealed", "keys", "SHA256SUMS"
MANIFEST, MANIFEST_SUM, MANIFEST_SEAL = "manifest.json", "manifest.sha256", "manifest.seal"
MANIFEST_BYTES_MAX = 16 * 1024 * 1024
"""A tenant takes some 200 octets; 80,000 of them are more than one service serves."""

_NAME = re.compile(r"earwitness-backup-\d{8}T\d{6}Z")
_UNFINISHED = re.compile(r"\.earwitness-backup-\d{8}T\d{6}Z\.unfinished")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Term:
    """Of which format a backup is, and how long it may live: what the manifests of all releases say."""

    format: str
    made_at: datetime
    destroy_by: datetime

    def is_over(self, now: datetime) -> bool:
        """Tell whether its term is over, whatever it says of it."""
        return now >= min(self.destroy_by, self.made_at + TERM)


@dataclass(frozen=True)
class Times:
    """By what backups are made and ended: this machine's time, and the one up to which terms are over.

    The second is earlier when a machine was off for a while nobody measured. What is dated ahead of this
    machine's clock is only judged where that `is_known` to be right by more than its own word.
    """

    now: datetime
    until: datetime
    is_known: bool

    def is_over(self, term: Term) -> bool:
        """Tell whether a backup ends: by its term, or because no right clock made it.

        One that is dated ahead is restored by no one, and its copies of keys would live until that date.
        """
        ahead = self.is_known and term.made_at > self.now + AHEAD_MAX
        return ahead or term.is_over(self.until)


@dataclass(frozen=True)
class Manifest(Term):
    """What a backup says of itself; no number and no name."""

    release: str
    schema: str
    bucket: str
    key: str
    """The key of this backup, wrapped by the root, in hexadecimal digits."""

    database: SealPin
    without: tuple[str, ...]
    """Tables whose rows are left out: calls under way, unkept ones too."""
    keys: int
    destroyed_keys: int
    holdings: tuple[Holding, ...]
    sums_sha256: str


_TERM, _MANIFEST = TypeAdapter(Term), TypeAdapter(Manifest)


@contextmanager
def unfinished(out: Path, now: datetime) -> Iterator[tuple[Path, Path]]:
    """Yield a folder to fill, and the name it gets when it is sealed; nothing stays when the body raises.

    One backup at a time is made in `out`: raises Refused for a second one.
    """
    final = out / f"earwitness-backup-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    draft = out / f".{final.name}.unfinished"
    with _alone(out):
        for left in out.iterdir():
            if _UNFINISHED.fullmatch(left.name) and left.is_dir() and not left.is_symlink():
                erase(left)
        if final.exists():
            raise Refused(f"{final} is there already; make the next backup in another second.")
        draft.mkdir(mode=0o700)
        try:
            yield draft, final
        except BaseException:
            erase(draft)
            raise


def finish(draft: Path, final: Path, manifest: Manifest, seal_of: Callable[[bytes], bytes]) -> str:
    """Write sums, manifest and its seal, and give the folder its name; return the SHA-256 of the manifest.

    Its `sums_sha256` is filled in here.
    """
    os.sync()  # what the sums are of is on the disk before they are
    sums = "".join(f"{sha256_of(draft / name)}  {name}\n" for name in _names(draft))
    write_private(draft / SUMS, sums.encode())
    told = _MANIFEST.dump_python(manifest, mode="json")
    told["sums_sha256"] = hashlib.sha256(sums.encode()).hexdigest()
    octets = _MANIFEST.dump_json(_MANIFEST.validate_python(told), indent=1) + b"\n"
    write_private(draft / MANIFEST, octets)
    digest = hashlib.sha256(octets).hexdigest()
    write_private(draft / MANIFEST_SUM, f"{digest}  {MANIFEST}\n".encode())
    write_private(draft / MANIFEST_SEAL, seal_of(octets))
    draft.rename(final)
    durable_file.sync_directory(final.parent)
    return digest


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a backup; raises Refused for what is none, VerificationFailed when altered."""
    octets, term = _told(folder)
    if term.format == CLEAR_FORMAT:
        raise Refused(
            f"{folder} was made by an older release, which did not seal the database; anybody could have "
            "altered it. Restore it by that release, then upgrade; or use a newer backup."
        )
    if term.format != FORMAT:
        raise Refused(f"{folder} was made by another release: {term.format}.")
    return _validated(_MANIFEST, octets, folder)


def term_of(folder: Path) -> Term:
    """Return how long a backup of any release may live; raises as `manifest_of`."""
    return _told(folder)[1]


def checked(folder: Path, now: datetime) -> Manifest:
    """Return the manifest of a backup that is whole and within its term.

    Raises Refused when its term is over or this clock stands before it, VerificationFailed naming
    the first file that is missing, altered or strange.
    """
    manifest = manifest_of(folder)
    if now < manifest.made_at - AHEAD_MAX:
        raise Refused(
            f"{folder} was made at {manifest.made_at:%Y-%m-%d %H:%M} UTC, and by this machine's clock it is "
            f"{now:%Y-%m-%d %H:%M} UTC: set the clock right."
        )
    if manifest.is_over(now):
        raise Refused(
            f"{folder} was to be destroyed by {manifest.destroy_by:%Y-%m-%d %H:%M} UTC and holds keys "
            "that may have been destroyed since: remove it, and use a newer one."
        )
    told = sums_of(folder, manifest)
    for name in sorted({*told, *_names(folder)}):
        path = folder / name
        if not path.is_file() or path.is_symlink():
            raise VerificationFailed(f"{path} is missing: use another backup.")
        if told.get(name) != sha256_of(path):
            raise VerificationFailed(f"{path} was altered or added: use another backup.")
    return manifest


def sums_of(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Return the files a manifest vouches for with their SHA-256; raises VerificationFailed."""
    try:
        sums = (folder / SUMS).read_bytes()
    except OSError:
        raise VerificationFailed(f"{folder / SUMS} is missing: use another backup.") from None
    if hashlib.sha256(sums).hexdigest() != manifest.sums_sha256:
        raise VerificationFailed(f"{folder / SUMS} was altered: use another backup.")
    return {name: digest for digest, _, name in (line.partition("  ") for line in sums.decode().splitlines())}


def remove_overdue(out: Path, times: Times) -> tuple[list[Path], list[Path]]:
    """Destroy the backups in a folder that are over; return those, and what can't be read.

    What has our name and no manifest that can be read is left to whoever put it there.
    """
    removed, unreadable = [], []
    for folder in sorted(out.iterdir()):
        if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        try:
            overdue = times.is_over(term_of(folder))
        except (Refused, VerificationFailed):
            unreadable.append(folder)
            continue
        if overdue:
            erase(folder)
            removed.append(folder)
    return removed, unreadable


def in_clear(out: Path) -> list[Path]:
    """Return the backups in a folder that an older release made, with names and numbers in clear."""
    found = []
    for folder in sorted(out.iterdir()):
        if _NAME.fullmatch(folder.name) and not folder.is_symlink() and folder.is_dir():
            with suppress(Refused, VerificationFailed):
                if term_of(folder).format == CLEAR_FORMAT:
                    found.append(folder)
    return found


def erase(folder: Path) -> None:
    """Overwrite the keys in a backup, its own too, and remove it; broken off, it is found and done again."""
    for path in (folder / KEYS).rglob("*"):
        if path.is_file() and not path.is_symlink():
            durable_file.overwrite(path)
    manifests = folder / MANIFEST, folder / MANIFEST_SUM
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path not in manifests:
            path.unlink()
    # The manifest goes last: a folder that has one is taken up by the next backup.
    for path in manifests:
        if path.is_file() and not path.is_symlink():
            durable_file.overwrite(path)
    shutil.rmtree(folder)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _names(folder: Path) -> list[str]:
    """Return the files of a backup that have a sum."""
    own = {SUMS, MANIFEST, MANIFEST_SUM, MANIFEST_SEAL}
    found = (each.relative_to(folder).as_posix() for each in folder.rglob("*") if not each.is_dir())
    return sorted(name for name in found if name not in own)


def bounded(path: Path) -> bytes:
    """Return a small file of a backup; raises OSError."""
    with path.open("rb") as file:
        return file.read(MANIFEST_BYTES_MAX)


def _told(folder: Path) -> tuple[bytes, Term]:
    """Return the octets of a manifest that were not altered by accident, and the term they tell."""
    try:
        octets, digest = bounded(folder / MANIFEST), bounded(folder / MANIFEST_SUM)
    except OSError as error:
        raise Refused(f"{folder} is no backup: {error.strerror} ({MANIFEST}).") from None
    if digest != f"{hashlib.sha256(octets).hexdigest()}  {MANIFEST}\n".encode():
        raise VerificationFailed(f"{folder / MANIFEST} was altered: use another backup.")
    return octets, _validated(_TERM, octets, folder)


def _validated(kind: TypeAdapter[_T], octets: bytes, folder: Path) -> _T:
    try:
        return kind.validate_json(octets)
    except ValidationError:
        raise VerificationFailed(f"{folder / MANIFEST} is not a manifest this release can read.") from None


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(f"Another backup is being made in {out}; wait for it.") from None
    finally:
        os.close(descriptor)
