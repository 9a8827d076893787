"""A folder as the shelf of a package: what somebody takes away on a disk of their own.

Rules: a file appears under its name only when it is whole and durable. After a crash
everything is written again; what is in the way of nothing listed is removed at the end.
Sound leaves the archive by this, so that only who takes it out decides where the folder is.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from archive.evidence.bag import BagFile, Origin

_PARTIAL_SUFFIX = ".partial"


class FolderShelf:
    """Puts files below one folder, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def put(self, name: str, chunks: Iterable[bytes], origin: Origin | None) -> None:
        """Write a file; durable under its name when this returns."""
        del origin  # a folder is taken away: it needs its own octets
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + _PARTIAL_SUFFIX)
        with partial.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def part(self, prefix: str) -> tuple[BagFile, ...]:
        """Return nothing: a folder can be written by anybody, so that all of it is made again."""
        del prefix
        return ()

    def finish(self, prefix: str, files: tuple[BagFile, ...]) -> None:
        """Do nothing: each file was durable when it was put."""

    def settle(self, names: Collection[str]) -> None:
        """Remove every other file, and folders that are left empty."""
        known = {self._folder / name for name in names}
        for path in sorted(self._folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in known:
                path.unlink()
