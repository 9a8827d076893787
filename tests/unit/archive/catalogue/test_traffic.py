"""Bandwidth says what a count by hand says: by exchange, site and day, over months and both turns of the clock."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from archive.access import AccessScope, Scope
from archive.catalogue import peers, sessions, traffic
from archive.catalogue.engine import Catalogue
from archive.errors import Refused
from archive.model import (
    OutcomeKind,
    PeerId,
    Role,
    SessionId,
    SessionOutcome,
    Tenant,
    TenantId,
    UserId,
)
from archive.reports.making import Asked, make
from archive.reports.period import Period
from archive.reports.report import By, Name
from tests.counted_calls import EDGES, PERIODS, day_in_amsterdam

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
HOURS = {date(2026, 3, 29): 23, date(2026, 10, 25): 25}
FIVE = timedelta(minutes=5)


def scope_of(tenant: Tenant, role: Role) -> AccessScope:
    return AccessScope(tenant.id, "user:x", role, UserId("x"))


def ended(
    recorder: Catalogue,
    tenant_id: TenantId,
    began: datetime,
    octets: tuple[int, ...],
    *,
    peer_id: str | None = None,
    site: str | None = None,
    session: str | None = None,
) -> SessionOutcome:
    """Let a session end as a recorder tells it."""
    outcome = SessionOutcome(
        SessionId(session or f"{began.timestamp()}-{peer_id}-{site}-{octets}"), "c", OutcomeKind.RECORDED, "",
        began, began + FIVE * len(octets), tenant_id=tenant_id, octets=octets, site=site,
        peer_id=None if peer_id is None else PeerId(peer_id),
    )  # fmt: skip
    with recorder.transaction(tenant_id) as connection:
        sessions.insert_outcome(connection, outcome)
    return outcome


def seconds_of(period: Period) -> float:
    """Return how long a period is, counted in hours of each day; of the last one what is over of it."""
    whole = sum(HOURS.get(day, 24) for day in period if day < NOW.date()) * 3600
    return whole + (10.5 * 3600 if NOW.date() in period else 0)


def test_bandwidth_of_any_period_equals_a_count_by_hand(
    operator: Catalogue, portal: Catalogue, recorder: Catalogue, bakery: Tenant
) -> None:
    dice = random.Random(5)
    names = {
        peers.add_peer(operator, name, [f"192.0.2.{n}"], now=NOW, tenant_id=bakery.id).id: name
        for n, name in enumerate(("Noord", "Zuid"))
    } | {"gone": ""}
    sites = {"Goes": "Goes", None: ""}
    steps: dict[tuple[str, str, datetime], int] = defaultdict(int)
    for n in range(150):
        began = (
            dice.choice(EDGES)
            if dice.random() < 0.4
            else NOW - timedelta(seconds=dice.randrange(270 * 86_400))
        )
        octets = tuple(dice.choice((0, 1, dice.randrange(5_000_000))) for _ in range(dice.randrange(1, 40)))
        peer_id, site = dice.choice(list(names)), dice.choice(list(sites))
        ended(recorder, bakery.id, began, octets, peer_id=peer_id, site=site, session=f"s-{n}")
        minute = began.replace(minute=began.minute - began.minute % 5, second=0, microsecond=0)
        for at, count in enumerate(octets):
            steps[names[peer_id], sites[site], minute + at * FIVE] += count
    for period in PERIODS:
        within = {
            key: count
            for key, count in steps.items()
            if period.first <= day_in_amsterdam(key[2]) <= period.last
        }
        for by, told in (
            (By.PEER, lambda key: (key[0], key[1])),
            (By.SITE, lambda key: (key[1],)),
            (By.DAY, lambda key: (day_in_amsterdam(key[2]), key[0], key[1])),
        ):
            totals: Counter[tuple[object, ...]] = Counter()
            busiest: dict[tuple[object, ...], Counter[datetime]] = defaultdict(Counter)
            for key, count in within.items():
                totals[told(key)] += count
                busiest[told(key)][key[2]] += count
            report = make(portal, scope_of(bakery, Role.AUDITOR), Asked(Name.BANDWIDTH, period, by), now=NOW)
            found = {row[:-3]: row[-3:] for row in report.rows}
            assert {key: row[0] for key, row in found.items()} == {key: n for key, n in totals.items() if n}
            for key, (count, mean, peak) in found.items():
                seconds = seconds_of(Period(key[0], key[0]) if by is By.DAY else period)
                assert mean == round(count * 8 / seconds / 1000, 1)
                assert peak == round(max(busiest[key].values()) * 8 / 300 / 1000, 1)
            assert report.totals[-3] == sum(totals.values())
            assert report.totals[-2:] == (None, None)
            assert [row[:-3] for row in report.rows] == sorted(found)


def test_two_recordings_of_one_session_count_once_whatever_comes_first(
    portal: Catalogue, recorder: Catalogue, bakery: Tenant
) -> None:
    """Of each step the larger: one of them was paused, or began later."""
    day = Period(NOW.date(), NOW.date())
    for n, (one, other) in enumerate((((100, 0, 50), (30, 40)), ((30, 40), (100, 0, 50)))):
        began = NOW + timedelta(seconds=n)
        ended(recorder, bakery.id, began, one, session=f"s-{n}")
        ended(recorder, bakery.id, began + FIVE, other, session=f"s-{n}")
        ended(recorder, bakery.id, began + FIVE, other, session=f"s-{n}")
    # 100, 30, 50 of the first; 30, 100, 0, 50 of the second, whose other one began a step later.
    report = make(portal, scope_of(bakery, Role.AUDITOR), Asked(Name.BANDWIDTH, day), now=NOW)
    assert report.rows[0][2] == (100 + 30 + 50) + (30 + 100 + 0 + 50)


def test_what_is_joined_stands_by_the_clock_of_the_earlier_one() -> None:
    def of(began: datetime, octets: tuple[int, ...]) -> SessionOutcome:
        return SessionOutcome(SessionId("s"), "c", OutcomeKind.RECORDED, "", began, began, octets=octets)

    nine = datetime(2026, 11, 22, 9, 4, 59, tzinfo=UTC)
    assert traffic.merged(of(nine, (5, 6)), of(nine + timedelta(seconds=1), (7, 8))) == (5, 7, 8)
    assert traffic.merged(of(nine, ()), of(nine + FIVE, (1,))) == (0, 1)
    assert traffic.merged(of(nine, ()), of(nine, ())) == ()
    begins = list(traffic.steps_of(of(nine, (1, 2, 3))))
    assert begins[0] == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    assert {later - earlier for earlier, later in pairwise(begins)} == {FIVE}


def test_bandwidth_is_for_administrators_and_auditors_and_of_one_tenant(
    portal: Catalogue, recorder: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    ended(recorder, bakery.id, NOW, (1000,))
    asked = Asked(Name.BANDWIDTH, Period(NOW.date(), NOW.date()))
    assert make(portal, scope_of(bakery, Role.ADMINISTRATOR), asked, now=NOW).totals[2] == 1000
    assert make(portal, scope_of(florist, Role.AUDITOR), asked, now=NOW).is_empty
    manager = AccessScope(
        bakery.id,
        "user:m",
        Role.USER,
        UserId("m"),
        team_ids=frozenset({"t"}),
        managed_team_ids=frozenset({"t"}),
    )
    program = AccessScope(bakery.id, "api-client:p", scopes=frozenset({Scope.RECORDINGS_READ}))
    for scope in (manager, program):
        with pytest.raises(Refused):
            make(portal, scope, asked, now=NOW)


def test_a_session_is_remembered_with_what_it_received(recorder: Catalogue, bakery: Tenant) -> None:
    outcome = ended(recorder, bakery.id, NOW, (1, 0, 3), site="Goes", peer_id="p")
    program = AccessScope(bakery.id, "api-client:p", scopes=frozenset({Scope.SESSIONS_READ}))
    assert sessions.get(recorder, program, outcome.session_id) == outcome
