"""A package as one zip, laid out before a byte is sent: any range of it can be asked for.

Nothing is compressed (sound in FLAC is already), so that with the name, length and CRC
of each file the place of every byte is known. Whoever downloads goes on after a break
with a range, and nothing is stored twice for it.

The layout is that of PKWARE's APPNOTE 6.3.10 with the ZIP64 records always there, so
that packages of more than 4 GiB are no other case. Times are fixed: the same files give
the same zip. The one exception is the first file of an ASiC-E container, which may have no
such record (ETSI EN 319 162-1, A.1) and needs none.

Rules: pure. Who reads gives the octets of the files; this gives the octets between.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from archive.errors import Refused
from archive.evidence.bag import FILES_COUNT_MAX, check_name

NEEDED = 45
"""Version 4.5 of the format: ZIP64."""

NEEDED_PLAIN = 10
"""Version 1.0: nothing but a file that is stored."""

UTF_8 = 0x0800
DATE, TIME = 0x0021, 0
"""1 January 1980, the first moment the format knows."""

_NOT_HERE_32, _NOT_HERE_16 = 0xFFFFFFFF, 0xFFFF
_ZIP64 = 0x0001
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3 << 8

Read = Callable[[str, int, int], Iterable[bytes]]
"""Gives the octets `first` to `last_exclusive` of a file by its name, in any pieces."""


@dataclass(frozen=True)
class ZipEntry:
    """A file of a zip: its name, length, and CRC-32 (ISO 3309); a `plain` one stands first, without ZIP64."""

    name: str
    size_bytes: int
    crc32: int
    plain: bool = False


class ZipLayout:
    """Where everything in a zip stands."""

    def __init__(self, entries: Iterable[ZipEntry]) -> None:
        """Lay out the files in the order given; raises Refused for a bad name, none, or too many."""
        self._entries = tuple(entries)
        if not 1 <= len(self._entries) <= FILES_COUNT_MAX:
            raise Refused(f"A zip of a package has 1 to {FILES_COUNT_MAX} files.")
        for entry in self._entries:
            check_name(entry.name)
        if len({entry.name for entry in self._entries}) != len(self._entries):
            raise Refused("A zip of a package has no file twice.")
        if any(entry.plain for entry in self._entries[1:]):
            raise Refused("In a zip of a package only the first file is a plain one.")
        headers = [_local_header(entry) for entry in self._entries]
        lengths = (len(h) + e.size_bytes for h, e in zip(headers, self._entries, strict=True))
        starts = list(accumulate(lengths, initial=0))
        self._headers = tuple(headers)
        self._starts = tuple(starts)
        self._directory = _directory(self._entries, self._starts)

    @property
    def size_bytes(self) -> int:
        """The length of the whole zip."""
        return self._starts[-1] + len(self._directory)

    def read(self, first: int, last_exclusive: int, read: Read) -> Iterator[bytes]:
        """Yield the octets `first` to `last_exclusive` of the zip; ValueError outside it."""
        if not 0 <= first <= last_exclusive <= self.size_bytes:
            raise ValueError(f"The zip has {self.size_bytes} octets.")
        for entry, header, start in zip(self._entries, self._headers, self._starts, strict=False):
            end = start + len(header) + entry.size_bytes
            if end <= first:
                continue
            if start >= last_exclusive:
                return
            yield header[max(first - start, 0) : max(last_exclusive - start, 0)]
            content = start + len(header)
            begin, stop = max(first, content) - content, min(last_exclusive, end) - content
            if begin < stop:
                yield from read(entry.name, begin, stop)
        directory = self._starts[-1]
        if last_exclusive > directory:
            yield self._directory[max(first - directory, 0) : last_exclusive - directory]


def _local_header(entry: ZipEntry) -> bytes:
    name = entry.name.encode()
    if entry.plain:
        sizes = (entry.crc32, entry.size_bytes, entry.size_bytes, len(name), 0)
        return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", NEEDED_PLAIN, 0, 0, TIME, DATE, *sizes) + name
    extra = struct.pack("<HHQQ", _ZIP64, 16, entry.size_bytes, entry.size_bytes)
    sizes = (entry.crc32, _NOT_HERE_32, _NOT_HERE_32, len(name), len(extra))
    return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", NEEDED, UTF_8, 0, TIME, DATE, *sizes) + name + extra


def _directory(entries: tuple[ZipEntry, ...], starts: tuple[int, ...]) -> bytes:
    central = b"".join(_central_header(entry, start) for entry, start in zip(entries, starts, strict=False))
    place, end = starts[-1], starts[-1] + len(central)
    count = len(entries)
    zip64 = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, _UNIX | NEEDED, NEEDED, 0, 0, count, count, len(central), place
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    few = min(count, _NOT_HERE_16)
    closing = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, few, few, min(len(central), _NOT_HERE_32), _NOT_HERE_32, 0
    )
    return central + zip64 + locator + closing


def _central_header(entry: ZipEntry, start: int) -> bytes:
    name = entry.name.encode()
    if entry.plain:
        fixed = struct.pack(
            "<4sHHHHHHIII", b"PK\x01\x02", _UNIX | NEEDED_PLAIN, NEEDED_PLAIN, 0, 0, TIME, DATE,
            entry.crc32, entry.size_bytes, entry.size_bytes,
        )  # fmt: skip
        return fixed + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, _REGULAR_FILE, start) + name
    extra = struct.pack("<HHQQQ", _ZIP64, 24, entry.size_bytes, entry.size_bytes, start)
    fixed = struct.pack(
        "<4sHHHHHHIII", b"PK\x01\x02", _UNIX | NEEDED, NEEDED, UTF_8, 0, TIME, DATE,
        entry.crc32, _NOT_HERE_32, _NOT_HERE_32,
    )  # fmt: skip
    lengths = struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, _REGULAR_FILE, _NOT_HERE_32)
    return fixed + lengths + name + extra
