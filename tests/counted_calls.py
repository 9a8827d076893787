"""Calls of three people in two teams over months, and what they add up to, counted by hand.

The days are those of Europe/Amsterdam by the rule of the zone itself, written out here: nothing
of what is tested is asked. Calls begin around both turns of the clock and the ends of months too.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from archive.catalogue import directory, erasure, recordings
from archive.catalogue.engine import Catalogue
from archive.model import (
    ArchivedRecording,
    Direction,
    RecordingMode,
    RetentionClass,
    Span,
    SpanKind,
    Tenant,
    User,
)
from archive.reports.period import Period

EVERYBODY = ""
SUMMER = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
PERIODS = (
    Period(date(2026, 3, 1), date(2026, 3, 31)),
    Period(date(2026, 3, 28), date(2026, 3, 28)),
    Period(date(2026, 3, 29), date(2026, 3, 29)),
    Period(date(2026, 10, 25), date(2026, 10, 25)),
    Period(date(2026, 10, 1), date(2026, 10, 31)),
    Period(date(2026, 1, 1), date(2026, 12, 31)),
    Period(date(2026, 11, 1), date(2026, 11, 22)),
)
"""Months, the days on which clocks change, and what holds both."""

EDGES = (
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, 0, tzinfo=UTC),
    datetime(2026, 3, 28, 22, 59, 59, 999000, tzinfo=UTC),
    datetime(2026, 3, 28, 23, 0, tzinfo=UTC),
    datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 29, 22, 0, tzinfo=UTC),
    datetime(2026, 10, 24, 21, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 24, 22, 0, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 23, 0, tzinfo=UTC),
    datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC),
    datetime(2026, 2, 28, 23, 0, tzinfo=UTC),
    datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC),
    datetime(2026, 6, 30, 22, 0, tzinfo=UTC),
    datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 31, 23, 0, tzinfo=UTC),
)
"""Around both turns of the clock, and around midnight at the end of months."""

GONE_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
LENGTHS_MS = (
    29_999,
    30_000,
    59_999,
    119_999,
    120_000,
    299_999,
    300_000,
    600_000,
    1_799_999,
    3_599_999,
    3_600_000,
)


def day_in_amsterdam(moment: datetime) -> date:
    """Return the local day by the rule of the zone itself, not by its table."""
    hours = 2 if SUMMER[0] <= moment < SUMMER[1] else 1
    return (moment.astimezone(UTC).replace(tzinfo=None) + timedelta(hours=hours)).date()


class World:
    """People, the teams they were in and when, and what was recorded of them."""

    def __init__(self, operator: Catalogue, tenant: Tenant, seed: int) -> None:
        self.random, self.tenant = random.Random(seed), tenant
        began = datetime(2026, 1, 1, tzinfo=UTC)
        self.people = [
            directory.add_user(
                operator,
                tenant.id,
                login,
                now=began,
                licence=RetentionClass.DAYS_365,
                mode=RecordingMode.ALWAYS,
            )
            for login in ("anna", "ben", "cor")
        ]
        self.teams = [
            directory.add_team(operator, tenant.id, name, now=began) for name in ("Sales", "Service")
        ]
        self.periods: list[tuple[str, User, datetime, datetime | None]] = []

    def joins(self, database: Any, team_id: str, user: User, since: datetime, until: datetime | None) -> None:
        self.periods.append((team_id, user, since, until))
        database.connect().execute(
            "INSERT INTO team_members VALUES (%s, %s, %s, 'contributor', %s, %s)",
            (self.tenant.id, team_id, user.id, since, until),
        )

    def moment(self) -> datetime:
        if self.random.random() < 0.3:
            return self.random.choice(EDGES)
        return datetime(2026, 2, 20, tzinfo=UTC) + timedelta(seconds=self.random.randrange(260 * 86_400))

    def call(self, make: Callable[..., ArchivedRecording]) -> ArchivedRecording:
        began, length = (
            self.moment(),
            self.random.choice((*LENGTHS_MS, self.random.randrange(1000, 4_000_000))),
        )
        first, second = sorted(self.random.sample(range(length), 2))
        spans = self.random.choice(
            (
                (),
                (Span(SpanKind.LOSS, "a", 0, 500),),
                (Span(SpanKind.PAUSE, "a", first, second), Span(SpanKind.PAUSE, "b", first, second)),
                (Span(SpanKind.PAUSE, "both", 0, first), Span(SpanKind.PAUSE, "both", second, length)),
            )
        )
        return make(
            self.tenant.id,
            owner=self.random.choice(self.people).id,
            direction=self.random.choice(list(Direction)),
            started_at=began,
            ended_at=began + timedelta(milliseconds=length),
            duration_ms=length,
            recorded_ms=length - self.random.randrange(min(length, 900)),
            spans=spans,
        )

    def truth(self, made: list[ArchivedRecording], gone: list[ArchivedRecording]) -> dict[Any, Counter[str]]:
        """Count by hand what each person has on each day, for everybody and for each team."""
        counted: dict[Any, Counter[str]] = defaultdict(Counter)
        for each in made:
            for team_id in self.teams_of(each):
                found = counted[team_id, day_in_amsterdam(each.recording.started_at), each.recording.owner]
                found.update(self.figures(each))
        for each in gone:
            for team_id in self.teams_of(each):
                found = counted[team_id, day_in_amsterdam(GONE_AT), each.recording.owner]
                found.update(destroyed=1, destroyed_bytes=5 * 1056)
        return {key: +value for key, value in counted.items()}

    def teams_of(self, archived: ArchivedRecording) -> list[str]:
        began, owner = archived.recording.started_at, archived.recording.owner
        teams = {
            team_id
            for team_id, user, since, until in self.periods
            if user.id == owner and since <= began and (until is None or began < until)
        }
        return [EVERYBODY, *sorted(teams)]

    def figures(self, archived: ArchivedRecording) -> Counter[str]:
        recording, paused = (
            archived.recording,
            [span for span in archived.recording.spans if span.kind == "pause"],
        )
        stretches = {(span.from_ms, span.to_ms) for span in paused if span.to_ms > span.from_ms}
        return Counter(
            recordings=1,
            incoming=recording.direction == "in",
            outgoing=recording.direction == "out",
            duration_s=recording.duration_ms // 1000,
            recorded_s=recording.recorded_ms // 1000,
            paused=bool(stretches),
            pauses=len(stretches),
            paused_ms=sum(last - first for first, last in stretches),
            size_bytes=5 * 1056,
            below_30s=recording.duration_ms < 30_000,
            below_1m=recording.duration_ms < 60_000,
            below_2m=recording.duration_ms < 120_000,
            below_5m=recording.duration_ms < 300_000,
            below_10m=recording.duration_ms < 600_000,
            below_30m=recording.duration_ms < 1_800_000,
            below_1h=recording.duration_ms < 3_600_000,
        )


def people_of_teams(database: Any, operator: Catalogue, tenant: Tenant, seed: int) -> World:
    """Return a world in which people change teams at midnights and turns of the clock."""
    made = World(operator, tenant, seed)
    anna, ben, _ = made.people
    sales, service = made.teams
    made.joins(database, sales, anna, datetime(2026, 3, 1, tzinfo=UTC), EDGES[5])
    made.joins(database, service, anna, EDGES[5], None)
    made.joins(database, sales, anna, datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC))
    made.joins(database, sales, ben, datetime(2026, 1, 1, tzinfo=UTC), None)
    return made


def archive(catalogue: Catalogue, archived: ArchivedRecording) -> None:
    """Archive a recording as a recorder does."""
    with catalogue.transaction(archived.recording.tenant_id) as connection:
        recordings.insert_recording(connection, archived)


def erase(catalogue: Catalogue, archived: ArchivedRecording) -> None:
    """Destroy a recording at GONE_AT, as a worker does."""
    recording = archived.recording
    with catalogue.transaction(recording.tenant_id) as connection:
        erasure.erase(connection, recording.tenant_id, recording.id, recording.session_id, now=GONE_AT)
