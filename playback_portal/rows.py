"""A recording as a row of the list shows it.

Rules: pure. Texts for people are made in the template, from the words here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Protocol

from archive.access import AccessScope, may_annotate, may_download, may_play, needs_purpose
from archive.catalogue.labels import Label
from archive.catalogue.lexemes import Facet, facets_of
from archive.catalogue.listing import Beside
from archive.model import Direction, Party, Recording, RecordingId, UserId
from playback_portal.drawing import Mini, mini
from playback_portal.formats import ZONE

CALLER, CALLEE = "a", "b"
YEAR_DAYS = 365
WHOLE_DAYS_MAX = 2 * YEAR_DAYS
"""Up to here days are counted; above, years and days."""


@dataclass(frozen=True)
class Remaining:
    """How long a recording is kept yet: whole days, or years and days."""

    years: int
    days: int


@dataclass(frozen=True)
class Row:
    """All a row shows. `drawing` is None while there is none to show."""

    recording: Recording
    party: Party | None
    others: int
    owner: str
    drawing: Mini | None
    marks: frozenset[str]
    """What its badges say: the facets of `archive.catalogue.lexemes`, `hold` and `trash`."""
    remaining: Remaining
    plays: bool
    asks_purpose: bool
    downloads: bool
    labels: tuple[Label, ...] = ()
    favourite: bool = False
    annotates: bool = False
    stars: bool = False


@dataclass(frozen=True)
class Day:
    """The rows of one day, in the order of the page; `heads` is whether its name stands above them."""

    day: date
    heads: bool
    rows: tuple[Row, ...]


class Conversation(Protocol):
    """Who speaks with whom, in a recording or in a call under way."""

    @property
    def owner(self) -> UserId | None:
        """Who is recorded, None while nobody knows."""

    @property
    def direction(self) -> Direction:
        """Whether the recorded user was called."""

    @property
    def parties(self) -> Sequence[Party]:
        """Who takes part."""


def row(
    recording: Recording, scope: AccessScope, beside: Beside, logins: Mapping[UserId, str], now: datetime
) -> Row:
    """Return what the row of a recording shows to somebody."""
    others = other_parties(recording)
    plays = may_play(scope, recording)
    asks = needs_purpose(scope, recording)
    annotates = may_annotate(scope, recording) and not asks
    return Row(
        recording=recording,
        party=others[0] if others else None,
        others=max(0, len(others) - 1),
        owner=logins.get(recording.owner, "") if recording.owner is not None else "",
        # The picture is the contour of the voice: it takes the right to play.
        drawing=mini(beside.waveform, recording.spans, recording.duration_ms) if plays else None,
        marks=_marks(recording, beside),
        remaining=remaining(recording.retain_until, now),
        plays=plays,
        asks_purpose=asks,
        downloads=may_download(scope, recording) and not asks,
        labels=beside.labels,
        favourite=beside.favourite,
        annotates=annotates,
        stars=annotates and scope.user_id is not None,
    )


def _marks(recording: Recording, beside: Beside) -> frozenset[str]:
    found = {facet.value for facet in beside.facets | facets_of(recording.spans)}
    if Facet.COMMENT in beside.facets:
        found.discard(Facet.NOTE.value)
    # The labels themselves stand beside the badges.
    found.discard(Facet.LABEL.value)
    # What is looked for, and no trait of a call to be told with each.
    found.discard(Facet.SILENCE.value)
    found |= {"hold"} if recording.on_hold else set()
    return frozenset(found | (set() if beside.trashed_until is None else {"trash"}))


def rows(
    page: Iterable[Recording],
    scope: AccessScope,
    beside: Mapping[RecordingId, Beside],
    logins: Mapping[UserId, str],
    now: datetime,
) -> list[Row]:
    """Return the rows of a page."""
    return [row(recording, scope, beside[recording.id], logins, now) for recording in page]


def by_day(shown: Sequence[Row], before: date | None) -> list[Day]:
    """Return rows in the order of time by their day; `before` is the day the page before ended with."""
    days = []
    for began, each in groupby(shown, lambda row: row.recording.started_at.astimezone(ZONE).date()):
        days.append(Day(began, began != before, tuple(each)))
    return days


def undivided(shown: Sequence[Row], day: date) -> list[Day]:
    """Return rows in another order than that of time: under no name of a day."""
    return [Day(day, heads=False, rows=tuple(shown))]


def other_parties(recording: Conversation) -> list[Party]:
    """Return whom the recorded user spoke with: who called or was called first, each person once."""
    others = [
        party for party in recording.parties if party.user_id is None or party.user_id != recording.owner
    ]
    side = {Direction.IN: CALLER, Direction.OUT: CALLEE}.get(recording.direction)
    apart = any(party.channel == side for party in recording.parties)
    if apart and not any(party.user_id == recording.owner for party in recording.parties):
        # The recorded user is not named: whoever speaks on their own channel is them.
        others = [party for party in others if party.channel not in {CALLER, CALLEE} - {side}]
    others.sort(key=lambda party: party.channel != side)
    once = {(party.number, party.name): party for party in reversed(others)}
    return sorted(once.values(), key=others.index)


def remaining(until: datetime, now: datetime) -> Remaining:
    """Return how long it is until a moment, in whole days begun; nothing when it is past."""
    days = max(0, -((now - until) // timedelta(days=1)))
    if days <= WHOLE_DAYS_MAX:
        return Remaining(0, days)
    return Remaining(*divmod(days, YEAR_DAYS))
