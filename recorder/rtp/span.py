"""Why a channel sounds as it does: the spans of a recording.

Each channel is a row of milliseconds, painted with reasons; a later coat covers the
earlier ones: silence, speech, loss, late start, and over all of them what the
recording itself did (hold, pause, before it began). What holds for every channel is one
span of channel `both`. Within a channel spans never overlap and leave no hole.

Rules: pure, numpy only. Not here: where packets stand (`timeline`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive.model import Span, SpanKind
from recorder.rtp.sequence import Integers, PacketSequence
from recorder.rtp.timeline import Placement

SAMPLES_PER_MS = 8
BOTH = "both"
RESTART = "restart"
CLOCK = "clock"
SPANS_COUNT_MAX = (
    10_000  # they stand in a database row and a page: a call with more has nothing to read in them
)

_COLOURS_MAX = 255  # a millisecond is one octet
_PACKET_SAMPLES_MAX = 480  # 60 ms: a hole larger than its missing packets can be is silence for the rest
_EDGE_TOLERANCE_SAMPLES = 800  # 100 ms: packets still on their way when a pause began are not lost

_RETURN_SAMPLES_MAX = 40_000  # 5 s: how long after its sockets are bound a recorder writes that it is back

Row = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Stretch:
    """Samples `begin` to `end`, and why they are as they are."""

    kind: SpanKind
    begin: int
    end: int
    by: str | None = None


@dataclass(frozen=True)
class Edge:
    """An `EdgeState` at its place on the timeline; `kind` is as there."""

    kind: str
    at: int
    by: str | None = None


@dataclass(frozen=True)
class Outage:
    """The recorder heard nothing from `alive`, its last packet before, to `back`; both are arrivals."""

    alive: int
    back: int


class Canvas:
    """Rows of milliseconds, and the reasons they are painted with."""

    def __init__(self, duration_ms: int) -> None:
        self._duration_ms = duration_ms
        self._colours: list[tuple[SpanKind, str | None]] = [(SpanKind.SILENCE, None)]

    def row(self) -> Row:
        """Return a row of silence."""
        return np.zeros(self._duration_ms, np.uint8)

    def paint(self, row: Row, coats: Iterable[Stretch]) -> None:
        """Paint stretches over what is there."""
        for coat in coats:
            row[max(coat.begin, 0) // SAMPLES_PER_MS : max(coat.end, 0) // SAMPLES_PER_MS] = self._colour(
                coat
            )

    def spans(self, channel: str, row: Row, *, but: Row | None = None) -> list[Span]:
        """Return the spans of a row, in order, leaving out the milliseconds that are painted in `but`."""
        hidden = np.zeros(len(row), np.bool_) if but is None else but > 0
        shown = np.where(hidden, _COLOURS_MAX, row) if hidden.any() else row
        if not len(shown):
            return []
        begins = np.concatenate(([0], np.flatnonzero(np.diff(shown)) + 1))
        ends = np.append(begins[1:], len(shown))
        return [
            Span(*self._named(int(shown[begin]), channel, int(begin), int(end)))
            for begin, end in zip(begins, ends, strict=True)
            if shown[begin] != _COLOURS_MAX
        ]

    def _named(
        self, colour: int, channel: str, begin: int, end: int
    ) -> tuple[SpanKind, str, int, int, str | None]:
        kind, by = self._colours[colour]
        return kind, channel, begin, end, by

    def _colour(self, coat: Stretch) -> int:
        wanted = (coat.kind, coat.by)
        if wanted not in self._colours and len(self._colours) >= _COLOURS_MAX - len(SpanKind):
            wanted = (coat.kind, None)
        if wanted not in self._colours:
            self._colours.append(wanted)
        return self._colours.index(wanted)


def edge_stretches(edges: Sequence[Edge], end: int) -> list[Stretch]:
    """Return when the recording was held, paused, stopped or not yet begun; in the order of painting.

    Without a `start` it records from its first moment. Before a start nobody asked for
    the media is late; before one that somebody asked for, it is a pause by them.
    """
    holds = _between(edges, SpanKind.HOLD, {"hold"}, {"unhold"}, end)
    # A pause that was not resumed ends with a new start as well.
    pauses = _between(edges, SpanKind.PAUSE, {"pause"}, {"resume", "start"}, end)
    stops = _between(edges, SpanKind.PAUSE, {"stop"}, {"start"}, end)
    turns = [edge for edge in edges if edge.kind in {"start", "stop"}]
    before = []
    if turns and turns[0].kind == "start" and turns[0].at > 0:
        kind = SpanKind.LATE if turns[0].by is None else SpanKind.PAUSE
        before = [Stretch(kind, 0, min(turns[0].at, end), turns[0].by)]
    return [*holds, *pauses, *stops, *before]


def recorded_ms(canvas: Canvas, stretches: Iterable[Stretch]) -> int:
    """Return the milliseconds that were recorded: all but pauses, stops, and the time before the start."""
    row = canvas.row()
    canvas.paint(row, (stretch for stretch in stretches if stretch.kind is not SpanKind.HOLD))
    return int(np.count_nonzero(row == 0))


def _between(
    edges: Sequence[Edge], kind: SpanKind, begin: set[str], until: set[str], end: int
) -> list[Stretch]:
    found, opened = [], None
    for edge in edges:
        if edge.kind in begin and opened is None:
            opened = edge
        elif edge.kind in until and opened is not None:
            found.append(Stretch(kind, opened.at, edge.at, opened.by))
            opened = None
    if opened is not None:
        found.append(Stretch(kind, opened.at, end, opened.by))
    return found


def outages(arrivals: Integers, restarts: Sequence[int]) -> list[Outage]:
    """Return when the recorder was away: for each restart the longest time without any packet near it.

    `arrivals` are those of all packets of the call, in order; `restarts` the moments at
    which the recorder said that it was back, which is a little after its sockets were.
    """
    found = []
    for restart in restarts:
        first = max(int(np.searchsorted(arrivals, restart - _RETURN_SAMPLES_MAX)) - 1, 0)
        last = int(np.searchsorted(arrivals, restart))
        near = np.append(arrivals[first : last + 1], [restart] if last == len(arrivals) else [])
        if last == 0 or len(near) < 2:
            continue
        longest = int(np.argmax(np.diff(near)))
        found.append(Outage(int(near[longest]), int(near[longest + 1])))
    return found


def losses(
    packets: PacketSequence, positions: Integers, silent: Sequence[Stretch], away: Sequence[Outage]
) -> tuple[list[Stretch], int]:
    """Return the stretches in which packets of a track are missing, and how many are.

    Not counted is what was not sent to us on purpose: numbers missing across `silent`
    stretches (pause, hold, stop).
    """
    behind = np.maximum.accumulate(positions + packets.size)
    lost, found = 0, []
    for index in np.flatnonzero(packets.missing > 0).tolist():
        begin, end, missing = int(behind[index - 1]), int(positions[index]), int(packets.missing[index])
        size = max(int(packets.size[index - 1]), int(packets.size[index]), 1)
        before, after = int(packets.alive[index]), int(packets.back[index])
        by = RESTART if any(before <= outage.alive < after for outage in away) else None
        across = [pause for pause in silent if pause.begin < end and begin < pause.end]
        if across:
            # A key pressed at the edge was sent: what is missing lies between its packets.
            heard, unheard = before - int(packets.arrival[index - 1]), int(packets.arrival[index]) - after
            pieces = _outside(begin + max(heard, 0), end - max(unheard, 0), across)
            missing = min(missing, sum((high - low) // size for low, high in pieces))
            found += [Stretch(SpanKind.LOSS, low, high, by) for low, high in pieces if high - low >= size]
        else:
            whole = end - begin <= missing * _PACKET_SAMPLES_MAX or by is not None
            found.append(Stretch(SpanKind.LOSS, begin, end if whole else begin + missing * size, by))
        lost += missing
    return [stretch for stretch in found if stretch.end > stretch.begin], lost


def _outside(begin: int, end: int, pauses: Sequence[Stretch]) -> list[tuple[int, int]]:
    """Return what of `begin` to `end` lies clear of the pauses."""
    pieces, at = [], begin
    for pause in sorted(pauses, key=lambda item: item.begin):
        if pause.begin - _EDGE_TOLERANCE_SAMPLES > at:
            pieces.append((at, pause.begin - _EDGE_TOLERANCE_SAMPLES))
        at = max(at, pause.end + _EDGE_TOLERANCE_SAMPLES)
    return [*pieces, (at, end)] if at < end else pieces


def outage_losses(
    tracks: Sequence[tuple[PacketSequence, Integers]], away: Sequence[Outage], placement: Placement
) -> list[Stretch]:
    """Return what one channel (its tracks and positions) missed while the recorder was away."""
    found = []
    for outage in away:
        begin, end = placement.at(outage.alive), placement.at(outage.back)
        for packets, positions in tracks:
            before = packets.arrival <= outage.alive
            if before.any():
                begin = max(begin, int((positions + packets.size)[before].max()))
        after = [positions[packets.arrival > outage.alive] for packets, positions in tracks]
        nexts = [int(part.min()) for part in after if len(part)]
        if nexts:
            # Somebody who was silent when it came back was not lost for as long as that lasted.
            end = min([*nexts, max(end, begin + _PACKET_SAMPLES_MAX)])
        if end > begin:
            found.append(Stretch(SpanKind.LOSS, begin, end, RESTART))
    return found


def limited(spans: Sequence[Span]) -> list[Span]:
    """Return at most SPANS_COUNT_MAX spans: of more, speech and silence go first, then short losses."""
    if len(spans) <= SPANS_COUNT_MAX:
        return list(spans)
    weighty = [span for span in spans if span.kind not in {SpanKind.SPEECH, SpanKind.SILENCE}]
    if len(weighty) > SPANS_COUNT_MAX:
        longest = sorted(range(len(weighty)), key=lambda n: (weighty[n].from_ms - weighty[n].to_ms, n))
        weighty = [weighty[n] for n in sorted(longest[:SPANS_COUNT_MAX])]
    return weighty
