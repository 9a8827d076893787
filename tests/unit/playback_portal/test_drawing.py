"""The small waveform: bars where somebody is heard, bands as wide as they lasted, numbers only."""

from __future__ import annotations

import re

import pytest

from archive.catalogue.lexemes import GAP_MS_MIN
from archive.model import Span, SpanKind
from archive.waveform import POINTS, Waveform
from playback_portal.drawing import BAND_WIDTH_MIN, BANDS_MAX, BARS, HEIGHT, WIDTH, mini

LOUD, QUIET = bytes([255]) * POINTS, bytes(POINTS)
DURATION_MS = 60_000
BAR = re.compile(r"M([\d.]+) ([\d.]+)v(-?[\d.]+)")


def bars(path: str) -> list[tuple[float, float, float]]:
    assert BAR.sub("", path) == ""
    return [(float(x), float(y), float(height)) for x, y, height in BAR.findall(path)]


def test_the_first_party_stands_above_the_line_and_the_other_below() -> None:
    drawn = mini(Waveform((LOUD, LOUD)), (), DURATION_MS)
    upper, lower = bars(drawn.upper), bars(drawn.lower)
    assert len(upper) == len(lower) == BARS
    assert all(y < HEIGHT / 2 and height < 0 and y + height >= 0 for _, y, height in upper)
    assert all(y > HEIGHT / 2 and height > 0 and y + height <= HEIGHT for _, y, height in lower)
    assert not drawn.is_mixed


def test_bars_stand_within_the_drawing_in_order() -> None:
    places = [x for x, _, _ in bars(mini(Waveform((LOUD,)), (), DURATION_MS).upper)]
    assert places == sorted(places)
    assert 0 < places[0] < places[-1] < WIDTH


def test_a_mixed_recording_is_one_lane_about_the_middle() -> None:
    drawn = mini(Waveform((LOUD,)), (), DURATION_MS)
    assert drawn.is_mixed
    assert [(x, -height) for x, _, height in bars(drawn.upper)] == [
        (x, height) for x, _, height in bars(drawn.lower)
    ]


def test_a_louder_moment_is_a_higher_bar_and_a_quiet_one_is_none() -> None:
    levels = bytes([10] * 40 + [100] * 40 + [0] * 40)
    heights = [-height for _, _, height in bars(mini(Waveform((levels, QUIET)), (), DURATION_MS).upper)]
    assert len(heights) == 40
    assert max(heights[:20]) < min(heights[20:])
    assert mini(Waveform((levels, QUIET)), (), DURATION_MS).lower == ""


@pytest.mark.parametrize("kind", [SpanKind.PAUSE, SpanKind.HOLD, SpanKind.LOSS])
def test_a_band_is_as_wide_as_it_lasted_and_nothing_is_drawn_in_it(kind: SpanKind) -> None:
    drawn = mini(Waveform((LOUD, LOUD)), [Span(kind, "both", 15_000, 30_000)], DURATION_MS)
    (band,) = drawn.bands
    assert (band.kind, float(band.x), float(band.width)) == (kind.value, 60.0, 60.0)
    assert band.edges == f"M60 0v{HEIGHT}M120 0v{HEIGHT}"
    assert not [x for x, _, _ in bars(drawn.upper) if 60 <= x < 120]
    assert len(bars(drawn.upper)) == BARS * 3 // 4


def test_what_is_said_or_silent_has_no_band_and_a_loss_nobody_hears_none_either() -> None:
    spans = [
        Span(SpanKind.SPEECH, "a", 0, 1000),
        Span(SpanKind.SILENCE, "a", 0, 1000),
        Span(SpanKind.LOSS, "a", 0, GAP_MS_MIN - 1),
    ]
    drawn = mini(Waveform((LOUD, LOUD)), spans, DURATION_MS)
    assert drawn.bands == ()
    assert len(bars(drawn.upper)) == BARS


def test_stretches_of_both_channels_are_one_band() -> None:
    spans = [Span(SpanKind.HOLD, "a", 0, 3000), Span(SpanKind.HOLD, "b", 1000, 4000)]
    assert len(mini(None, spans, DURATION_MS).bands) == 1


def test_a_short_band_can_be_seen_also_at_the_end() -> None:
    for first in (0, DURATION_MS - 300):
        (band,) = mini(None, [Span(SpanKind.LOSS, "a", first, first + 300)], DURATION_MS).bands
        assert float(band.width) >= BAND_WIDTH_MIN
        assert float(band.x) + float(band.width) <= WIDTH


@pytest.mark.parametrize("count", [BANDS_MAX, BANDS_MAX + 1])
def test_of_very_many_bands_the_longest_are_drawn(count: int) -> None:
    spans = [Span(SpanKind.LOSS, "a", 1000 * n, 1000 * n + 200 + n) for n in range(count)]
    drawn = mini(None, spans, DURATION_MS)
    assert len(drawn.bands) == BANDS_MAX
    assert (drawn.bands[0].x == "0") == (count == BANDS_MAX)


def test_without_a_waveform_there_are_bands_alone() -> None:
    drawn = mini(None, [Span(SpanKind.PAUSE, "both", 0, 1000)], DURATION_MS)
    assert (drawn.upper, drawn.lower, len(drawn.bands)) == ("", "", 1)


def test_a_recording_of_no_length_is_drawn_too() -> None:
    drawn = mini(Waveform((LOUD,)), [Span(SpanKind.PAUSE, "both", 0, 1)], 0)
    assert len(drawn.bands) == 1
