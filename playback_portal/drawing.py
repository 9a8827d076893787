"""The small waveform of a row as the pieces of one SVG: bars of each party, bands of what is not heard.

The drawing is 240 wide and 28 high and is stretched to its place; strokes are not. The
first party stands above the middle line, the other below; a mixed recording has one lane
about the middle. Pause, hold and loss are as wide as they lasted, and nothing is drawn in them.

Rules: pure. Only numbers made here go into a path.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archive.catalogue.lexemes import GAP_MS_MIN
from archive.model import Span, SpanKind
from archive.waveform import POINTS, Waveform

WIDTH, HEIGHT = 240, 28
BARS = 60
"""A bar of 2 px every 4 px; more would run together in the width a row has."""

BAND_WIDTH_MIN = 2.0
BANDS_MAX = 40
"""Of each kind; a call with more holes than that is drawn with its longest."""

_MIDDLE, _LANE_HEIGHT = HEIGHT / 2, 12.5
_BAR_MIN = 1.2
_LEVEL_MIN = 4
"""Below this level, of 255, a line is quiet, and the middle line says so."""

_KINDS = (SpanKind.PAUSE, SpanKind.HOLD, SpanKind.LOSS)


@dataclass(frozen=True)
class Band:
    """A stretch in which something is not heard, and the word of its kind in the style sheet."""

    kind: str
    x: str
    width: str
    edges: str


@dataclass(frozen=True)
class Mini:
    """The pieces of one small waveform: two paths, empty where nobody is heard."""

    upper: str
    lower: str
    bands: tuple[Band, ...]
    is_mixed: bool = False
    """Whether both paths are of the one lane everybody is in."""


def mini(waveform: Waveform | None, spans: Iterable[Span], duration_ms: int) -> Mini:
    """Return the drawing of a recording; without a waveform only its bands."""
    found = [span for span in spans if span.kind in _KINDS and _is_shown(span)]
    bands = tuple(band for kind in _KINDS for band in _bands(kind, found, duration_ms))
    if waveform is None:
        return Mini("", "", bands)
    silent = [(span.from_ms, span.to_ms) for span in found]
    lanes = [_heard(lane, silent, max(duration_ms, 1)) for lane in waveform.lanes]
    if len(lanes) == 1:
        up, down = (_path(lanes[0], _FEET_MIDDLE, heights) for heights in (_UP, _DOWN))
        return Mini(up, down, bands, is_mixed=True)
    return Mini(_path(lanes[0], _FEET_ABOVE, _UP), _path(lanes[1], _FEET_BELOW, _DOWN), bands)


def _is_shown(span: Span) -> bool:
    return span.to_ms - span.from_ms >= (GAP_MS_MIN if span.kind is SpanKind.LOSS else 1)


def _bands(kind: SpanKind, spans: Sequence[Span], duration_ms: int) -> list[Band]:
    """Return the bands of a kind; stretches of several channels that touch are one."""
    stretches = sorted((span.from_ms, span.to_ms) for span in spans if span.kind is kind)
    joined: list[tuple[int, int]] = []
    for first, last in stretches:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    longest = sorted(sorted(joined, key=lambda each: each[0] - each[1])[:BANDS_MAX])
    return [_band(kind, first, last, max(duration_ms, 1)) for first, last in longest]


def _band(kind: SpanKind, first_ms: int, last_ms: int, duration_ms: int) -> Band:
    left = min(first_ms / duration_ms * WIDTH, WIDTH - BAND_WIDTH_MIN)
    right = min(max(last_ms / duration_ms * WIDTH, left + BAND_WIDTH_MIN), WIDTH)
    edges = f"M{_number(left)} 0v{HEIGHT}M{_number(right)} 0v{HEIGHT}"
    return Band(kind.value, _number(left), _number(right - left), edges)


def _heard(levels: bytes, silent: Sequence[tuple[int, int]], duration_ms: int) -> list[int]:
    """Return the level of each bar; 0 where nothing was recorded."""
    heard = [max(levels[first:last]) for first, last in _STEPS]
    for begin_ms, end_ms in silent:
        # A bar belongs to what its middle lies in.
        first = max(0, math.ceil(begin_ms / duration_ms * BARS - 0.5))
        last = min(BARS, math.ceil(end_ms / duration_ms * BARS - 0.5))
        heard[first:last] = [0] * (last - first)
    return heard


def _path(levels: Sequence[int], feet: Sequence[str], heights: Sequence[str]) -> str:
    return "".join(
        foot + heights[level] for foot, level in zip(feet, levels, strict=True) if level >= _LEVEL_MIN
    )


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _feet(height: float) -> list[str]:
    """Return how the path of each bar begins."""
    return [f"M{_number((bar + 0.5) * WIDTH / BARS)} {_number(height)}v" for bar in range(BARS)]


def _height(level: int) -> float:
    # Loudness is heard as the logarithm of the level; the root is near enough for a picture.
    return max(_BAR_MIN, math.sqrt(level / 255) * _LANE_HEIGHT)


# There are 60 bars and 256 levels: a list of fifty rows is drawn from these texts alone.
_STEPS = tuple(pairwise(bar * POINTS // BARS for bar in range(BARS + 1)))
_FEET_ABOVE, _FEET_MIDDLE, _FEET_BELOW = (_feet(_MIDDLE + offset) for offset in (-0.5, 0, 0.5))
_UP = [_number(-_height(level)) for level in range(256)]
_DOWN = [_number(_height(level)) for level in range(256)]
