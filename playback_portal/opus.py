"""Sound as Opus (RFC 6716) at a constant rate: the span of a play link, and the whole of a recording.

A play link serves WebM (RFC 9559 with the Opus mapping) with all parties in one channel, which
browsers play and seek in; the cues stand before the sound, so that seeking takes one request.
Who may hear a recording can have it as a file, in Ogg (RFC 7845). The rate is constant:
a second of silence has as many octets as one of speech, so that octets measure time and
tell nothing of who speaks when.

Rules: it blocks and takes a core; callers run it in a thread. Plaintext is in memory only.
The Ogg file of the same sound has the same octets; the WebM has numbers that are drawn.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from archive.decoding import READ_BYTES, Decoder, Frames, Plaintext
from archive.errors import VerificationFailed
from playback_portal.transcoding import DERIVED_BYTES_MAX, TooLong

RATE_BITS_PER_S = 32_000
"""More than clear for telephone speech; browsers fetch whole blocks, and a block is heard sooner so."""

OPUS_RATES_HZ = frozenset({8000, 12000, 16000, 24000, 48000})
"""RFC 6716 section 2: what the encoder takes; other sounds are resampled to the last."""

CLUSTER_MS = 2000
"""How far apart the places are a player may jump to without reading what lies before."""

CUE_BYTES = 32
"""One entry of the index, at the widest it gets in a file of ours."""

CHANNELS_COUNT_MAX = 2
"""A conference of more is summed into one: players know no places for its channels."""

PIECE_FRAMES = 65536
COMPRESSION_LEVEL = 1
"""Of 0 to 10: telephone speech sounds alike above it, and takes twice the time and more."""

LAYOUTS: Final = {1: "mono", 2: "stereo"}
OPTIONS: Final = {"vbr": "off", "application": "voip", "compression_level": str(COMPRESSION_LEVEL)}


def encoded(decoder: Decoder, from_ms: int, to_ms: int) -> bytes:
    """Return a span of a recording as Opus in WebM.

    Raises VerificationFailed when the recording does not hold it, DependencyUnavailable.
    """
    rate = decoder.sample_rate_hz
    first, last = (min(ms * rate // 1000, decoder.frames) for ms in (from_ms, to_ms))
    clusters = (to_ms - from_ms) // CLUSTER_MS + 2
    index = {"reserve_index_space": str(128 + CUE_BYTES * clusters), "cluster_time_limit": str(CLUSTER_MS)}
    return _contained(decoder, range(first, last), "webm", index, 1)


class OggOpus:
    """A whole recording, or one channel of it, as an Opus file made in memory.

    Two channels stay two; of a conference of more all are summed into one.
    """

    def __init__(self, reader: Plaintext, channel: int | None, bytes_max: int = DERIVED_BYTES_MAX) -> None:
        """Decode and encode; raises TooLong, VerificationFailed, DependencyUnavailable."""
        decoder = Decoder(reader, channel)
        channels = decoder.channels if decoder.channels <= CHANNELS_COUNT_MAX else 1
        # By the constant rate it is known before anything is made.
        if decoder.frames // decoder.sample_rate_hz * channels * RATE_BITS_PER_S // 8 > bytes_max:
            raise TooLong("This recording is too long for an Opus file: ask for format=flac.")
        # Else the number of its stream is drawn, and the ranges of two requests don't fit together.
        same = {"fflags": "bitexact"}
        self._content = _contained(decoder, range(decoder.frames), "ogg", same, channels)

    @property
    def length(self) -> int:
        """The number of octets of the file."""
        return len(self._content)

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        """Return those octets."""
        for start in range(first, last_exclusive, READ_BYTES):
            yield self._content[start : min(start + READ_BYTES, last_exclusive)]


def _contained(decoder: Decoder, span: range, form: str, options: dict[str, str], channels: int) -> bytes:
    """Return frames of a recording as Opus in a container, in so many channels."""
    rate, content, layout = decoder.sample_rate_hz, io.BytesIO(), LAYOUTS[channels]
    try:
        with av.open(content, "w", format=form, options=options) as container:
            stream = container.add_stream(
                "libopus", rate=rate if rate in OPUS_RATES_HZ else max(OPUS_RATES_HZ), layout=layout
            )
            stream.bit_rate = RATE_BITS_PER_S * channels
            stream.options = dict(OPTIONS)
            for at in span[::PIECE_FRAMES]:
                piece = decoder.read(at, min(PIECE_FRAMES, span.stop - at))
                container.mux(stream.encode(_frame(piece, rate, at - span.start, channels)))
            container.mux(stream.encode(None))
    except FFmpegError as error:
        raise VerificationFailed("The archived audio can't be made into Opus; report it.") from error
    return content.getvalue()


def _frame(piece: Frames, rate: int, at: int, channels: int) -> AudioFrame:
    """Return frames as one of so many channels, `at` from the start; the sum where they are more."""
    if piece.shape[1] != channels:
        piece = np.clip(piece.astype(np.int32).sum(axis=1, keepdims=True), -32768, 32767).astype(np.int16)
    packed = np.ascontiguousarray(piece).reshape(1, -1)
    frame = AudioFrame.from_ndarray(packed, format="s16", layout=LAYOUTS[channels])
    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
    return frame
