"""The key store in a backup: copied as it is, and opened again without bringing a dead key to life.

Rules: a copy has the layout of a key store in a directory, tombstones included, so that it
can be put in the place of a lost one. What a key store that still lives says counts before
the copy: a key destroyed there since stays destroyed, and one that came since is used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from keys.errors import KeyDestroyed, KeyNotFound, KeyStoreUnavailable
from keys.key_store import TOMBSTONE_SUFFIX, DirectoryKeyStore, KeyStore


@dataclass(frozen=True)
class Copied:
    """How many keys were copied, and how many tombstones."""

    keys: int
    destroyed: int


def copy_keys(source: KeyStore, target: Path) -> Copied:
    """Copy every sealed key and every tombstone into `target`; raises KeyStoreUnavailable."""
    target.mkdir(mode=0o700)
    copied = 0
    for name in source.list(""):
        try:
            data = source.get(name)
        except (KeyDestroyed, KeyNotFound):
            continue  # destroyed since it was listed; its tombstone is found below
        _write(target / name, data)
        copied += 1
    destroyed = source.destroyed()
    for name in destroyed:
        # A key that was destroyed while we copied is not kept by the copy.
        if (target / name).exists():
            (target / name).unlink()
            copied -= 1
        _write(target / (name + TOMBSTONE_SUFFIX), b"")
    return Copied(copied, len(destroyed))


class RestoredKeys:
    """The keys a restored archive has, to read alone: those of a live store, then those of the copy."""

    erasure = "left alone: restored keys are only read"

    def __init__(self, copy: Path, live: KeyStore | None) -> None:
        """Take the folder of the copy, and the key store that still lives, if one does."""
        self._copy = DirectoryKeyStore(copy)
        self._live = live

    def get(self, name: str) -> bytes:
        """Return a sealed key; raises KeyDestroyed when either store says so, KeyNotFound."""
        if self._live is not None:
            try:
                return self._live.get(name)
            except KeyNotFound:
                pass  # the live store lost it, or it is a new one
        return self._copy.get(name)

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the names that begin with `prefix` and are destroyed in neither store, sorted."""
        live = () if self._live is None else self._live.list(prefix)
        return tuple(sorted({*live, *self._copy.list(prefix)} - set(self.destroyed())))

    def destroyed(self) -> tuple[str, ...]:
        """Return the names destroyed in either store, sorted."""
        live = () if self._live is None else self._live.destroyed()
        return tuple(sorted({*live, *self._copy.destroyed()}))

    def put(self, name: str, data: bytes) -> None:
        """Refuse: a restore that is tried out changes nothing."""
        del data
        raise _read_only(name)

    def replace(self, name: str, data: bytes) -> None:
        """Refuse: a restore that is tried out changes nothing."""
        del data
        raise _read_only(name)

    def destroy(self, name: str) -> None:
        """Refuse: a restore that is tried out changes nothing."""
        raise _read_only(name)


def _read_only(name: str) -> KeyStoreUnavailable:
    return KeyStoreUnavailable(f"A restore that is tried out changes no key, and not {name}.")


def _write(path: Path, data: bytes) -> None:
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700)  # not by `parents`, which gives them the mode of everybody's
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
