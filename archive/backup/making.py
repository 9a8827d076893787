"""Making a backup: the database of one moment, sealed, then the key store, whose keys are sealed.

The key store comes after the database, so that it has every key a row names; a key that
was destroyed in between has its tombstone, and its recordings are gone.

Not here: the bucket. Its copies are the operator's, and have a lock of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from archive.backup.copied_keys import copy_keys
from archive.backup.dump import WITHOUT, dump
from archive.backup.folder import DUMP, FORMAT, KEYS, TERM, Manifest, finish, manifest_of, unfinished
from archive.backup.sealed import make_key
from archive.errors import Refused
from keys.key_store import KeyStore
from keys.root import Root


@dataclass(frozen=True)
class Source:
    """What is backed up."""

    administrator_url: str
    key_store: KeyStore
    root: Root
    """What the backup is sealed by; it is not in it."""

    bucket: str
    release: str


@dataclass(frozen=True)
class Backup:
    """A backup that was made."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str


def make_backup(source: Source, out: Path, now: datetime) -> Backup:
    """Make a backup in a new folder of `out`, which exists.

    Raises Refused, DependencyUnavailable, KeyStoreUnavailable, KeyringLocked; then nothing of it stays.
    """
    key = make_key(source.root, now)
    with unfinished(out, now) as (draft, final):
        dumped, pin = dump(source.administrator_url, lambda pieces: key.seal_dump(pieces, draft / DUMP))
        copied = copy_keys(source.key_store, draft / KEYS)
        manifest = Manifest(
            format=FORMAT,
            made_at=now,
            destroy_by=now + TERM,
            release=source.release,
            schema=dumped.schema,
            bucket=source.bucket,
            key=key.wrapped.hex(),
            database=pin,
            without=WITHOUT,
            keys=copied.keys,
            destroyed_keys=copied.destroyed,
            holdings=dumped.holdings,
            sums_sha256="",
        )
        digest = finish(draft, final, manifest, key.seal_of)
    return Backup(final, manifest_of(final), digest)


def refuse_within(out: Path, kept_out: dict[str, Path]) -> None:
    """Raise Refused when `out` lies in one of these folders, which are named by what they are."""
    place = out.resolve()
    for what, folder in kept_out.items():
        if place.is_relative_to(folder.resolve()):
            raise Refused(
                f"{out} lies in {what}, and would be lost together with it: name a folder on another disk."
            )
