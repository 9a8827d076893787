"""How a journal file looks: a file header, then frames, each with a checked header.

    file header   magic "EWJOURN1" (8), created: wall nanoseconds (8)
    frame         magic (4), crc32 (4), body length (4), kind (2), reserved (2),
                  offset of the frame before it of the same call in this file,
                  0 for none (8), uid (16), body

Numbers are little endian. The CRC covers the header after it: with the length it finds
a torn end without a key. Every body ends with 16 octets that authenticate the content:
the tag of AES-GCM, or for INDEX the first half of a SHA-256. `previous` lets a call be
followed backwards without reading its neighbours; a file that was closed properly ends
with an INDEX frame that says where to begin for each call.

Rules: bytes only, no files. What a body says is in `recorder.journal.segment`.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from mmap import mmap
from typing import NamedTuple

from recorder.errors import DependencyUnavailable, RecorderError

FILE_MAGIC = b"EWJOURN1"
FRAME_MAGIC = b"\xf7EWj"
CHECK_BYTES = 16
UID_BYTES = 16
NO_UID = bytes(UID_BYTES)
SIGNALLING = "signalling"
FILE_SUFFIX = ".journal"
BODY_BYTES_MAX = 64 * 1024 * 1024  # far above a state with all its metadata, far below a torn length

_FILE_HEADER = struct.Struct("<8sQ")
_FRAME_HEAD = struct.Struct("<4sIIHHQ16s")
_CHECKED = struct.Struct("<IHHQ16s")
_PREFIX = struct.Struct("<4sI")
_INDEX_ENTRY = struct.Struct("<16sQ")
FILE_HEADER_BYTES = _FILE_HEADER.size
FRAME_HEAD_BYTES = _FRAME_HEAD.size


class JournalError(RecorderError):
    """Something is wrong with a journal; what could be read was read."""


class JournalUnavailable(DependencyUnavailable):
    """The disk of the journal, or its lock, can't be had: take no calls until it can."""


class FrameKind(IntEnum):
    """What a frame's body is."""

    SEGMENT_KEY = 1
    AUDIO = 2
    STATE = 3
    INDEX = 4
    COPIED = 5


Buffer = bytes | memoryview | mmap


class FrameHead(NamedTuple):
    """A frame as its header describes it; `offset` is where the header begins."""

    kind: int
    uid: bytes
    previous: int
    offset: int
    end: int

    @property
    def body(self) -> slice:
        """Where the body stands in the file."""
        return slice(self.offset + FRAME_HEAD_BYTES, self.end)


def file_header(created_ns: int) -> bytes:
    """Return the first octets of a file."""
    return _FILE_HEADER.pack(FILE_MAGIC, created_ns)


def created_ns(content: Buffer) -> int | None:
    """Return when a file was begun, or None when it is no journal file."""
    if len(content) < FILE_HEADER_BYTES:
        return None
    magic, created = _FILE_HEADER.unpack_from(content)
    return int(created) if magic == FILE_MAGIC else None


def frame_head(kind: int, uid: bytes, body_bytes: int, previous: int) -> bytes:
    """Return the header that goes before a body of `body_bytes` octets."""
    checked = _CHECKED.pack(body_bytes, kind, 0, previous, uid)
    return _PREFIX.pack(FRAME_MAGIC, zlib.crc32(checked)) + checked


def read_head(content: Buffer, offset: int) -> FrameHead | None:
    """Return the frame at `offset`, or None when no whole frame stands there."""
    if offset < FILE_HEADER_BYTES or offset + FRAME_HEAD_BYTES + CHECK_BYTES > len(content):
        return None
    magic, crc, length, kind, _, previous, uid = _FRAME_HEAD.unpack_from(content, offset)
    end = offset + FRAME_HEAD_BYTES + length
    if magic != FRAME_MAGIC or not CHECK_BYTES <= length <= BODY_BYTES_MAX or end > len(content):
        return None
    if zlib.crc32(content[offset + _PREFIX.size : offset + FRAME_HEAD_BYTES]) != crc:
        return None
    return FrameHead(kind, uid, previous, offset, end)


def scan(content: mmap) -> Iterator[FrameHead]:
    """Walk all whole frames; a damaged stretch is passed over to the next frame that is whole."""
    offset = FILE_HEADER_BYTES
    while offset != -1:
        head = read_head(content, offset)
        if head is None:
            offset = content.find(FRAME_MAGIC, offset + 1)
            continue
        yield head
        offset = head.end


def follow(content: Buffer, tail: int, uid: bytes) -> list[FrameHead] | None:
    """Return the frames of a call in order, walking back from `tail`; None when the chain is broken."""
    found: list[FrameHead] = []
    offset = tail
    while offset:
        head = read_head(content, offset)
        if head is None or head.uid != uid or head.previous >= offset:
            return None
        found.append(head)
        offset = head.previous
    found.reverse()
    return found


def index_body(tails: Mapping[bytes, int], offset: int) -> bytes:
    """Return the body of the INDEX frame that will stand at `offset`: where each call ends."""
    body = b"".join(_INDEX_ENTRY.pack(uid, tail) for uid, tail in tails.items()) + struct.pack("<Q", offset)
    return body + hashlib.sha256(body).digest()[:CHECK_BYTES]


def tails(content: mmap) -> dict[bytes, int]:
    """Return the offset of the last frame of each call, from the INDEX or else by walking the file."""
    indexed = _indexed_tails(content)
    if indexed is not None:
        return indexed
    return {head.uid: head.offset for head in scan(content) if head.kind != FrameKind.INDEX}


def _indexed_tails(content: mmap) -> dict[bytes, int] | None:
    if len(content) < FILE_HEADER_BYTES + FRAME_HEAD_BYTES + 8 + CHECK_BYTES:
        return None
    (offset,) = struct.unpack_from("<Q", content, len(content) - CHECK_BYTES - 8)
    head = read_head(content, offset)
    if head is None or head.kind != FrameKind.INDEX or head.end != len(content):
        return None
    body = content[head.body]
    if hashlib.sha256(body[:-CHECK_BYTES]).digest()[:CHECK_BYTES] != body[-CHECK_BYTES:]:
        return None
    return dict(_INDEX_ENTRY.iter_unpack(body[: -CHECK_BYTES - 8]))
