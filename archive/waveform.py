"""The small waveform of a recording: its loudness in 120 steps, as lists draw it.

A list of fifty calls can't open fifty sealed objects, so that this much of the peaks is
kept in the catalogue: the loudest moment of each hundred-and-twentieth of the call, for
each of at most two lanes. No word can be heard in it.

Rules: pure. `at_rate` gives players the peaks themselves. Not here: how a waveform is drawn
(`playback_portal.drawing`), where it is kept (`archive.catalogue.waveforms`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

POINTS = 120
LANES_MAX = 2


@dataclass(frozen=True)
class Waveform:
    """The levels, 0 to 255, of one lane or of two (the first party above, the others below)."""

    lanes: tuple[bytes, ...]


def of_peaks(peaks: bytes) -> Waveform | None:
    """Return the small waveform of a peaks object, None when it holds no sound.

    What is no peaks object gives None too: no recording waits for its picture.
    """
    try:
        channels = _channels(peaks)
    except (ValueError, LookupError, TypeError):
        return None
    if not channels or not channels[0]:
        return None
    if len(channels) > LANES_MAX:
        channels = [channels[0], [max(levels) for levels in zip(*channels[1:], strict=True)]]
    return Waveform(tuple(_steps(levels) for levels in channels))


def at_rate(peaks: bytes, per_s: int) -> bytes:
    """Return the peaks of one rate: the document with the fields of that level in the place of its levels.

    The hundred thousand numbers of an hour are not read but cut out, as they were written by
    `recorder.rtp.peaks`: a quote within a name is escaped, so that no name looks like a field.
    Raises ValueError for a document without that rate.
    """
    head = peaks.index(b',"levels":[')
    begin = peaks.index(b'{"pps":%d,' % per_s, head) + 1
    return peaks[:head] + b"," + peaks[begin : peaks.index(b"}", begin) + 1]


def _channels(peaks: bytes) -> list[list[int]]:
    """Return the levels of each channel at the lowest rate that has a level for each step."""
    by_rate = sorted(json.loads(peaks)["levels"], key=lambda level: int(level["pps"]))
    fit = [level for level in by_rate if level["bins"] >= POINTS] or by_rate[-1:]
    return [[min(max(int(level), 0), 255) for level in channel] for channel in fit[0]["data"]]


def _steps(levels: Sequence[int]) -> bytes:
    """Return the loudest of each step; a call of fewer bins than steps repeats them."""
    count = len(levels)
    edges = [step * count // POINTS for step in range(POINTS + 1)]
    return bytes(max(levels[first : max(last, first + 1)]) for first, last in pairwise(edges))
