"""Figures of days are those of the recordings: over months, the hours clocks are turned at, and what goes."""

from __future__ import annotations

import importlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import directory, erasure, recordings, rollups
from archive.catalogue.engine import Catalogue
from archive.catalogue.rollups import EVERYBODY, Tally, merged, tally
from archive.model import (
    ArchivedRecording,
    Direction,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Span,
    SpanKind,
    Tenant,
    User,
    UserId,
)

SUMMER = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
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


def stored(database: Any) -> dict[Any, Counter[str]]:
    names = list(Tally.__dataclass_fields__)
    rows = database.connect().execute(f"SELECT team_id, day, user_id, {', '.join(names)} FROM report_days")
    return {tuple(row[:3]): +Counter(dict(zip(names, row[3:], strict=True))) for row in rows}


def standing(database: Any) -> dict[Any, tuple[int, int]]:
    rows = database.connect().execute("SELECT team_id, user_id, recordings, size_bytes FROM report_standing")
    return {tuple(row[:2]): tuple(row[2:]) for row in rows}


@pytest.fixture
def world(database: Any, operator: Catalogue, bakery: Tenant) -> World:
    made = World(operator, bakery, seed=6)
    anna, ben, _ = made.people
    sales, service = made.teams
    made.joins(database, sales, anna, datetime(2026, 3, 1, tzinfo=UTC), EDGES[5])
    made.joins(database, service, anna, EDGES[5], None)
    made.joins(database, sales, anna, datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC))
    made.joins(database, sales, ben, datetime(2026, 1, 1, tzinfo=UTC), None)
    return made


def archive(catalogue: Catalogue, archived: ArchivedRecording) -> None:
    with catalogue.transaction(archived.recording.tenant_id) as connection:
        recordings.insert_recording(connection, archived)


def erase(catalogue: Catalogue, archived: ArchivedRecording) -> None:
    recording = archived.recording
    with catalogue.transaction(recording.tenant_id) as connection:
        erasure.erase(connection, recording.tenant_id, recording.id, recording.session_id, now=GONE_AT)


def test_figures_are_those_of_a_count_by_hand_over_months_and_turns_of_the_clock(
    database: Any,
    recorder: Catalogue,
    worker: Catalogue,
    world: World,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    """Every archived recording counts once, its team is that of the time, and what goes is taken off."""
    made = [world.call(make_recording) for _ in range(110)]
    for each in (*made, *made[::9]):  # a second time changes nothing
        archive(recorder, each)
    assert stored(database) == world.truth(made, [])
    assert {day_in_amsterdam(each.recording.started_at).month for each in made} >= set(range(3, 11))

    gone = made[::7]
    for each in gone:
        erase(worker, each)
    erase(worker, gone[0])
    assert stored(database) == world.truth(made, gone)
    left = [each for each in made if each not in gone]
    expected: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for each in made:
        for team_id in world.teams_of(each):
            add = (1, 5 * 1056) if each in left else (0, 0)
            found = expected[team_id, each.recording.owner]
            found[0], found[1] = found[0] + add[0], found[1] + add[1]
    assert standing(database) == {key: tuple(value) for key, value in expected.items()}


def test_what_was_archived_before_is_counted_the_same_by_the_migration(
    database: Any,
    recorder: Catalogue,
    world: World,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    made = [world.call(make_recording) for _ in range(40)]
    for each in made:
        archive(recorder, each)
    quarantined = make_recording(world.tenant.id, state=RecordingState.QUARANTINED)
    archive(recorder, quarantined)
    kept, stands = stored(database), standing(database)
    migration = importlib.import_module("archive.catalogue.migrations.versions.0078_report_days")
    admin = database.connect()
    with admin.transaction():
        admin.execute("TRUNCATE report_days, report_standing")
        admin.execute(migration.COUNTED)
    assert (stored(database), standing(database)) == (kept, stands)


def test_a_recording_in_quarantine_counts_for_nobody(
    database: Any, recorder: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    archive(recorder, make_recording(bakery.id, state=RecordingState.QUARANTINED))
    assert stored(database) == {}


def test_a_recording_that_became_larger_stands_larger_on_the_day_it_began(
    database: Any,
    worker: Catalogue,
    recorder: Catalogue,
    world: World,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    made = world.call(make_recording)
    archive(recorder, made)
    with worker.transaction(world.tenant.id) as connection:
        rollups.resized(connection, made.recording, 100)
    for (team_id, _day, owner), figures in stored(database).items():
        assert figures["size_bytes"] == 5 * 1056 + 100
        assert standing(database)[team_id, owner] == (1, 5 * 1056 + 100)


@pytest.mark.parametrize(
    ("spans", "stretches"),
    [
        ([("both", 10, 20), ("both", 20, 30)], [(10, 30)]),
        ([("a", 10, 20), ("b", 15, 40)], [(10, 40)]),
        ([("a", 10, 20), ("b", 21, 40)], [(10, 20), (21, 40)]),
        ([("a", 10, 10)], []),
    ],
)
def test_pauses_of_several_channels_that_touch_are_one(
    spans: list[tuple[str, int, int]], stretches: list[tuple[int, int]]
) -> None:
    assert merged(Span(SpanKind.PAUSE, *each) for each in spans) == stretches


def test_a_call_of_exactly_a_limit_is_not_below_it(
    bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    at = tally(make_recording(bakery.id, owner=UserId("x"), duration_ms=60_000).recording, 0)
    under = tally(make_recording(bakery.id, owner=UserId("x"), duration_ms=59_999).recording, 0)
    assert (at.below_1m, under.below_1m, under.below_30s) == (0, 1, 0)
