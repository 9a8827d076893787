"""Reports say what was counted by hand, to whom they may, of the days that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from archive.access import AccessScope, Scope
from archive.allowance import forecast_s, reached_on
from archive.audit import AuditWriter
from archive.catalogue import figures, sessions, tables
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound, Refused
from archive.model import (
    ArchivedRecording,
    OutcomeKind,
    Role,
    SessionId,
    SessionOutcome,
    Tenant,
    UserId,
    new_id,
)
from archive.reports.making import Asked, make
from archive.reports.period import Period
from archive.reports.report import By, Name, Report
from tests.counted_calls import GONE_AT, PERIODS, World, archive, day_in_amsterdam, erase, people_of_teams

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = Period(date(2026, 11, 22), date(2026, 11, 22))


def scope_of(tenant: Tenant, role: Role | None, user_id: str = "x", **more: Any) -> AccessScope:
    scopes = frozenset() if role else frozenset({Scope.REPORTS_READ})
    return AccessScope(tenant.id, f"user:{user_id}", role, UserId(user_id), scopes=scopes, **more)


@pytest.fixture
def auditor(bakery: Tenant) -> AccessScope:
    return scope_of(bakery, Role.AUDITOR)


@pytest.fixture
def world(database: Any, operator: Catalogue, bakery: Tenant) -> World:
    return people_of_teams(database, operator, bakery, seed=11)


def summed(counted: dict[Any, Counter[str]], period: Period, team: str, key: int) -> dict[Any, Counter[str]]:
    """Add up what was counted by hand, by the day (1) or the person (2) of its key."""
    found: dict[Any, Counter[str]] = {}
    for place, counts in counted.items():
        if place[0] == team and period.first <= place[1] <= period.last:
            found.setdefault(place[key], Counter()).update(counts)
    return found


def table(report: Report) -> dict[Any, dict[str, Any]]:
    keys = [column.key for column in report.columns]
    return {row[0]: dict(zip(keys[1:], row[1:], strict=True)) for row in report.rows}


def test_reports_of_any_period_equal_a_count_by_hand(
    portal: Catalogue,
    recorder: Catalogue,
    worker: Catalogue,
    bakery: Tenant,
    auditor: AccessScope,
    world: World,
    make_recording: Callable[..., ArchivedRecording],
) -> None:
    """Over months with both turns of the clock, for everybody and each team, by person and by day."""
    made = [world.call(make_recording) for _ in range(100)]
    for each in made:
        archive(recorder, each)
    gone = made[::9]
    for each in gone:
        erase(worker, each)
    counted = world.truth(made, gone)
    logins = {user.id: user.login for user in world.people}
    for period in PERIODS:
        for team in ("", *world.teams):
            of_team = team or None

            def ask(
                name: Name, by: By | None = None, period: Period = period, team_id: str | None = of_team
            ) -> Report:
                return make(portal, auditor, Asked(name, period, by, team_id), now=NOW)

            people = {logins[key]: value for key, value in summed(counted, period, team, 2).items()}
            by_user = table(ask(Name.USAGE))
            assert {key: row["recordings"] for key, row in by_user.items()} == {
                key: value["recordings"] for key, value in people.items() if value["recordings"]
            }
            for login, row in by_user.items():
                assert row["recordedSeconds"] == people[login]["recorded_s"]
                assert row["durationSeconds"] == people[login]["duration_s"]
                assert (row["incoming"], row["outgoing"]) == (
                    people[login]["incoming"],
                    people[login]["outgoing"],
                )
                assert row["internal"] == row["recordings"] - row["incoming"] - row["outgoing"]
            days = summed(counted, period, team, 1)
            by_day = table(ask(Name.USAGE, By.DAY))
            assert list(by_day) == list(period)
            assert {day: row["recordings"] for day, row in by_day.items() if row["recordings"]} == {
                day: value["recordings"] for day, value in days.items() if value["recordings"]
            }
            destroyed = table(ask(Name.DESTRUCTION))
            assert {
                day: row["destroyedRecordings"]
                for day, row in destroyed.items()
                if row["destroyedRecordings"]
            } == {day: value["destroyed"] for day, value in days.items() if value["destroyed"]}
            pauses = table(ask(Name.PAUSES))
            for login, row in pauses.items():
                assert (row["pausedRecordings"], row["pauses"], row["pausedSeconds"]) == (
                    people[login]["paused"],
                    people[login]["pauses"],
                    people[login]["paused_ms"] // 1000,
                )
            lengths = table(ask(Name.DURATION))
            assert sum(row["recordings"] for row in lengths.values()) == sum(
                v["recordings"] for v in days.values()
            )
            assert lengths["30s"]["recordings"] == sum(v["below_30s"] for v in days.values())
            assert lengths["longer"]["recordings"] == sum(
                v["recordings"] - v["below_1h"] for v in days.values()
            )
            storage = table(ask(Name.STORAGE))
            for day, row in storage.items():
                sums = days.get(day, Counter())
                assert (row["addedBytes"], row["destroyedBytes"]) == (
                    sums["size_bytes"],
                    sums["destroyed_bytes"],
                )
            assert storage[period.last]["standingRecordings"] == standing(
                world, made, gone, team, period.last
            )
            assert storage[period.first]["standingRecordings"] == standing(
                world, made, gone, team, period.first
            )


def standing(
    world: World, made: list[ArchivedRecording], gone: list[ArchivedRecording], team: str, last: date
) -> int:
    came = [each for each in made if team in world.teams_of(each) and began(each) <= last]
    left = [each for each in gone if team in world.teams_of(each) and day_in_amsterdam(GONE_AT) <= last]
    return len(came) - len(left)


def began(archived: ArchivedRecording) -> date:
    return day_in_amsterdam(archived.recording.started_at)


@pytest.fixture
def two_calls(
    recorder: Catalogue, world: World, make_recording: Callable[..., ArchivedRecording]
) -> list[ArchivedRecording]:
    """One call of Ben, who is in Sales, and one of Cor, who is in no team."""
    _, ben, cor = world.people
    made = [make_recording(world.tenant.id, owner=user.id) for user in (ben, cor)]
    for each in made:
        archive(recorder, each)
    return made


@pytest.mark.parametrize(
    ("role", "of_team", "manages", "seen"),
    [
        (Role.ADMINISTRATOR, None, False, ["ben", "cor"]),
        (Role.AUDITOR, None, False, ["ben", "cor"]),
        (None, None, False, ["ben", "cor"]),
        (Role.ADMINISTRATOR, "Sales", False, ["ben"]),
        (Role.USER, None, False, ["cor"]),
        (Role.USER, None, True, ["cor"]),
        (Role.USER, "Sales", True, ["ben"]),
    ],
)
def test_everybody_sees_the_numbers_they_may(
    portal: Catalogue,
    bakery: Tenant,
    world: World,
    two_calls: list[ArchivedRecording],
    role: Role | None,
    of_team: str | None,
    manages: bool,
    seen: list[str],
) -> None:
    sales = world.teams[0]
    managed = frozenset({sales}) if manages else frozenset()
    scope = scope_of(bakery, role, world.people[2].id, managed_team_ids=managed, team_ids=managed)
    asked = Asked(Name.USAGE, DAY, None, sales if of_team else None)
    assert [row[0] for row in make(portal, scope, asked, now=NOW).rows] == seen


def test_a_team_one_does_not_manage_is_not_there(
    portal: Catalogue, bakery: Tenant, world: World, two_calls: list[ArchivedRecording]
) -> None:
    listener = scope_of(bakery, Role.USER, world.people[1].id, team_ids=frozenset(world.teams))
    with pytest.raises(NotFound):
        make(portal, listener, Asked(Name.USAGE, DAY, None, world.teams[0]), now=NOW)


def test_a_key_without_the_scope_sees_no_report(portal: Catalogue, bakery: Tenant) -> None:
    key = AccessScope(bakery.id, "api-client:x", scopes=frozenset({Scope.RECORDINGS_READ}))
    with pytest.raises(Refused, match="reports:read"):
        make(portal, key, Asked(Name.USAGE, DAY), now=NOW)


def test_another_tenant_has_none_of_the_numbers(
    portal: Catalogue, florist: Tenant, two_calls: list[ArchivedRecording]
) -> None:
    for name in Name:
        assert make(portal, scope_of(florist, Role.AUDITOR), Asked(name, DAY), now=NOW).is_empty


def test_how_sessions_ended_is_told_by_day_and_to_nobody_who_may_not(
    portal: Catalogue, recorder: Catalogue, bakery: Tenant, auditor: AccessScope
) -> None:
    for n, kind in enumerate(
        (OutcomeKind.RECORDED, OutcomeKind.RECORDED, OutcomeKind.FAILED, OutcomeKind.MODE_NEVER)
    ):
        outcome = SessionOutcome(SessionId(f"s-{n}"), "c", kind, "", NOW, NOW, tenant_id=bakery.id)
        with recorder.transaction(bakery.id) as connection:
            sessions.insert_outcome(connection, outcome)
    told = table(make(portal, auditor, Asked(Name.COMPLETENESS, DAY), now=NOW))[DAY.first]
    assert (told["sessions"], told["recorded"], told["failed"], told["modeNever"]) == (4, 2, 1, 1)
    assert told["percent"] == 75.0
    with pytest.raises(Refused):
        make(portal, scope_of(bakery, Role.USER, "u"), Asked(Name.COMPLETENESS, DAY), now=NOW)


def test_a_recording_counts_once_a_listener_however_often_it_is_played(
    portal: Catalogue, bakery: Tenant, auditor: AccessScope, world: World, two_calls: list[ArchivedRecording]
) -> None:
    audit, (_, ben, cor) = AuditWriter(portal, "portal/one"), world.people
    of_ben, of_cor = (f"recording:{each.recording.id}" for each in two_calls)
    with portal.transaction(bakery.id) as connection:
        for user, action, thing in (
            (ben, "recording.played", of_ben),
            (ben, "recording.played", of_ben),
            (ben, "recording.played", of_cor),
            (cor, "recording.downloaded", of_cor),
            (cor, "recording.viewed", of_cor),
        ):
            audit.append(
                connection, tenant_id=bakery.id, actor=f"user:{user.id}", action=action, object=thing, at=NOW
            )
    heard = make(portal, auditor, Asked(Name.LISTENING, DAY), now=NOW)
    assert heard.rows == (("ben", 2, 1, 0), ("cor", 0, 0, 1))
    of_sales = make(portal, auditor, Asked(Name.LISTENING, DAY, None, world.teams[0]), now=NOW)
    assert of_sales.rows == (("ben", 1, 1, 0),)
    own = make(portal, scope_of(bakery, Role.USER, cor.id), Asked(Name.LISTENING, DAY), now=NOW)
    assert own.rows == (("ben", 1, 0, 0), ("cor", 0, 0, 1))


def test_shares_are_told_by_who_made_them(
    database: Any, portal: Catalogue, bakery: Tenant, auditor: AccessScope, world: World,
    two_calls: list[ArchivedRecording],
) -> None:  # fmt: skip
    _, ben, cor = world.people
    with database.catalogue("earwitness_portal").transaction(bakery.id) as connection:
        for n, (user, ends) in enumerate(((ben, 1), (ben, -1), (cor, 1))):
            row = {
                "id": new_id(NOW), "tenant_id": bakery.id, "recording_id": two_calls[0].recording.id, "title": "",
                "token_hash": f"t{n}", "user_id": user.id, "from_ms": 0, "to_ms": 1, "proof": "none", "plays": n,
                "made_at": NOW, "ends_at": NOW + timedelta(days=ends),
            }  # fmt: skip
            connection.execute(insert(tables.shares), row)
    told = make(portal, auditor, Asked(Name.SHARES, DAY), now=NOW)
    assert told.rows == (("ben", 2, 1, 1, 0), ("cor", 1, 2, 1, 0))
    assert told.totals == (None, 3, 3, 2, 0)


def test_minutes_stand_beside_what_the_licence_allows_with_the_pace_of_the_month(
    database: Any, portal: Catalogue, bakery: Tenant, auditor: AccessScope, world: World
) -> None:
    anna = world.people[0]
    admin = database.connect()
    admin.execute(
        "INSERT INTO user_licences VALUES (%s, %s, %s, '7y-1000')",
        (bakery.id, anna.id, NOW - timedelta(days=100)),
    )
    for month, booked_s in ((date(2026, 10, 1), 600), (date(2026, 11, 1), 45_000)):
        admin.execute(
            "INSERT INTO minute_months VALUES (%s, %s, %s, %s)", (bakery.id, anna.id, month, booked_s)
        )
    told = make(portal, auditor, Asked(Name.MINUTES, Period(date(2026, 10, 15), date(2026, 11, 22))), now=NOW)
    october, november = told.rows
    assert october == (date(2026, 10, 1), "anna", "7y-1000", 600, 60_000, 1.0, None, None)
    assert november[:6] == (date(2026, 11, 1), "anna", "7y-1000", 45_000, 60_000, 75.0)
    assert november[6] == forecast_s(45_000, NOW)
    assert november[7] == reached_on(45_000, 60_000, NOW) == date(2026, 11, 29)


def test_a_month_stands_beside_the_licence_one_had_last_in_it(
    database: Any, portal: Catalogue, bakery: Tenant, auditor: AccessScope, world: World
) -> None:
    """By the calendar of Amsterdam: what came in force on the first at midnight there is the next month's."""
    anna = world.people[0]
    admin = database.connect()
    for valid_from, licence in (
        (datetime(2026, 9, 1, tzinfo=UTC), "7y-1000"),
        (datetime(2026, 10, 31, 23, tzinfo=UTC), "7y-3500"),
    ):
        admin.execute(
            "INSERT INTO user_licences VALUES (%s, %s, %s, %s)", (bakery.id, anna.id, valid_from, licence)
        )
    for month in (date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)):
        admin.execute("INSERT INTO minute_months VALUES (%s, %s, %s, 60)", (bakery.id, anna.id, month))
    told = make(portal, auditor, Asked(Name.MINUTES, Period(date(2026, 9, 1), date(2026, 11, 22))), now=NOW)
    assert [row[2] for row in told.rows] == ["7y-1000", "7y-1000", "7y-3500"]


def test_a_report_of_more_rows_than_there_can_be_is_refused_and_not_cut(
    portal: Catalogue,
    auditor: AccessScope,
    two_calls: list[ArchivedRecording],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "ROWS_MAX", 2)
    assert len(make(portal, auditor, Asked(Name.USAGE, DAY), now=NOW).rows) == 2
    monkeypatch.setattr(figures, "ROWS_MAX", 1)
    with pytest.raises(Refused, match="at most 1 rows"):
        make(portal, auditor, Asked(Name.USAGE, DAY), now=NOW)


def test_rows_by_team_are_not_added_up_for_who_is_in_two_counts_twice(
    portal: Catalogue, auditor: AccessScope, world: World, two_calls: list[ArchivedRecording]
) -> None:
    by_team = make(portal, auditor, Asked(Name.USAGE, DAY, By.TEAM), now=NOW)
    assert [row[:2] for row in by_team.rows] == [("Sales", 1)]
    assert set(by_team.totals) == {None}


def test_a_report_is_grouped_by_what_it_can_be(portal: Catalogue, auditor: AccessScope) -> None:
    with pytest.raises(Refused, match="grouped by"):
        make(portal, auditor, Asked(Name.STORAGE, DAY, By.USER), now=NOW)
