"""Spans say why a channel sounds as it does, without overlap and without a hole."""

import numpy as np

from archive.model import Span, SpanKind
from recorder.rtp import span as spans
from recorder.rtp.span import Canvas, Edge, Outage, Stretch, edge_stretches, limited, outages, recorded_ms


def named(canvas: Canvas, row: np.ndarray) -> list[tuple[str, int, int, str | None]]:
    return [(item.kind.value, item.from_ms, item.to_ms, item.by) for item in canvas.spans("a", row)]


def test_later_coats_cover_earlier_ones() -> None:
    """Loss within speech splits it; nothing overlaps, nothing is left out."""
    canvas = Canvas(100)
    row = canvas.row()
    canvas.paint(row, [Stretch(SpanKind.SPEECH, 80, 640), Stretch(SpanKind.LOSS, 160, 320, "restart")])
    assert named(canvas, row) == [
        ("silence", 0, 10, None),
        ("speech", 10, 20, None),
        ("loss", 20, 40, "restart"),
        ("speech", 40, 80, None),
        ("silence", 80, 100, None),
    ]


def test_what_holds_for_all_channels_is_left_out_of_each() -> None:
    """A pause is one span of all channels, and a hole in each of them."""
    canvas = Canvas(100)
    every, row = canvas.row(), canvas.row()
    canvas.paint(every, [Stretch(SpanKind.PAUSE, 160, 400, "user:1")])
    assert [(item.from_ms, item.to_ms) for item in canvas.spans("a", row, but=every)] == [(0, 20), (50, 100)]


def test_a_length_in_samples_is_exact_in_milliseconds_wherever_it_stands() -> None:
    """160 samples are 20 ms from any sample on."""
    for begin in range(8000, 8016):
        canvas = Canvas(2000)
        row = canvas.row()
        canvas.paint(row, [Stretch(SpanKind.LOSS, begin, begin + 160)])
        assert int((row > 0).sum()) == 20


def test_more_reasons_than_colours_lose_only_their_name() -> None:
    """With hundreds of people pausing, the kinds stay right."""
    canvas = Canvas(400)
    row = canvas.row()
    canvas.paint(row, [Stretch(SpanKind.PAUSE, 8 * n, 8 * n + 8, f"user:{n}") for n in range(400)])
    found = named(canvas, row)
    assert {kind for kind, *_ in found} == {"pause"}
    assert sum(end - begin for _, begin, end, _ in found) == 400


def test_edges_become_pauses_and_holds_by_who_made_them() -> None:
    """Pause and hold have their own times; what is open at the end lasts to the end."""
    edges = [
        Edge("start", 0),
        Edge("hold", 800, "peer"),
        Edge("pause", 1600, "user:1"),
        Edge("unhold", 2400),
        Edge("resume", 3200, "user:2"),
        Edge("keep", 3300),
        Edge("pause", 4000, "api:1"),
    ]
    assert edge_stretches(edges, 8000) == [
        Stretch(SpanKind.HOLD, 800, 2400, "peer"),
        Stretch(SpanKind.PAUSE, 1600, 3200, "user:1"),
        Stretch(SpanKind.PAUSE, 4000, 8000, "api:1"),
    ]


def test_time_before_a_start_and_after_a_stop_was_not_recorded() -> None:
    """On demand with start: only what lies between start and stop counts."""
    edges = [Edge("start", 800, "user:1"), Edge("stop", 1600, "user:1"), Edge("start", 2400, "user:1")]
    stretches = edge_stretches(edges, 4000)
    canvas = Canvas(500)
    assert recorded_ms(canvas, stretches) == 100 + 200
    assert Stretch(SpanKind.PAUSE, 0, 800, "user:1") in stretches
    assert edge_stretches([Edge("start", 80)], 800) == [Stretch(SpanKind.LATE, 0, 80, None)]


def test_a_hold_counts_as_recorded_and_a_pause_within_it_does_not() -> None:
    """Minutes leave out pauses, not the music on hold."""
    edges = [Edge("hold", 0), Edge("pause", 800), Edge("resume", 1600), Edge("unhold", 4000)]
    assert recorded_ms(Canvas(1000), edge_stretches(edges, 8000)) == 900


def test_an_outage_is_the_longest_time_without_a_packet_before_the_restart() -> None:
    """The edge is written a little after the sockets are bound, so packets may stand before it."""
    arrivals = np.concatenate([np.arange(0, 8000, 80), np.arange(16_000, 24_000, 80)])
    assert outages(arrivals, [16_400]) == [Outage(7920, 16_000)]
    assert outages(arrivals[:100], [16_400]) == [Outage(7920, 16_400)]
    assert outages(arrivals[100:], [9_000]) == []
    assert outages(np.zeros(0, np.int64), [9_000]) == []


def test_at_most_the_limit_of_spans_is_kept(monkeypatch: object) -> None:
    """At the limit all stay; above it speech and silence go, then the shortest losses."""

    def made(count: int, kind: SpanKind) -> list[Span]:
        return [Span(kind, "a", 10 * n, 10 * n + 1 + n % 7) for n in range(count)]

    at = made(spans.SPANS_COUNT_MAX, SpanKind.LOSS)
    assert limited(at) == at
    assert limited([*at, Span(SpanKind.SPEECH, "a", 0, 1)]) == at
    above = limited([*at, Span(SpanKind.LOSS, "b", 0, 60_000)])
    assert len(above) == spans.SPANS_COUNT_MAX
    assert above[-1].channel == "b"
