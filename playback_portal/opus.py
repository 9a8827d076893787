"""The audio a play link serves: the shared span as Opus, all parties in one channel, at one rate.

Opus in WebM (RFC 6716, RFC 9559 with the Opus mapping), which browsers play and seek in;
the cues stand before the sound, so that seeking takes one request. The rate is constant:
a second of silence has as many octets as one of speech, so that octets measure time and
tell nothing of who speaks when.

Rules: it blocks and takes a core; callers run it in a thread. Plaintext is in memory only.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from archive.decoding import Decoder, Frames
from archive.errors import VerificationFailed

RATE_BITS_PER_S = 32_000
"""More than clear for telephone speech; browsers fetch whole blocks, and a block is heard sooner so."""

OPUS_RATES_HZ = frozenset({8000, 12000, 16000, 24000, 48000})
"""RFC 6716 section 2: what the encoder takes; other sounds are resampled to the last."""

CLUSTER_MS = 2000
"""How far apart the places are a player may jump to without reading what lies before."""

CUE_BYTES = 32
"""One entry of the index, at the widest it gets in a file of ours."""

PIECE_FRAMES = 65536
COMPRESSION_LEVEL = 1
"""Of 0 to 10: telephone speech sounds alike above it, and takes twice the time and more."""

OPTIONS: Final = {"vbr": "off", "application": "voip", "compression_level": str(COMPRESSION_LEVEL)}


def encoded(decoder: Decoder, from_ms: int, to_ms: int) -> bytes:
    """Return a span of a recording as Opus in WebM.

    Raises VerificationFailed when the recording does not hold it, DependencyUnavailable.
    """
    rate = decoder.sample_rate_hz
    first, last = (min(ms * rate // 1000, decoder.frames) for ms in (from_ms, to_ms))
    clusters = (to_ms - from_ms) // CLUSTER_MS + 2
    index = {"reserve_index_space": str(128 + CUE_BYTES * clusters), "cluster_time_limit": str(CLUSTER_MS)}
    content = io.BytesIO()
    try:
        with av.open(content, "w", format="webm", options=index) as container:
            stream = container.add_stream(
                "libopus", rate=rate if rate in OPUS_RATES_HZ else max(OPUS_RATES_HZ), layout="mono"
            )
            stream.bit_rate = RATE_BITS_PER_S
            stream.options = dict(OPTIONS)
            for at in range(first, last, PIECE_FRAMES):
                piece = decoder.read(at, min(PIECE_FRAMES, last - at))
                container.mux(stream.encode(_frame(piece, rate, at - first)))
            container.mux(stream.encode(None))
    except FFmpegError as error:
        raise VerificationFailed("The archived audio can't be made into Opus; report it.") from error
    return content.getvalue()


def _frame(piece: Frames, rate: int, at: int) -> AudioFrame:
    """Return frames of all channels as one frame of the sum of them, `at` frames from the start."""
    mixed = np.clip(piece.astype(np.int32).sum(axis=1), -32768, 32767).astype(np.int16)
    frame = AudioFrame.from_ndarray(mixed[np.newaxis, :], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
    return frame
