"""Figures of days are those of the recordings: over months, the hours clocks are turned at, and what goes."""

from __future__ import annotations

import importlib
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from archive.catalogue import rollups
from archive.catalogue.engine import Catalogue
from archive.catalogue.rollups import Tally, merged, tally
from archive.model import ArchivedRecording, RecordingState, Span, SpanKind, Tenant, UserId
from tests.counted_calls import World, archive, day_in_amsterdam, erase, people_of_teams


def stored(database: Any) -> dict[Any, Counter[str]]:
    names = list(Tally.__dataclass_fields__)
    rows = database.connect().execute(f"SELECT team_id, day, user_id, {', '.join(names)} FROM report_days")
    return {tuple(row[:3]): +Counter(dict(zip(names, row[3:], strict=True))) for row in rows}


def standing(database: Any) -> dict[Any, tuple[int, int]]:
    rows = database.connect().execute("SELECT team_id, user_id, recordings, size_bytes FROM report_standing")
    return {tuple(row[:2]): tuple(row[2:]) for row in rows}


@pytest.fixture
def world(database: Any, operator: Catalogue, bakery: Tenant) -> World:
    return people_of_teams(database, operator, bakery, seed=6)


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
