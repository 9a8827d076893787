"""Files of keys: there completely or not at all, after a power cut too.

`create` never shows a half-written file and never replaces one; `replace` shows the old
content or the new; `overwrite` leaves nothing of the old content. All return after the
disk has it. Copy-on-write file systems and flash keep old blocks where no program
reaches them; what is overwritten here was sealed by a root key for that reason.

Raises OSError as the system gives it; callers say what it means for them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def create(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600; raises FileExistsError when there is one, whoever was first."""
    make_directory(path.parent)
    draft = path.parent / f".draft-{secrets.token_hex(8)}"
    _write(draft, data, os.O_CREAT | os.O_EXCL)
    try:
        # A hard link, unlike a rename, fails when the name is taken.
        os.link(draft, path)
    finally:
        draft.unlink()
    sync_directory(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Put other content in the place of a file, whole or not at all; the old content is overwritten.

    One process at a time may (`alone`); what a broken-off one left behind goes with `discard_leftovers`.
    """
    discard_leftovers(path)
    draft, former = _draft(path), _former(path)
    _write(draft, data, os.O_CREAT | os.O_EXCL)
    try:
        os.link(path, former)
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)
    # Only now is the new content durable, and the old one may go.
    discard_leftovers(path)


def discard_leftovers(path: Path) -> None:
    """Overwrite and remove what a replacement that was broken off left: old content or the draft."""
    for leftover in (_former(path), _draft(path)):
        if not leftover.exists():
            continue
        if not (path.exists() and path.samefile(leftover)):
            overwrite(leftover)
        leftover.unlink()
        sync_directory(path.parent)


def overwrite(path: Path) -> None:
    """Write random octets over the whole content, sync, and leave the file empty."""
    size_bytes = path.stat().st_size
    if size_bytes:
        _write(path, secrets.token_bytes(size_bytes), 0)
    _write(path, b"", os.O_TRUNC)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for the same from changing files of a directory meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700 and its parents, each durable in the one above."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Make names added to or taken from a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _former(path: Path) -> Path:
    return path.with_name(f"{path.name}.former")


def _draft(path: Path) -> Path:
    # One name a file, so that whoever comes next finds what was left lying.
    return path.with_name(f".{path.name}.draft")


def _write(path: Path, data: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, FILE_MODE)
    with os.fdopen(descriptor, "wb", closefd=True) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
