"""The audio of a recording in the forms it is sent in, made from its sealed FLAC.

Each form is an `AudioSource`: a length known beforehand, and pieces of any range.
The whole FLAC is the sealed object itself, of which a range opens only the segments
it touches. WAV is decoded piece by piece while it is sent. One channel as FLAC has
no length before it is made, so it is made in memory.

Rules: plaintext is in memory only. All of this blocks: callers run it in threads,
one thread at a time for one source.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Protocol

import soundfile

from archive.decoding import PIECE_FRAMES, READ_BYTES, Decoder, Plaintext
from archive.errors import Conflict

WAV_HEADER_BYTES = 44
SAMPLE_BYTES = 2

WAV_BYTES_MAX = 2**32 - 1
"""The length of a RIFF chunk has four octets; two channels at 8 kHz reach it after 37 hours."""

DERIVED_BYTES_MAX = 256 * 1024 * 1024
"""One channel as FLAC, held in memory; at about 8 kB a second this is nine hours of talk."""


class TooLong(Conflict):
    """The recording is too long for the form asked for; the message says which other to take."""


class AudioSource(Protocol):
    """One form of the audio. Pieces raise VerificationFailed and DependencyUnavailable."""

    @property
    def length(self) -> int:
        """The number of octets of the whole form."""

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return those octets in pieces of bounded size."""


class WholeFlac:
    """The archived object as it is."""

    def __init__(self, reader: Plaintext) -> None:
        self._reader = reader

    @property
    def length(self) -> int:
        """The number of octets of the archived FLAC."""
        return self._reader.length

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return those octets, touching only their segments."""
        return self._reader.chunks(first, last_exclusive)


class Wav:
    """All channels or one of them as WAV, 16 bits PCM, decoded as it is read."""

    def __init__(self, reader: Plaintext, channel: int | None) -> None:
        """Open the decoder; raises TooLong, VerificationFailed, DependencyUnavailable."""
        self._decoder = Decoder(reader, channel)
        self._frame_bytes = SAMPLE_BYTES * self._decoder.channels
        self._data_bytes = self._decoder.frames * self._frame_bytes
        if self.length > WAV_BYTES_MAX:
            raise TooLong("This recording is too long for a WAV file: ask for format=flac.")

    @property
    def length(self) -> int:
        """The number of octets, header included."""
        return WAV_HEADER_BYTES + self._data_bytes

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return those octets, decoding no more than they need."""
        if first < WAV_HEADER_BYTES:
            yield self._header()[first:last_exclusive]
        at, stop = max(first - WAV_HEADER_BYTES, 0), last_exclusive - WAV_HEADER_BYTES
        while at < stop:
            frame, skipped = divmod(at, self._frame_bytes)
            count = min(PIECE_FRAMES, -(-stop // self._frame_bytes) - frame)
            piece = self._decoder.read(frame, count).astype("<i2").tobytes()[skipped : skipped + stop - at]
            at += len(piece)
            yield piece

    def _header(self) -> bytes:
        rate, channels = self._decoder.sample_rate_hz, self._decoder.channels
        layout = struct.pack(
            "<HHIIHH", 1, channels, rate, rate * self._frame_bytes, self._frame_bytes, 8 * SAMPLE_BYTES
        )
        riff = struct.pack("<4sI4s", b"RIFF", self.length - 8, b"WAVE")
        return (
            riff
            + struct.pack("<4sI", b"fmt ", len(layout))
            + layout
            + struct.pack("<4sI", b"data", self._data_bytes)
        )


class ChannelFlac:
    """One channel as a FLAC of its own, made in memory."""

    def __init__(self, reader: Plaintext, channel: int, bytes_max: int = DERIVED_BYTES_MAX) -> None:
        """Decode and encode; raises TooLong, VerificationFailed, DependencyUnavailable."""
        decoder = Decoder(reader, channel)
        content = io.BytesIO()
        encoder = soundfile.SoundFile(
            content, "w", samplerate=decoder.sample_rate_hz, channels=1, format="FLAC", subtype="PCM_16"
        )
        with encoder:
            for first in range(0, decoder.frames, PIECE_FRAMES):
                encoder.write(decoder.read(first, min(PIECE_FRAMES, decoder.frames - first)))
                if content.tell() > bytes_max:
                    raise TooLong("This recording is too long for one channel as FLAC: ask for format=wav.")
        self._content = content.getvalue()

    @property
    def length(self) -> int:
        """The number of octets of the new FLAC."""
        return len(self._content)

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return those octets."""
        for start in range(first, last_exclusive, READ_BYTES):
            yield self._content[start : min(start + READ_BYTES, last_exclusive)]
