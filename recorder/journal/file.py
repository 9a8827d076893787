"""One journal file being written: its descriptor, and how far it is written and synced.

Rules: only appended to, by one thread; `sync` may run in another. After one failed
write or sync a file is never written or synced again, as the kernel may have thrown
away what it could not store.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recorder.journal.format import FILE_HEADER_BYTES, FILE_SUFFIX, file_header

_PLACES = 1024  # to begin with; doubled when more calls stand in a file
_PARTS_MAX = 1024  # IOV_MAX of Linux


class JournalFile:
    """An epoch: a file this process began and no other will write to."""

    def __init__(self, directory: Path, epoch: int, created_ns: int, opened_at: float) -> None:
        """Create the file; raises OSError."""
        self.epoch = epoch
        self.created_ns = created_ns
        self.opened_at = opened_at
        self.path = directory / f"epoch-{epoch:08d}{FILE_SUFFIX}"
        self.name = f"{directory.name}/{self.path.name}"
        self.places: dict[bytes, int] = {}
        self.offsets = np.zeros(_PLACES, np.int64)
        self.failure: OSError | None = None
        self.synced = 0
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self.size = os.write(self._descriptor, file_header(created_ns))
        except OSError:
            self.discard()
            raise
        self.position = FILE_HEADER_BYTES

    def place(self, uid: bytes) -> int:
        """Return the number of a call in this file: where `offsets` holds its newest frame, 0 for none."""
        place = self.places.get(uid)
        if place is None:
            place = self.places[uid] = len(self.places)
            if place == len(self.offsets):
                self.offsets = np.concatenate((self.offsets, np.zeros_like(self.offsets)))
        return place

    def tail(self, uid: bytes) -> int | None:
        """Return the offset of a call's newest frame; 0 in a file that failed, as nobody knows."""
        place = self.places.get(uid)
        if place is None or not self.offsets[place]:
            return None
        return int(self.offsets[place]) if self.failure is None else 0

    def tails(self) -> dict[bytes, int]:
        """Return the tails of all calls that stand in this file."""
        found = {uid: self.tail(uid) for uid in self.places}
        return {uid: tail for uid, tail in found.items() if tail is not None}

    def write(self, parts: Sequence[bytes]) -> None:
        """Append all parts, or note the failure."""
        try:
            for first in range(0, len(parts), _PARTS_MAX):
                self._write_some(parts[first : first + _PARTS_MAX])
        except OSError as error:
            self.failure = error

    def _write_some(self, parts: Sequence[bytes]) -> None:
        written = os.writev(self._descriptor, parts)
        self.size += written
        if written == sum(map(len, parts)):
            return
        # A disk that is nearly full takes a part first; asking again brings the reason as an error.
        rest = b"".join(parts)[written:]
        while rest:
            written = os.write(self._descriptor, rest)
            self.size += written
            rest = rest[written:]

    def sync(self) -> None:
        """Make what is written durable, the file's name included, or note the failure."""
        size = self.size
        if self.failure is not None or size == self.synced:
            return
        try:
            os.fdatasync(self._descriptor)
            if self.synced == 0:
                _sync_directory(self.path.parent)
        except OSError as error:
            self.failure = error
            return
        self.synced = size

    def close(self) -> None:
        """Close the descriptor; the file stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Close and remove a file in which nothing could be written."""
        self.close()
        self.path.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
