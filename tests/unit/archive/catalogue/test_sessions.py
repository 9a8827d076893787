"""Outcomes of sessions, and the one number a day that is left of exempt ones."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Scope
from archive.catalogue import sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.sessions import PRECEDENCE, TRACE_LINES_MAX
from archive.errors import Conflict, Refused
from archive.model import OutcomeKind, RecordingId, Role, SessionId, SessionOutcome, Tenant, TenantId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def outcome(tenant_id: TenantId | None = None, number: int = 0, **changes: Any) -> SessionOutcome:
    made = SessionOutcome(
        session_id=SessionId(f"session-{number}"),
        call_id="a84b4c76e66710",
        kind=OutcomeKind.RECORDED,
        reason="mode always",
        started_at=NOW + timedelta(minutes=number),
        ended_at=NOW + timedelta(minutes=number + 1),
        tenant_id=tenant_id,
        recording_ids=(RecordingId("r1"),),
        trace=("peer sbc-1", "user anna by number"),
    )
    return dataclasses.replace(made, **changes)


def auditor(tenant_id: TenantId | None) -> AccessScope:
    return AccessScope(tenant_id, "user:x", Role.AUDITOR)


def store(catalogue: Catalogue, made: SessionOutcome) -> None:
    with catalogue.transaction(made.tenant_id) as connection:
        sessions.insert_outcome(connection, made)


def test_an_outcome_is_read_back_as_it_was_however_often_it_was_stored(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    made = outcome(bakery.id)
    for _ in range(3):
        store(recorder, made)
    assert sessions.find(portal, auditor(bakery.id)).items == (made,)


def test_two_recordings_of_a_session_make_one_outcome(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    store(recorder, outcome(bakery.id))
    store(recorder, outcome(bakery.id, kind=OutcomeKind.NOT_KEPT, reason="nobody kept it", recording_ids=()))
    store(recorder, outcome(bakery.id, recording_ids=(RecordingId("r2"),)))
    (found,) = sessions.find(portal, auditor(bakery.id)).items
    assert (found.kind, found.reason, found.recording_ids) == (
        OutcomeKind.RECORDED,
        "mode always",
        ("r1", "r2"),
    )


def test_a_failure_is_never_covered_by_a_success(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    store(recorder, outcome(bakery.id, kind=OutcomeKind.FAILED, reason="no media"))
    store(recorder, outcome(bakery.id))
    (found,) = sessions.find(portal, auditor(bakery.id)).items
    assert (found.kind, found.reason) == (OutcomeKind.FAILED, "no media")


def test_every_kind_has_a_precedence_and_joining_does_not_depend_on_order() -> None:
    assert sorted(PRECEDENCE) == sorted(OutcomeKind)
    for one, other in itertools.product(OutcomeKind, OutcomeKind):
        first, second = outcome(kind=one, reason=one), outcome(kind=other, reason=other)
        assert sessions.joined(first, second) == sessions.joined(second, first)


def test_a_session_of_another_tenant_is_not_joined(
    recorder: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    store(recorder, outcome(florist.id))
    with pytest.raises(Conflict):
        store(recorder, outcome(bakery.id))


def test_a_session_no_tenant_was_found_for_is_kept_and_shown_to_no_tenant(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, database: Any
) -> None:
    store(recorder, outcome(None))
    assert sessions.find(portal, auditor(bakery.id)).items == ()
    rows = database.connect("earwitness_operator").execute("SELECT id FROM sessions").fetchall()
    assert rows == [("session-0",)]


def test_pages_go_newest_first_within_the_time_asked(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    made = [outcome(bakery.id, number) for number in range(5)]
    for each in made:
        store(recorder, each)
    first = sessions.find(portal, auditor(bakery.id), limit=3)
    second = sessions.find(portal, auditor(bakery.id), limit=3, cursor=first.next)
    assert [*first.items, *second.items] == made[::-1]
    assert second.next is None
    within = sessions.find(
        portal, auditor(bakery.id), since=made[1].started_at, until=made[3].started_at
    ).items
    assert list(within) == [made[2], made[1]]


def test_seeing_outcomes_needs_a_right(recorder: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    store(recorder, outcome(bakery.id))
    scopes = frozenset({Scope.SESSIONS_READ})
    assert len(sessions.find(portal, AccessScope(bakery.id, "api-client:1", scopes=scopes)).items) == 1
    for scope in (AccessScope(bakery.id, "user:x", Role.USER), AccessScope(bakery.id, "api-client:1")):
        with pytest.raises(Refused, match="sessions:read"):
            sessions.find(portal, scope)


@pytest.mark.parametrize("limit", [0, 201])
def test_a_limit_out_of_bounds_is_refused(portal: Catalogue, bakery: Tenant, limit: int) -> None:
    with pytest.raises(Refused, match="1 to 200"):
        sessions.find(portal, auditor(bakery.id), limit=limit)


def test_a_trace_is_cut_at_its_limit(recorder: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    for number, lines in enumerate((TRACE_LINES_MAX, TRACE_LINES_MAX + 1)):
        store(recorder, outcome(bakery.id, number, trace=("line",) * lines))
    assert {len(each.trace) for each in sessions.find(portal, auditor(bakery.id)).items} == {TRACE_LINES_MAX}


def test_exempt_sessions_are_one_number_a_day(recorder: Catalogue, portal: Catalogue, database: Any) -> None:
    day = date(2026, 11, 22)
    threads = [threading.Thread(target=sessions.count_exempt, args=(recorder, day, 2)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sessions.exempt_count(portal, day) == 12
    assert sessions.exempt_count(portal, day + timedelta(days=1)) == 0
    row = database.connect().execute("SELECT * FROM exempt_days").fetchall()
    assert row == [(day, 12)]


def test_a_count_below_one_is_a_mistake(recorder: Catalogue) -> None:
    with pytest.raises(ValueError, match="offered"):
        sessions.count_exempt(recorder, date(2026, 11, 22), 0)
