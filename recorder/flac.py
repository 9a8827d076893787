"""FLAC metadata and frame headers (RFC 9639), as much as a SEEKTABLE needs.

A FLAC stream is the marker `fLaC`, metadata blocks, and frames. libsndfile writes
no SEEKTABLE (without one a browser hung on seeks near the end), so this module makes
one and checks each of its points against the header of the frame it names.

Rules: bytes in, bytes out; numbers are big-endian. Not here: encoding audio
(`recorder.encoding`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from recorder.errors import LocalDefect

MARKER = b"fLaC"
STREAMINFO, APPLICATION, SEEKTABLE = 0, 2, 3
BLOCK_BYTES_MAX = 2**24 - 1  # the length field of a metadata block has 24 bits (RFC 9639 section 8.1)
CHANNELS_MAX = 8  # RFC 9639 section 9.1.3

_LAST = 0x80
_POINT = struct.Struct(">QQH")
_SAMPLES_OF_CODE = {
    1: 192,
    **{code: 144 << code for code in range(2, 6)},
    **{n: 1 << n for n in range(8, 16)},
}


def _crc8_of(octet: int) -> int:
    """Return the CRC of one octet: polynomial x^8 + x^2 + x + 1 (RFC 9639 section 9.1.8)."""
    for _ in range(8):
        octet = (octet << 1 ^ (0x07 if octet & 0x80 else 0)) & 0xFF
    return octet


_CRC8 = bytes(_crc8_of(octet) for octet in range(256))


class FlacDefect(LocalDefect):
    """A FLAC stream of our own is not what it should be; the finaliser must not archive it."""


@dataclass(frozen=True)
class MetadataBlock:
    """One metadata block: its type and its body."""

    kind: int
    body: bytes


@dataclass(frozen=True)
class FrameHeader:
    """What a frame says of itself: its first sample, counted from the start, and its length."""

    first_sample: int
    samples: int


@dataclass(frozen=True)
class SeekPoint:
    """Where a frame begins: its first sample, its distance from the first frame, its length."""

    first_sample: int
    offset_bytes: int
    samples: int


def split(stream: bytes | bytearray | memoryview) -> tuple[list[MetadataBlock], int]:
    """Return the metadata blocks of a stream and where its first frame begins."""
    if bytes(stream[:4]) != MARKER:
        raise FlacDefect("The encoder gave no FLAC stream; check the version of libsndfile.")
    blocks, at, last = [], 4, False
    while not last:
        head = bytes(stream[at : at + 4])
        size = int.from_bytes(head[1:], "big")
        if len(head) < 4 or at + 4 + size > len(stream):
            raise FlacDefect("The metadata of a FLAC stream ends in the middle of a block.")
        last = bool(head[0] & _LAST)
        blocks.append(MetadataBlock(head[0] & ~_LAST, bytes(stream[at + 4 : at + 4 + size])))
        at += 4 + size
    if blocks[0].kind != STREAMINFO or len(blocks[0].body) != 34:
        raise FlacDefect("A FLAC stream must begin with STREAMINFO.")
    return blocks, at


def join(blocks: Sequence[MetadataBlock]) -> bytes:
    """Return the marker and the blocks, ready for the frames to follow."""
    parts = [MARKER]
    for number, block in enumerate(blocks, start=1):
        if len(block.body) > BLOCK_BYTES_MAX:
            raise FlacDefect(f"A FLAC metadata block of {len(block.body)} octets can't be written; split it.")
        kind = block.kind | (_LAST if number == len(blocks) else 0)
        parts += [bytes([kind]), len(block.body).to_bytes(3, "big"), block.body]
    return b"".join(parts)


def application(identifier: bytes, data: bytes) -> MetadataBlock:
    """Return an APPLICATION block (RFC 9639 section 8.4); `identifier` has four octets."""
    return MetadataBlock(APPLICATION, identifier + data)


def application_data(blocks: Sequence[MetadataBlock], identifier: bytes) -> list[bytes]:
    """Return what stands in the APPLICATION blocks of this identifier, in order."""
    return [b.body[4:] for b in blocks if b.kind == APPLICATION and b.body[:4] == identifier]


def block_size(streaminfo: MetadataBlock) -> int:
    """Return the samples of a frame (all but the last have as many)."""
    return int.from_bytes(streaminfo.body[:2], "big")


def frame_header(frames: bytes | bytearray | memoryview, at: int, frame_samples: int) -> FrameHeader:
    """Read the frame header at `at` (RFC 9639 section 9.1); raises FlacDefect where there is none.

    `frame_samples` is the block size of STREAMINFO: a frame header counts frames.
    """
    head = bytes(frames[at : at + 16])
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        raise FlacDefect(f"No FLAC frame begins at octet {at}.")
    number, end = _coded_number(head, 4)
    code = head[2] >> 4
    samples = _SAMPLES_OF_CODE.get(code, 0)
    if code in {6, 7}:
        samples = int.from_bytes(head[end : end + code - 5], "big") + 1
        end += code - 5
    end += {12: 1, 13: 2, 14: 2}.get(head[2] & 0xF, 0)
    if not samples or end >= len(head) or _crc8(head[:end]) != head[end]:
        raise FlacDefect(f"The FLAC frame header at octet {at} is damaged.")
    variable = head[1] & 1
    return FrameHeader(number if variable else number * frame_samples, samples)


def seek_table(points: Sequence[SeekPoint]) -> MetadataBlock:
    """Return the SEEKTABLE block (RFC 9639 section 8.5); points must ascend."""
    if any(after.first_sample <= before.first_sample for before, after in pairwise(points)):
        raise FlacDefect("The points of a SEEKTABLE must ascend.")
    body = b"".join(_POINT.pack(p.first_sample, p.offset_bytes, p.samples) for p in points)
    return MetadataBlock(SEEKTABLE, body)


def seek_points(block: MetadataBlock) -> list[SeekPoint]:
    """Read a SEEKTABLE block."""
    return [SeekPoint(*values) for values in _POINT.iter_unpack(block.body)]


def _coded_number(head: bytes, at: int) -> tuple[int, int]:
    """Read a number coded like UTF-8, of up to 36 bits; return it and where it ends."""
    first = head[at]
    more = 0 if first < 0x80 else 8 - (first ^ 0xFF).bit_length() - 1
    if more == 0:
        return first, at + 1
    value = first & (0x3F >> more)
    for octet in head[at + 1 : at + 1 + more]:
        value = value << 6 | octet & 0x3F
    return value, at + 1 + more


def _crc8(data: bytes) -> int:
    crc = 0
    for octet in data:
        crc = _CRC8[crc ^ octet]
    return crc
