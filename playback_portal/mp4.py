"""The archived FLAC in an MP4 file, made while it is sent: the same frames, with an index before them.

Browsers seek in bare FLAC by guessing; Chromium 156 hangs on most seeks into the last
frame, half a second long, with a SEEKTABLE and without. An MP4 file says where every
frame is (ISO/IEC 14496-12; FLAC in it: "Encapsulation of FLAC in ISO Base Media File
Format" 0.0.4), and there each seek arrives at its sample. Nothing is decoded or encoded,
so that a range costs what a range of the FLAC costs.

The index is made of the SEEKTABLE, where the archive has a point for each frame: two
points a second, and frames a little longer than half a second.

Rules: what is not indexed frame by frame is refused (`NotIndexed`), never guessed. All
of this blocks, like its neighbours in `playback_portal.transcoding`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from archive.decoding import Plaintext
from archive.errors import Conflict, VerificationFailed
from archive.remembered import Remembered
from keys.streaming_aead import FIRST_SEGMENT_BYTES, SEGMENT_BYTES

HEAD_BYTES = FIRST_SEGMENT_BYTES
"""Fetched first: the metadata of half an hour of calls, one sealed segment."""

HEADS_COUNT_MAX, HEAD_KEPT_BYTES_MAX = 64, 512 * 1024
"""What is kept of what is listened to just now, at most 32 MiB; a call of 17 hours has a longer head."""

HEAD_S_MAX = 300.0
"""The sizes of frames say a little of what was spoken: they are forgotten as soon as the keys are."""

BLOCKS_COUNT_MAX = 64
"""The finaliser writes four blocks and one for each channel of mu-law."""

_STREAMINFO, _SEEKTABLE = 0, 3
_POINT = np.dtype([("sample", ">u8"), ("offset", ">u8"), ("samples", ">u2")])
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED = 0x55C4  # the language "und", five bits a letter


class NotIndexed(Conflict):
    """The archived FLAC has no point for each of its frames; it can be had as FLAC."""


class Opened(Plaintext, Protocol):
    """An opened object whose digest is known."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the whole in hex."""


@dataclass(frozen=True)
class FrameIndex:
    """Where the frames of a FLAC stream are: `sizes` in octets, the first at `first_frame_at`."""

    streaminfo: bytes
    first_frame_at: int
    sizes: npt.NDArray[np.int64]

    @property
    def frame_samples(self) -> int:
        """Samples of each frame but the last, which may have fewer (RFC 9639 section 8.2)."""
        return int.from_bytes(self.streaminfo[:2], "big")

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second; 20 bits."""
        return int.from_bytes(self.streaminfo[10:13], "big") >> 4

    @property
    def channels(self) -> int:
        """How many channels there are; 3 bits, less one."""
        return (self.streaminfo[12] >> 1 & 0x07) + 1

    @property
    def samples(self) -> int:
        """Samples of each channel in all; 36 bits."""
        return int.from_bytes(self.streaminfo[13:18], "big") & 0xFFFFFFFFF


@dataclass(frozen=True)
class Head:
    """What stands before the first frame of the file, and how much shorter that is than in the FLAC."""

    octets: bytes
    shift: int


Heads = Remembered[str, Head]
"""By the SHA-256 of the FLAC. Who asks for one has been allowed to hear it, and it was opened for them."""


def no_heads() -> Heads:
    """Return where the heads are kept of what is listened to."""
    return Remembered(count_max=HEADS_COUNT_MAX, age_s_max=HEAD_S_MAX)


class Mp4:
    """The frames of an archived FLAC as an MP4 file, of which a range opens only what it touches."""

    def __init__(self, reader: Opened, heads: Heads) -> None:
        """Read the index unless `heads` has it.

        Raises NotIndexed, VerificationFailed, DependencyUnavailable.
        """
        self._reader = reader
        head = heads.get(reader.sha256)
        if head is None:
            index = read_index(reader)
            octets = head_of(index)
            head = Head(octets, index.first_frame_at - len(octets))
            if len(octets) <= HEAD_KEPT_BYTES_MAX:
                heads.keep(reader.sha256, head)
        self._head, self._shift = head.octets, head.shift

    @property
    def length(self) -> int:
        """The number of octets, head included."""
        return self._reader.length - self._shift

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return those octets in pieces of bounded size."""
        if first < len(self._head):
            yield self._head[first:last_exclusive]
        start = max(first, len(self._head))
        if start < last_exclusive:
            yield from self._reader.chunks(start + self._shift, last_exclusive + self._shift)


