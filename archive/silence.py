"""Silence: the stretches of a call in which nobody speaks, whatever channel they are heard on.

Rules: pure. A pause, a hold and what did not arrive are none: nobody knows what was said there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from archive.model import Span, SpanKind

Stretch = tuple[int, int]
"""Begin and end in milliseconds of the call."""

BOTH = "both"
"""The channel of spans that are of the whole call."""


def stretches(spans: Collection[Span], channels: Iterable[str]) -> list[Stretch]:
    """Return the stretches in which every one of some channels is silent, in the order of time."""
    common: list[Stretch] | None = None
    for channel in channels:
        silent = sorted(
            (span.from_ms, span.to_ms)
            for span in spans
            if span.kind is SpanKind.SILENCE and span.channel == channel
        )
        common = silent if common is None else list(_overlaps(common, silent))
    return common or []


def longest_ms(spans: Collection[Span]) -> int:
    """Return how long nobody speaks at most, by the channels the spans tell of; 0 without a silence."""
    channels = sorted({span.channel for span in spans} - {BOTH})
    return max((end - begin for begin, end in stretches(spans, channels)), default=0)


def _overlaps(some: Sequence[Stretch], others: Sequence[Stretch]) -> Iterable[Stretch]:
    """Yield what lies in both; each comes in the order of time and without overlaps of its own."""
    first = second = 0
    while first < len(some) and second < len(others):
        begin = max(some[first][0], others[second][0])
        end = min(some[first][1], others[second][1])
        if begin < end:
            yield begin, end
        if some[first][1] < others[second][1]:
            first += 1
        else:
            second += 1
