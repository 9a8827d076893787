"""The sound of one person of a call: everybody else silenced, to the sample.

Channels and time stay as they were archived, so that both can be laid side by side. Where the
person is kept, each sample is the archived one; everywhere else it is zero. A long call
becomes several files, each whole by itself.

Rules: plaintext is in memory only, one file at a time. What another voice left in the
person's own channel (an echo, a loudspeaker) is not taken out: that is said in the package.
Not here: whose stretches are kept (`archive.data_subject`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import soundfile

from archive.data_subject import Kept
from archive.decoding import PIECE_FRAMES, Decoder, Frames, Plaintext

FILE_BYTES_MAX = 32 * 1024 * 1024
"""Half of what a sealed part may hold; at 8 kHz about two hours of one voice."""


def muted(reader: Plaintext, kept: Sequence[Kept], bytes_max: int = FILE_BYTES_MAX) -> Iterator[bytes]:
    """Yield the files of FLAC in order; raises VerificationFailed, DependencyUnavailable."""
    decoder = Decoder(reader, None)
    first = 0
    while True:
        content, first = _file(decoder, kept, first, bytes_max)
        yield content
        if first >= decoder.frames:
            return


def silenced(frames: Frames, first: int, kept: Sequence[Kept], sample_rate_hz: int) -> Frames:
    """Return frames of shape (count, channels) that begin at frame `first`, zero but for what is kept."""
    alone = np.zeros_like(frames)
    for each in kept:
        begin = max(each.from_ms * sample_rate_hz // 1000 - first, 0)
        end = len(frames)
        if each.to_ms is not None:
            end = min(each.to_ms * sample_rate_hz // 1000 - first, end)
        if begin < end:
            alone[begin:end, each.channel] = frames[begin:end, each.channel]
    return alone


def _file(decoder: Decoder, kept: Sequence[Kept], first: int, bytes_max: int) -> tuple[bytes, int]:
    """Return a file that begins at frame `first`, and the frame the next one begins at."""
    content = io.BytesIO()
    encoder = soundfile.SoundFile(
        content,
        "w",
        samplerate=decoder.sample_rate_hz,
        channels=decoder.channels,
        format="FLAC",
        subtype="PCM_16",
    )
    with encoder:
        while first < decoder.frames and content.tell() < bytes_max:
            count = min(PIECE_FRAMES, decoder.frames - first)
            frames = decoder.read(first, count)
            encoder.write(silenced(frames, first, kept, decoder.sample_rate_hz))
            first += count
    return content.getvalue(), first
