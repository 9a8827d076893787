"""Minutes, listening and shares equal a generator's own count, over months with both turns of the clock."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import minutes, tables
from archive.catalogue.engine import Catalogue
from archive.model import ArchivedRecording, CallGroupId, Role, Tenant, UserId, new_id
from archive.reports.making import Asked, make
from archive.reports.period import Period
from archive.reports.report import Name
from retention.minutes import judge
from tests.counted_calls import EDGES, World, archive, day_in_amsterdam, people_of_teams

NOW = datetime(2026, 12, 22, 9, 30, tzinfo=UTC)
PERIODS = (
    Period(date(2026, 2, 1), date(2026, 2, 28)),
    Period(date(2026, 3, 28), date(2026, 3, 28)),
    Period(date(2026, 3, 29), date(2026, 3, 29)),
    Period(date(2026, 10, 24), date(2026, 10, 25)),
    Period(date(2026, 10, 1), date(2026, 10, 31)),
    Period(date(2026, 1, 1), date(2026, 12, 22)),
)


@pytest.fixture
def auditor(bakery: Tenant) -> AccessScope:
    return AccessScope(bakery.id, "user:x", Role.AUDITOR, UserId("x"))


@pytest.fixture
def world(database: Any, operator: Catalogue, bakery: Tenant) -> World:
    return people_of_teams(database, operator, bakery, seed=23)


@pytest.fixture
def calls(
    recorder: Catalogue, world: World, make_recording: Callable[..., ArchivedRecording]
) -> list[ArchivedRecording]:
    """Sixty calls, each of its own, many of them around midnights and turns of the clock."""
    made = []
    for n in range(60):
        call = world.call(make_recording)
        made.append(
            dataclasses.replace(
                call, recording=dataclasses.replace(call.recording, call_group=CallGroupId(f"call-{n}"))
            )
        )
        archive(recorder, made[-1])
    return made


def moment(dice: random.Random) -> datetime:
    if dice.random() < 0.5:
        return dice.choice(EDGES)
    return datetime(2026, 2, 20, tzinfo=UTC) + timedelta(seconds=dice.randrange(290 * 86_400))


def test_minutes_of_each_month_are_those_of_the_calls_that_began_in_it(
    recorder: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    auditor: AccessScope,
    world: World,
    calls: list[ArchivedRecording],
) -> None:
    truth: Counter[tuple[date, str]] = Counter()
    logins = {user.id: user.login for user in world.people}
    for each in calls:
        recording = each.recording
        assert recording.owner is not None
        with recorder.transaction(bakery.id) as connection:
            for _ in range(2):  # a booking that is done again books nothing
                minutes.book(connection, recording, judge, now=recording.ended_at)
        month = day_in_amsterdam(recording.started_at).replace(day=1)
        truth[month, logins[recording.owner]] += recording.recorded_ms // 1000
    for period in PERIODS:
        told = make(portal, auditor, Asked(Name.MINUTES, period), now=NOW)
        months = {each.replace(day=1) for each in period}
        assert {(row[0], row[1]): row[3] for row in told.rows if row[3]} == {
            place: seconds for place, seconds in truth.items() if place[0] in months and seconds
        }


def test_listening_is_what_each_played_of_whose_on_the_days_of_amsterdam(
    portal: Catalogue, bakery: Tenant, auditor: AccessScope, world: World, calls: list[ArchivedRecording]
) -> None:
    dice, audit = random.Random(5), AuditWriter(portal, "portal/one")
    happened: list[tuple[str, str, datetime, ArchivedRecording]] = []
    for _ in range(300):
        who, call = dice.choice(world.people), dice.choice(calls)
        action = dice.choice(
            ("recording.played", "recording.played", "recording.downloaded", "recording.viewed")
        )
        happened.append((who.id, action, moment(dice), call))
    with audit.transaction(bakery.id) as connection:
        for user_id, action, at, call in happened:
            thing = f"recording:{call.recording.id}"
            audit.append(
                connection, tenant_id=bakery.id, actor=f"user:{user_id}", action=action, object=thing, at=at
            )
    for period in PERIODS:
        for team in ("", *world.teams):
            played: dict[str, set[str]] = defaultdict(set)
            own: dict[str, set[str]] = defaultdict(set)
            taken: dict[str, set[str]] = defaultdict(set)
            for user_id, action, at, call in happened:
                if not period.first <= day_in_amsterdam(at) <= period.last:
                    continue
                if team not in world.teams_of(call):
                    continue
                if action == "recording.downloaded":
                    taken[user_id].add(call.recording.id)
                elif action == "recording.played":
                    played[user_id].add(call.recording.id)
                    if call.recording.owner == user_id:
                        own[user_id].add(call.recording.id)
            told = make(portal, auditor, Asked(Name.LISTENING, period, None, team or None), now=NOW)
            assert {row[0]: row[1:] for row in told.rows} == {
                user.login: (len(played[user.id]), len(own[user.id]), len(taken[user.id]))
                for user in world.people
                if played[user.id] or taken[user.id]
            }


def test_shares_and_mailed_files_are_those_of_the_days_of_amsterdam(
    portal: Catalogue, bakery: Tenant, auditor: AccessScope, world: World, calls: list[ArchivedRecording]
) -> None:
    dice = random.Random(7)
    rows: list[dict[str, Any]] = []
    for n in range(150):
        made_at = moment(dice)
        rows.append(
            {
                "id": new_id(made_at),
                "tenant_id": bakery.id,
                "recording_id": dice.choice(calls).recording.id,
                "token_hash": f"t{n}",
                "user_id": dice.choice(world.people).id,
                "title": "",
                "from_ms": 0,
                "to_ms": 1,
                "proof": "none",
                "plays": dice.randrange(4),
                "made_at": made_at,
                "ends_at": NOW + timedelta(days=dice.choice((-1, 1))),
                "revoked_at": dice.choice((None, None, NOW)),
            }
        )
    mails: list[dict[str, Any]] = []
    for _ in range(150):
        queued_at = moment(dice)
        mails.append(
            {
                "id": new_id(queued_at),
                "tenant_id": bakery.id,
                "recording_id": dice.choice(calls).recording.id,
                "actor": f"user:{dice.choice(world.people).id}",
                "kind": dice.choice(("file", "file", "share")),
                "recipient": "klant@mail.example",
                "language": "nl",
                "state": dice.choice(("sent", "sent", "failed")),
                "queued_at": queued_at,
            }
        )
    with portal.transaction(bakery.id) as connection:
        for row in rows:
            connection.execute(insert(tables.shares), row)
        for row in mails:
            connection.execute(insert(tables.mails), row)
    for period in PERIODS:
        truth: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            if period.first <= day_in_amsterdam(row["made_at"]) <= period.last:
                works = row["revoked_at"] is None and row["ends_at"] > NOW
                truth[row["user_id"]].update(made=1, plays=row["plays"], works=works)
        for row in mails:
            mailed = (row["kind"], row["state"]) == ("file", "sent")
            if mailed and period.first <= day_in_amsterdam(row["queued_at"]) <= period.last:
                truth[row["actor"].removeprefix("user:")].update(mails=1)
        told = make(portal, auditor, Asked(Name.SHARES, period), now=NOW)
        assert {row[0]: row[1:] for row in told.rows} == {
            user.login: tuple(truth[user.id][name] for name in ("made", "plays", "works", "mails"))
            for user in world.people
            if user.id in truth
        }
