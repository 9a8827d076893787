"""How large the journal is and how far back it goes, for whoever runs the recorder.

Rules: reads the heads of files only. A file in which nothing stands yet is of no age.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recorder.journal.format import FILE_HEADER_BYTES, FILE_SUFFIX, created_ns


@dataclass(frozen=True)
class Extent:
    """Octets of all files, and when the oldest one with anything in it was begun, as wall time."""

    size_bytes: int = 0
    since_ns: int | None = None


def extent_of(journal_dir: Path) -> Extent:
    """Return the extent of a journal as it is now; files that go meanwhile don't count. Raises OSError."""
    size, begun = 0, []
    for path in journal_dir.glob(f"*/*{FILE_SUFFIX}"):
        try:
            with path.open("rb") as file:
                head = file.read(FILE_HEADER_BYTES + 1)
            size += path.stat().st_size
        except FileNotFoundError:
            continue  # no live call needed it, and it went while we looked
        since = created_ns(head) if len(head) > FILE_HEADER_BYTES else None
        if since is not None:
            begun.append(since)
    return Extent(size, min(begun, default=None))
