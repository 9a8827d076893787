"""The loudest moment of each twentieth and each half second: waveform and speech.

A browser draws from these and never decodes a whole call. A level is the largest
magnitude of a bin, 0 to 255 (the sample divided by 128). Bins count from the start
of the recording and the last may be shorter, so that their number says the duration.

Rules: pure, numpy only. Blocks come in order and are a multiple of `BIN_SAMPLES`
long, the last one excepted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 8000
FINE_PER_S = 20
COARSE_PER_S = 2
BIN_SAMPLES = SAMPLE_RATE_HZ // FINE_PER_S
BIN_MS = 1000 // FINE_PER_S

Samples = npt.NDArray[np.int16]
Magnitudes = npt.NDArray[np.int32]

# Speech is what stands well above the quiet of its own channel. The bounds keep a line
# without noise from calling its hum speech, and a loud line from calling speech noise.
_SPEECH_ABOVE_QUIET = 4
_SPEECH_MAGNITUDE_MIN = 256
_SPEECH_MAGNITUDE_MAX = 2048
_PAUSE_IN_SPEECH_BINS = 8  # 400 ms: shorter holes lie inside a sentence
_SPEECH_BINS_MIN = 2  # 100 ms: shorter bursts are clicks


class Peaks:
    """Measures the blocks of one channel as they pass."""

    def __init__(self) -> None:
        self._bins: list[Magnitudes] = []

    def add(self, samples: Samples) -> None:
        """Take the next block."""
        whole = len(samples) // BIN_SAMPLES * BIN_SAMPLES
        if whole:
            rows = samples[:whole].reshape(-1, BIN_SAMPLES)
            highest, lowest = rows.max(axis=1).astype(np.int32), rows.min(axis=1).astype(np.int32)
            self._bins.append(np.maximum(highest, -lowest))
        if whole < len(samples):
            self._bins.append(np.abs(samples[whole:].astype(np.int32)).max(keepdims=True))

    def magnitudes(self) -> Magnitudes:
        """Return the largest magnitude of each twentieth of a second, 0 to 32768."""
        return np.concatenate(self._bins) if self._bins else np.zeros(0, np.int32)


def document(channels: Sequence[str], magnitudes: Sequence[Magnitudes], duration_ms: int) -> bytes:
    """Return the JSON of `GET .../peaks`: for 2 and 20 bins a second, a list of levels for each channel."""
    levels = []
    for per_s in (COARSE_PER_S, FINE_PER_S):
        data = [_levels(_join(one, FINE_PER_S // per_s)) for one in magnitudes]
        levels.append({"pps": per_s, "bins": len(data[0]) if data else 0, "data": data})
    content = {
        "version": 1,
        "durationMs": duration_ms,
        "levelMax": 255,
        "channels": list(channels),
        "levels": levels,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def speech(magnitudes: Magnitudes) -> list[tuple[int, int]]:
    """Return the stretches `(from_ms, to_ms)` in which somebody speaks, in order."""
    heard = magnitudes[magnitudes > 0]
    if not len(heard):
        return []
    quiet = float(np.percentile(heard, 10))
    limit = min(max(quiet * _SPEECH_ABOVE_QUIET, _SPEECH_MAGNITUDE_MIN), _SPEECH_MAGNITUDE_MAX)
    loud = np.flatnonzero(magnitudes >= limit)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > _PAUSE_IN_SPEECH_BINS)
    firsts = loud[np.concatenate(([0], breaks + 1))]
    lasts = loud[np.concatenate((breaks, [len(loud) - 1]))]
    return [
        (int(first) * BIN_MS, (int(last) + 1) * BIN_MS)
        for first, last in zip(firsts, lasts, strict=True)
        if last - first + 1 >= _SPEECH_BINS_MIN
    ]


def _join(magnitudes: Magnitudes, width: int) -> Magnitudes:
    if width == 1 or not len(magnitudes):
        return magnitudes
    return np.maximum.reduceat(magnitudes, np.arange(0, len(magnitudes), width))


def _levels(magnitudes: Magnitudes) -> list[int]:
    levels: list[int] = np.minimum(magnitudes >> 7, 255).tolist()
    return levels
