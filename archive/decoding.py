"""The sound of an archived FLAC as frames, decoded from its sealed object as it is read.

Rules: plaintext is in memory only. All of this blocks, and one decoder is for one thread at
a time. Not here: who may hear it (`archive.playback`), forms it is sent in
(`playback_portal.transcoding`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from archive.errors import ArchiveError, VerificationFailed

PIECE_FRAMES = 65536
"""Two to eight seconds of audio a piece: 256 KiB of two channels."""

READ_BYTES = 256 * 1024
"""What the decoder fetches at once: four sealed segments, one request to the store."""

Frames = npt.NDArray[np.int16]


class Plaintext(Protocol):
    """What is asked of `archive.playback.SealedReader`: verified octets of an opened object."""

    @property
    def length(self) -> int:
        """The number of octets."""

    def read(self, first: int, last_exclusive: int) -> bytes:
        """Return those octets; raises VerificationFailed, DependencyUnavailable."""

    def chunks(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return the same in pieces of bounded size."""


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
