"""A month of a report reads its month and not all that ever was, whoever asks for it and by whatever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from archive.access import AccessScope
from archive.model import Role, UserId
from archive.reports.making import WHOLE, Asked, make
from archive.reports.period import Period
from archive.reports.report import GROUPINGS, Name
from tests.crowd import NOW, TEAM, Crowd, crowded
from tests.generated_figures import count_up
from tests.query_plans import LARGE_TABLES, Plan, recorded_plans

RECORDINGS = 20_000
MONTH = Period(date(2026, 10, 1), date(2026, 10, 31))
COUNTED = LARGE_TABLES | {
    "report_days", "audit_entries", "sessions", "shares", "received_octets", "minute_months"
}  # fmt: skip
"""What grows with every call, day or month; people and teams are few."""


@pytest.fixture(scope="module")
def crowd(postgres_url: str) -> Iterator[Crowd]:
    """Return a tenant with many recordings, counted as they would have been when they came."""
    with crowded(postgres_url, "reported", RECORDINGS) as made:
        with made.connect() as admin:
            count_up(admin, made.tenant_id)
        yield made


@pytest.fixture
def scopes(crowd: Crowd) -> dict[str, tuple[AccessScope, str | None]]:
    """Return who asks and of which team."""
    auditor = AccessScope(crowd.tenant_id, "user:otto", Role.AUDITOR, UserId("otto"))
    manager = AccessScope(
        crowd.tenant_id,
        "user:mark",
        Role.USER,
        UserId("mark"),
        team_ids=frozenset({TEAM}),
        managed_team_ids=frozenset({TEAM}),
    )
    own = AccessScope(crowd.tenant_id, "user:user-0150", Role.USER, UserId("user-0150"), "own")
    return {"auditor": (auditor, None), "manager": (manager, TEAM), "own": (own, None)}


def whole(plan: Plan) -> set[str]:
    """Return what a statement reads from one end to the other."""
    return {
        node["Relation Name"]
        for node in plan.nodes
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in COUNTED
    }


def test_no_report_of_a_month_scans_a_table_that_grows(
    crowd: Crowd, scopes: dict[str, tuple[AccessScope, str | None]]
) -> None:
    for who, (scope, team_id) in scopes.items():
        for name, groups in GROUPINGS.items():
            if name in WHOLE and who != "auditor":
                continue
            for by in groups:
                with recorded_plans(crowd.portal) as plans:
                    make(crowd.portal, scope, Asked(name, MONTH, by, team_id), now=NOW)
                assert plans
                for plan in plans:
                    assert not whole(plan), f"{who}, {name} by {by}: {plan.statement}\n{plan}"


def test_generated_rollups_are_what_reports_tell_of_the_recordings_themselves(
    crowd: Crowd, scopes: dict[str, tuple[AccessScope, str | None]]
) -> None:
    """By the recordings, in SQL that knows nothing of rollups: of all, of the team and of one person."""
    told = {}
    for who, (scope, team_id) in scopes.items():
        report = make(crowd.portal, scope, Asked(Name.USAGE, MONTH, None, team_id), now=NOW)
        told[who] = (report.totals[1], report.totals[6])
    with crowd.connect() as admin:
        whose = {
            "auditor": "TRUE",
            "manager": "owner < 'user-0012'",
            "own": "owner = 'user-0150'",
        }
        for who, condition in whose.items():
            counted = admin.execute(
                f"SELECT count(*), sum(duration_ms / 1000)::bigint FROM recordings WHERE {condition}"
                " AND started_at >= '2026-10-01 00:00 Europe/Amsterdam'"
                " AND started_at < '2026-11-01 00:00 Europe/Amsterdam'".encode()
            ).fetchone()
            assert counted == told[who], who
