"""FLAC by libsndfile, in memory: 16 bits, 8 kHz, level 5, with a SEEKTABLE.

The encoder writes to a virtual file, frame by frame, which tells where each frame
begins; `finish` puts a SEEKTABLE of two points a second before them, each checked
against the frame it names. The same samples give the same octets.

Rules: audio is in memory only, never in a file. libsndfile releases the GIL while it
encodes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soundfile

from recorder import flac
from recorder.flac import FlacDefect, MetadataBlock, SeekPoint
from recorder.rtp.g711 import NEGATIVE_ZERO, Law, compress, unpack_negative_zeros

SAMPLE_RATE_HZ = 8000
MEDIA_TYPE = "audio/flac"
SEEK_POINTS_PER_S = 2
_LEVEL = 5 / 8  # libsndfile counts from 0 to 1; levels above 5 save 1 % for twice the time

NEGATIVE_ZEROS_ID = b"ewnz"
"""APPLICATION blocks that say where a mu-law octet was the negative zero."""

RAW_RTP_ID = b"ewrp"
"""APPLICATION blocks that together are a container of packets nothing here decodes."""

Frames = npt.NDArray[np.int16]


class _VirtualFile:
    """What libsndfile writes to; remembers where each write that appended began."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.appended: list[int] = []
        self._at = 0

    def write(self, data: bytes) -> int:
        """Put `data` at the current position."""
        if self._at == len(self.content):
            self.appended.append(self._at)
            self.content += data
        else:
            self.content[self._at : self._at + len(data)] = data
        self._at += len(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` octets from the current position."""
        data = bytes(self.content[self._at :][: None if size < 0 else size])
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, as files do."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self.content)}[whence]
        self._at = origin + offset
        return self._at

    def tell(self) -> int:
        """Return the current position."""
        return self._at


class FlacEncoder:
    """Encodes one recording, block after block."""

    def __init__(self, channels: int) -> None:
        if not 1 <= channels <= flac.CHANNELS_MAX:
            raise FlacDefect(f"FLAC holds 1 to {flac.CHANNELS_MAX} channels, not {channels}.")
        self._file = _VirtualFile()
        self._encoder = soundfile.SoundFile(
            self._file,
            "w",
            samplerate=SAMPLE_RATE_HZ,
            channels=channels,
            format="FLAC",
            subtype="PCM_16",
            compression_level=_LEVEL,
        )

    def write(self, frames: Frames) -> None:
        """Encode `frames` of shape (samples, channels)."""
        self._encoder.write(frames)

    def finish(self, applications: Sequence[MetadataBlock] = ()) -> bytes:
        """Return the whole stream, with its SEEKTABLE and the given blocks; raises FlacDefect."""
        self._encoder.close()
        blocks, start = flac.split(self._file.content)
        stream = memoryview(self._file.content)
        points = _points(stream, start, self._file.appended, flac.block_size(blocks[0]))
        blocks = [blocks[0], flac.seek_table(points), *blocks[1:], *applications]
        return b"".join((flac.join(blocks), stream[start:]))


def _points(stream: memoryview, start: int, appended: list[int], frame_samples: int) -> list[SeekPoint]:
    """Return for each half second the frame it lies in, every one checked; a frame only once."""
    begins = [at for at in appended if at >= start]
    step = SAMPLE_RATE_HZ // SEEK_POINTS_PER_S
    numbers = sorted({mark // frame_samples for mark in range(0, len(begins) * frame_samples, step)})
    points = []
    for number in numbers:
        if number >= len(begins):
            break
        header = flac.frame_header(stream, begins[number], frame_samples)
        if header.first_sample != number * frame_samples:
            raise FlacDefect("The encoder did not write one frame at a time; its frames can't be indexed.")
        points.append(SeekPoint(header.first_sample, begins[number] - start, header.samples))
    return points


def raw_blocks(container: bytes) -> list[MetadataBlock]:
    """Return the APPLICATION blocks that carry a container, in order."""
    size = flac.BLOCK_BYTES_MAX - 4
    pieces = [container[at : at + size] for at in range(0, len(container), size)]
    return [flac.application(RAW_RTP_ID, piece) for piece in pieces]


def recover_octets(stream: bytes, channel: int, law: Law) -> bytes:
    """Return the G.711 octets from which one channel of a FLAC stream was made.

    Samples nobody sent (0 where the timeline has a span) come back as the octet of
    the smallest value. Raises FlacDefect for a stream that is damaged.
    """
    blocks, _ = flac.split(stream)
    samples, _ = soundfile.read(io.BytesIO(stream), dtype="int16", always_2d=True)
    octets = compress(np.ascontiguousarray(samples[:, channel]), law)
    if law is Law.MU:
        for packed in flac.application_data(blocks, NEGATIVE_ZEROS_ID):
            number, positions = unpack_negative_zeros(packed)
            if number == channel:
                octets[positions] = NEGATIVE_ZERO
    return octets.tobytes()
