"""Where wrapped keys are kept, and the one place from which they can be taken for ever.

A key store holds small sealed blobs by name. A name is given to one key, once; only how
that key is sealed may be replaced, when the root changes. Destroying
leaves a tombstone, so that "destroyed" and "never there" stay two answers and the
name is never used again.

`DirectoryKeyStore` keeps a file per name. Destroying renames it to its tombstone
(from then on nobody gets it), overwrites it and leaves it empty; a destruction that
was broken off is finished by repeating it. Backups of the directory must live at
most BACKUP_DAYS_MAX, or destroying means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from keys import durable_file
from keys.errors import KeyDestroyed, KeyExists, KeyNotFound, KeyStoreUnavailable

NAME_BYTES_MAX = 200
"""Tenant id, date and version take about 60; with the suffix of a tombstone it stays a legal file name."""

DATA_BYTES_MAX = 16384
"""A wrapped key is under 100 octets, and a few kilobytes when a key service adds its own frame."""

BACKUP_DAYS_MAX = 7
"""DESIGN 5: backups of a key store live at most this long; then no copy of a destroyed key is left."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*")
TOMBSTONE_SUFFIX = ".destroyed"  # a dot is no part of a name, so that no name looks like a tombstone


class KeyStore(Protocol):
    """Names to sealed keys. Every method raises KeyStoreUnavailable when the store can't do its work."""

    @property
    def erasure(self) -> str:
        """What happens to a key that is destroyed, as a certificate of destruction says it: "was ..."."""

    def put(self, name: str, data: bytes) -> None:
        """Store durably under a new name; raises KeyExists or KeyDestroyed when it was used before."""

    def replace(self, name: str, data: bytes) -> None:
        """Put another sealing of the same key in its place, whole or not at all.

        Raises KeyNotFound or KeyDestroyed; a name that was destroyed stays dead.
        """

    def get(self, name: str) -> bytes:
        """Return what was stored; raises KeyNotFound or KeyDestroyed."""

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the names that begin with `prefix` and are not destroyed, sorted."""

    def destroyed(self) -> tuple[str, ...]:
        """Return the names of the keys that were destroyed, sorted."""

    def destroy(self, name: str) -> None:
        """Take the key away for ever, durably; repeatable. Raises KeyNotFound if it never was there."""


class DirectoryKeyStore:
    """A key store in a directory of its own, one file of mode 0600 per key."""

    erasure = "overwritten in the directory of the key store, and its file emptied"

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, data: bytes) -> None:
        """Store durably under a new name; raises KeyExists or KeyDestroyed when it was used before."""
        data, path = checked_data(data), self._file(name)
        with _availability(f"store the key {name}"):
            self._refuse_destroyed(name)
            try:
                durable_file.create(path, data)
            except FileExistsError:
                raise KeyExists(f"The key {name} is stored already and is never replaced.") from None
            if self._tombstone(name).exists():
                # It was destroyed between the look and the creation: the name stays dead.
                path.unlink(missing_ok=True)
                self._refuse_destroyed(name)

    def replace(self, name: str, data: bytes) -> None:
        """Put another sealing of the same key in its place; raises KeyNotFound or KeyDestroyed."""
        data, path = checked_data(data), self._file(name)
        with _availability(f"replace the key {name}"), durable_file.alone(self._path):
            self._refuse_destroyed(name)
            if not path.exists():
                raise self._not_found(name)
            durable_file.replace(path, data)

    def get(self, name: str) -> bytes:
        """Return what was stored; raises KeyNotFound or KeyDestroyed."""
        with _availability(f"read the key {name}"):
            self._refuse_destroyed(name)
            try:
                return self._file(name).read_bytes()
            except FileNotFoundError:
                # It may have been destroyed between the look and the reading.
                self._refuse_destroyed(name)
                raise self._not_found(name) from None

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the names that begin with `prefix` and are not destroyed, sorted."""
        names = self._files(self._path / prefix.rpartition("/")[0])
        return tuple(sorted(name for name in names if name.startswith(prefix) and _NAME.fullmatch(name)))

    def destroyed(self) -> tuple[str, ...]:
        """Return the names of the keys that were destroyed, sorted."""
        return names_of_tombstones(self._files(self._path))

    def destroy(self, name: str) -> None:
        """Take the key away for ever, durably; repeatable. Raises KeyNotFound if it never was there."""
        path, tombstone = self._file(name), self._tombstone(name)
        with _availability(f"destroy the key {name}"), durable_file.alone(self._path):
            if not tombstone.exists():
                try:
                    path.rename(tombstone)
                except FileNotFoundError:
                    if not tombstone.exists():
                        raise self._not_found(name) from None
            durable_file.sync_directory(path.parent)
            durable_file.discard_leftovers(path)
            durable_file.overwrite(tombstone)

    def _files(self, folder: Path) -> tuple[str, ...]:
        with _availability("list its keys"):
            # An absent directory is an outage of the store, not a store without keys.
            self._path.stat()
            paths = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
        return tuple(path.relative_to(self._path).as_posix() for path in paths)

    def _file(self, name: str) -> Path:
        return self._path / checked_name(name)

    def _tombstone(self, name: str) -> Path:
        path = self._file(name)
        return path.with_name(path.name + TOMBSTONE_SUFFIX)

    def _refuse_destroyed(self, name: str) -> None:
        if self._tombstone(name).exists():
            raise KeyDestroyed(name)

    def _not_found(self, name: str) -> KeyNotFound:
        # An absent directory is an outage of the store; only one that is there has not got a key.
        self._path.stat()
        return KeyNotFound(f"The key store has no key {name}: is it the store of this archive?")


def is_name(text: str) -> bool:
    """Tell whether a text may be the name of a key."""
    return len(text) <= NAME_BYTES_MAX and _NAME.fullmatch(text) is not None


def names_of_tombstones(found: Iterable[str]) -> tuple[str, ...]:
    """Return the names of keys whose tombstones are among what a store holds, sorted."""
    names = (each.removesuffix(TOMBSTONE_SUFFIX) for each in found if each.endswith(TOMBSTONE_SUFFIX))
    return tuple(sorted(name for name in names if is_name(name)))


def checked_name(name: str) -> str:
    """Return a name as it is; raises ValueError for what is none."""
    if not is_name(name):
        raise ValueError(
            f"A key name is letters, digits, '-' and '_' between slashes, at most {NAME_BYTES_MAX}."
        )
    return name


def checked_data(data: bytes) -> bytes:
    """Return what is to be stored as it is; raises ValueError outside 1 to DATA_BYTES_MAX octets."""
    if not 1 <= len(data) <= DATA_BYTES_MAX:
        raise ValueError(f"A stored key has 1 to {DATA_BYTES_MAX} octets, this one has {len(data)}.")
    return data


@contextmanager
def _availability(purpose: str) -> Iterator[None]:
    """Turn what the operating system says into the error of a key store."""
    try:
        yield
    except OSError as error:
        raise KeyStoreUnavailable(
            f"The key store can't {purpose}: {error.strerror}. Check directory, rights and free space."
        ) from error
