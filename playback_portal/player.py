"""A recording as the player shows it: lanes, the stretches that are marked, what can be skipped.

A lane is one channel of the audio with who is heard there. A band is a stretch that is no
ordinary sound: a pause (somebody chose it), a wait (the exchange did it), a loss (it did
not arrive) or the late beginning of a channel. Losses closer together than one can hear
are one band. Quiet is where nobody speaks in any channel; only that is skipped.

Rules: pure. Times are milliseconds from the start of the recording. Not here: words and
numbers for people (the template), what is drawn (`web/wave.ts`).
"""

from __future__ import annotations

from dataclasses import dataclass

from archive import silence
from archive.audit import Json
from archive.model import Layout, Party, Recording, SpanKind
from archive.silence import Stretch
from playback_portal.formats import ZONE

ALL_CHANNELS = frozenset({"both", "mixed"})
BAND_KINDS = (SpanKind.PAUSE, SpanKind.HOLD, SpanKind.LOSS, SpanKind.LATE)

LOSS_GAP_MS = 1000
"""Losses less than a second apart are one disturbance to whoever listens."""

LATE_MS_MIN = 200
"""The first packet is always a moment later than the call; sooner than this nobody hears it."""

QUIET_MS_MIN = 700
"""Shorter silences belong to speaking; without them a conversation sounds hunted."""

BANDS_COUNT_MAX = 400
"""More marks than pixels help nobody; the longest are shown, pauses and waits before losses."""

_LEAST_MS = {SpanKind.LATE: LATE_MS_MIN}


@dataclass(frozen=True)
class Lane:
    """One channel: its name in the audio and who is heard there, in turn."""

    channel: str
    parties: tuple[Party, ...]

    @property
    def voices(self) -> tuple[Party, ...]:
        """Who can be named of those heard here, each once, however often they came and went."""
        known = {(party.name, party.number): party for party in self.parties if party.name or party.number}
        return tuple(known.values())


@dataclass(frozen=True)
class Band:
    """A marked stretch; `lane` is its lane, None for all of them. `by` is who or what caused it."""

    kind: SpanKind
    from_ms: int
    to_ms: int
    lane: int | None
    by: str | None
    count: int = 1

    @property
    def length_ms(self) -> int:
        """How long it lasted."""
        return self.to_ms - self.from_ms


def lanes(recording: Recording) -> tuple[Lane, ...]:
    """Return the lanes from above to below: the caller first, every channel where there are more."""
    mixed = recording.layout is Layout.MIXED
    return tuple(
        Lane(channel, tuple(p for p in recording.parties if mixed or p.channel == channel))
        for channel in recording.channels
    )


def bands(recording: Recording) -> list[Band]:
    """Return the marked stretches in the order of time, at most BANDS_COUNT_MAX."""
    numbers = {channel: number for number, channel in enumerate(recording.channels)}
    found: list[Band] = []
    for span in sorted(recording.spans, key=lambda each: each.from_ms):
        if span.kind not in BAND_KINDS or span.to_ms - span.from_ms < _LEAST_MS.get(span.kind, 1):
            continue
        lane = None if span.channel in ALL_CHANNELS or len(numbers) == 1 else numbers.get(span.channel)
        band = Band(span.kind, span.from_ms, span.to_ms, lane, span.by)
        if not _joined(found, band):
            found.append(band)
    if len(found) > BANDS_COUNT_MAX:
        weight = {SpanKind.PAUSE: 0, SpanKind.HOLD: 0}
        found.sort(key=lambda each: (weight.get(each.kind, 1), -each.length_ms))
        found = sorted(found[:BANDS_COUNT_MAX], key=lambda each: each.from_ms)
    return found


def _joined(found: list[Band], band: Band) -> bool:
    """Join a loss to the one before it when nobody could tell them apart; return whether it was."""
    for place in range(len(found) - 1, max(len(found) - 4, -1), -1):
        before = found[place]
        if before.kind is not band.kind or before.by != band.by:
            continue
        near = band.from_ms - before.to_ms < LOSS_GAP_MS if band.kind is SpanKind.LOSS else False
        same = (before.from_ms, before.to_ms) == (band.from_ms, band.to_ms)
        if near or same:
            lane = before.lane if before.lane == band.lane else None
            until = max(before.to_ms, band.to_ms)
            found[place] = Band(band.kind, before.from_ms, until, lane, band.by, before.count + 1)
            return True
    return False


def quiet(recording: Recording) -> list[Stretch]:
    """Return the stretches in which every channel is silent, each of at least QUIET_MS_MIN."""
    found = silence.stretches(recording.spans, recording.channels)
    return [(begin, end) for begin, end in found if end - begin >= QUIET_MS_MIN]


def document(recording: Recording, position_ms: int) -> dict[str, Json]:
    """Return what the script of the player is told, beside its words."""
    began = recording.started_at.astimezone(ZONE)
    since_midnight_ms = ((began.hour * 60 + began.minute) * 60 + began.second) * 1000 + (
        began.microsecond // 1000
    )
    return {
        "id": recording.id,
        "durationMs": recording.duration_ms,
        "beganMs": since_midnight_ms,
        "positionMs": position_ms,
        "channels": list(recording.channels),
        "bands": [
            {
                "kind": "loss" if band.kind is SpanKind.LATE else band.kind.value,
                "late": band.kind is SpanKind.LATE,
                "fromMs": band.from_ms,
                "toMs": band.to_ms,
                "lane": band.lane,
            }
            for band in bands(recording)
        ],
        "quiet": [[begin, end] for begin, end in quiet(recording)],
    }