class _Metadata:
    """The metadata before the first frame: what is read of it is held, and up to the end of its segment."""

    def __init__(self, reader: Plaintext) -> None:
        self._reader = reader
        self._at, self._held = 0, reader.read(0, min(HEAD_BYTES, reader.length))

    def octets(self, first: int, last_exclusive: int) -> bytes:
        """Return those octets, which are never before the last ones; raises VerificationFailed."""
        if last_exclusive > self._reader.length:
            raise VerificationFailed("The metadata of the archived FLAC ends in the middle; report it.")
        if last_exclusive > self._at + len(self._held):
            self._at, self._held = first, self._held[first - self._at :]
            segments = -(-(last_exclusive - FIRST_SEGMENT_BYTES) // SEGMENT_BYTES)
            until = min(FIRST_SEGMENT_BYTES + segments * SEGMENT_BYTES, self._reader.length)
            self._held += self._reader.read(first + len(self._held), until)
        return self._held[first - self._at : last_exclusive - self._at]


def read_index(reader: Plaintext) -> FrameIndex:
    """Return where the frames of an archived FLAC are, by its metadata alone; raises NotIndexed."""
    octets = _Metadata(reader).octets
    streaminfo, points, at = b"", b"", 4
    for _ in range(BLOCKS_COUNT_MAX):
        kind, size = octets(at, at + 1)[0], int.from_bytes(octets(at + 1, at + 4), "big")
        body = at + 4
        if kind & 0x7F == _STREAMINFO:
            streaminfo = octets(body, body + size)
        elif kind & 0x7F == _SEEKTABLE:
            points = octets(body, body + size)
        at = body + size
        if kind & 0x80:
            return FrameIndex(streaminfo, at, _sizes(streaminfo, points, reader.length - at))
    raise NotIndexed("This recording has more metadata than expected: ask for format=flac.")


def _sizes(streaminfo: bytes, points: bytes, frames_bytes: int) -> npt.NDArray[np.int64]:
    """Return the size of each frame, when there is a point for every one."""
    table = np.frombuffer(points[: len(points) // _POINT.itemsize * _POINT.itemsize], _POINT)
    index = FrameIndex(streaminfo, 0, np.empty(0, np.int64))
    samples = index.samples if len(streaminfo) == 34 else 0
    every = np.arange(0, samples, max(index.frame_samples, 1), dtype=np.int64)
    if not samples or not np.array_equal(table["sample"], every):
        raise NotIndexed("This recording has no index of its frames: ask for format=flac.")
    begins = np.append(table["offset"].astype(np.int64), frames_bytes)
    sizes: npt.NDArray[np.int64] = begins[1:] - begins[:-1]
    if begins[0] != 0 or sizes.min() <= 0:
        raise NotIndexed("The index of this recording is not in order: ask for format=flac.")
    return sizes


# ---------------------------------------------------------------- boxes


def head_of(index: FrameIndex) -> bytes:
    """Return all that stands before the first frame: what the file is, the index, the head of the data."""
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2mp41")
    # The one number that depends on the length of the whole has a fixed size: it is put in afterwards.
    size = len(kind) + len(_movie(index, 0)) + 16
    data = struct.pack(">I4sQ", 1, b"mdat", 16 + int(index.sizes.sum()))
    return kind + _movie(index, size) + data


def _box(name: bytes, *content: bytes) -> bytes:
    size = 8 + sum(len(part) for part in content)
    return b"".join((struct.pack(">I4s", size, name), *content))


def _full_box(name: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags), *content)


def _movie(index: FrameIndex, data_at: int) -> bytes:
    """Return the box that describes the one track; times are samples, so that all are exact."""
    rate, length = index.sample_rate_hz, index.samples
    movie = struct.pack(">QQIQIH10x", 0, 0, rate, length, 0x10000, 0x100) + _UNITY + bytes(24)
    track = struct.pack(">QQI4xQ8xHHH2x", 0, 0, 1, length, 0, 0, 0x100) + _UNITY + bytes(8)
    media = _box(
        b"mdia",
        _full_box(b"mdhd", 1, 0, struct.pack(">QQIQHH", 0, 0, rate, length, _UNDETERMINED, 0)),
        _full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"soun"), b"sound\0"),
        _box(
            b"minf",
            _full_box(b"smhd", 0, 0, bytes(4)),
            _box(b"dinf", _full_box(b"dref", 0, 0, struct.pack(">I", 1), _full_box(b"url ", 0, 1))),
            _samples(index, data_at),
        ),
    )
    return _box(
        b"moov",
        _full_box(b"mvhd", 1, 0, movie, struct.pack(">I", 2)),
        _box(b"trak", _full_box(b"tkhd", 1, 7, track), media),
    )


def _samples(index: FrameIndex, data_at: int) -> bytes:
    """Return the table of frames: what they are, how long and how large each is, and where they begin."""
    count = len(index.sizes)
    last = index.samples - (count - 1) * index.frame_samples
    runs = [(count - 1, index.frame_samples), (1, last)][0 if count > 1 else 1 :]
    setup = struct.pack(">I", 0x80 << 24 | len(index.streaminfo)) + index.streaminfo
    entry = _box(
        b"fLaC",
        struct.pack(">6xH8xHH4xI", 1, index.channels, 16, index.sample_rate_hz << 16),
        _full_box(b"dfLa", 0, 0, setup),
    )
    return _box(
        b"stbl",
        _full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        _full_box(b"stts", 0, 0, struct.pack(">I", len(runs)), *(struct.pack(">II", *run) for run in runs)),
        _full_box(b"stsc", 0, 0, struct.pack(">4I", 1, 1, count, 1)),
        _full_box(b"stsz", 0, 0, struct.pack(">II", 0, count), index.sizes.astype(">u4").tobytes()),
        _full_box(b"co64", 0, 0, struct.pack(">IQ", 1, data_at)),
    )
