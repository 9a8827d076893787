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

import numpy as np
import numpy.typing as npt
import soundfile

from archive.errors import ArchiveError, Conflict, VerificationFailed

WAV_HEADER_BYTES = 44
SAMPLE_BYTES = 2

WAV_BYTES_MAX = 2**32 - 1
"""The length of a RIFF chunk has four octets; two channels at 8 kHz reach it after 37 hours."""

DERIVED_BYTES_MAX = 256 * 1024 * 1024
"""One channel as FLAC, held in memory; at about 8 kB a second this is nine hours of talk."""

PIECE_FRAMES = 65536
"""Two to eight seconds of audio a piece: 256 KiB of two channels."""

READ_BYTES = 256 * 1024
"""What the decoder fetches at once: four sealed segments, one request to the store."""

Frames = npt.NDArray[np.int16]


class TooLong(Conflict):
    """The recording is too long for the form asked for; the message says which other to take."""


class Plaintext(Protocol):
    """What is asked of `archive.playback.SealedReader`: verified octets of an opened object."""

    @property
    def length(self) -> int:
        """The number of octets."""

    def read(self, first: int, last_exclusive: int) -> bytes:
        """Return those octets; raises VerificationFailed, DependencyUnavailable."""

    def chunks(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return the same in pieces of bounded size."""


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


class PlaintextFile(io.RawIOBase):
    """A sealed object as a file to read from, for libsndfile.

    Errors can't pass through the C code of a decoder: it sees the end of the file, and
    `error` says why.
    """

    def __init__(self, reader: Plaintext) -> None:
        super().__init__()
        self.error: ArchiveError | None = None
        self._reader = reader
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to `offset` from the start, the position or the end."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.length}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed has WriteableBuffer
        """Fill `buffer` from the position; return the number of octets, 0 at the end or after an error."""
        first = min(self._at, self._reader.length)
        last_exclusive = min(first + len(buffer), self._reader.length)
        try:
            data = self._reader.read(first, last_exclusive)
        except ArchiveError as error:
            self.error = error
            return 0
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Decoder:
    """Frames of an archived FLAC, one channel of it or all; for one thread at a time."""

    def __init__(self, reader: Plaintext, channel: int | None) -> None:
        self._file = PlaintextFile(reader)
        self._channel = channel
        self._at = 0
        try:
            self._sound = soundfile.SoundFile(io.BufferedReader(self._file, READ_BYTES))
        except soundfile.SoundFileError as error:
            raise self._failure() from error
        self.channels: int = 1 if channel is not None else self._sound.channels
        self.sample_rate_hz: int = self._sound.samplerate
        self.frames: int = self._sound.frames

    def read(self, first: int, count: int) -> Frames:
        """Return frames of shape (count, channels) from `first` on.

        Raises VerificationFailed when the FLAC does not hold them.
        """
        try:
            if first != self._at:
                self._sound.seek(first)
            frames: Frames = self._sound.read(count, dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise self._failure() from error
        if len(frames) != count:
            raise self._failure()
        self._at = first + count
        return frames if self._channel is None else frames[:, self._channel : self._channel + 1]

    def _failure(self) -> ArchiveError:
        return self._file.error or VerificationFailed("The archived audio can't be decoded; report it.")


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
