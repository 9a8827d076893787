"""Outcomes of sessions, and the one number a day that is left of exempt ones."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Hearing, Scope
from archive.catalogue import recordings, sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.sessions import PRECEDENCE, TRACE_LINES_MAX
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    ArchivedRecording,
    OutcomeKind,
    RecordingId,
    Role,
    SessionId,
    SessionOutcome,
    Tenant,
    TenantId,
    UserId,
)

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


def test_the_traces_of_two_recordings_are_joined_line_by_line(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """What both have in common stands once, and storing one of them again changes nothing."""
    first = outcome(bakery.id, trace=("peer sbc-1", "user anna by number", "media: 2 streams"))
    second = outcome(
        bakery.id, recording_ids=(RecordingId("r2"),), trace=("peer sbc-1", "user ben by number")
    )
    for made in (second, first, second, first):
        store(recorder, made)
    (found,) = sessions.find(portal, auditor(bakery.id)).items
    assert found.trace == ("peer sbc-1", "user anna by number", "media: 2 streams", "user ben by number")


def test_every_kind_has_a_precedence_and_joining_does_not_depend_on_order() -> None:
    assert sorted(PRECEDENCE) == sorted(OutcomeKind)
    for one, other in itertools.product(OutcomeKind, OutcomeKind):
        first = outcome(kind=one, reason=f"{one} 1", trace=("a", "b"))
        second = outcome(
            kind=other, reason=f"{other} 2", trace=("a", "c"), recording_ids=(RecordingId("r2"),)
        )
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


def test_one_session_is_read_by_its_id_within_the_tenant_and_with_the_right(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    made = outcome(bakery.id)
    store(recorder, made)
    assert sessions.get(portal, auditor(bakery.id), made.session_id) == made
    with pytest.raises(NotFound):
        sessions.get(portal, auditor(florist.id), made.session_id)
    with pytest.raises(NotFound):
        sessions.get(portal, auditor(bakery.id), SessionId("another"))
    with pytest.raises(Refused, match="sessions:read"):
        sessions.get(portal, AccessScope(bakery.id, "user:x", Role.USER), made.session_id)


def test_who_may_know_of_a_recording_may_know_why_it_is_there(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, make_recording: Callable[..., ArchivedRecording]
) -> None:
    """The owner reads the outcome of the own session without the right to everybody's."""
    anna, ben = UserId("anna"), UserId("ben")
    archived = make_recording(bakery.id, owner=anna)
    made = outcome(bakery.id, session_id=archived.recording.session_id)
    store(recorder, made)
    with recorder.transaction(bakery.id) as connection:
        recordings.insert_recording(connection, archived)
    own = AccessScope(bakery.id, "user:anna", Role.USER, anna, "own")
    heard = AccessScope(bakery.id, "user:ben", Role.USER, ben, "own", heard=frozenset({Hearing(anna)}))
    for scope in (own, heard, auditor(bakery.id)):
        assert sessions.of_recording(portal, scope, archived.recording.id) == made
    for scope in (
        AccessScope(bakery.id, "user:ben", Role.USER, ben, "own"),
        AccessScope(bakery.id, "user:anna", Role.USER, anna, "none"),
        AccessScope(bakery.id, "user:x", Role.ADMINISTRATOR),
    ):
        with pytest.raises(NotFound, match="recording"):
            sessions.of_recording(portal, scope, archived.recording.id)


def test_an_outcome_is_replaced_by_a_worker_and_by_nobody_else(
    recorder: Catalogue, worker: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    made = outcome(bakery.id)
    store(recorder, made)
    changed = dataclasses.replace(made, kind=OutcomeKind.NOBODY_RECORDED, reason="quarantine ended", trace=())
    with worker.transaction(bakery.id) as connection:
        assert sessions.locked(connection, bakery.id, made.session_id) == made
        sessions.replace_outcome(connection, changed)
        sessions.replace_outcome(connection, outcome(bakery.id, 7))
        assert sessions.find_outcome(connection, bakery.id, SessionId("session-7")) is None
    assert sessions.find(portal, auditor(bakery.id)).items == (changed,)
    with pytest.raises(Refused), portal.transaction(bakery.id) as connection:
        sessions.replace_outcome(connection, made)


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


def test_a_session_is_found_by_what_the_exchange_calls_it_within_its_tenant(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    """Also by a name that came with the second of its recordings; no name twice, and none of others."""
    same = "hVpd7YQgRW2nD22h7q60JQ=="
    for tenant, numbers in ((bakery, (0, 1)), (florist, (2,))):
        for number in numbers:
            with recorder.transaction(tenant.id) as connection:
                sessions.insert_outcome(connection, outcome(tenant.id, number, exchange_ids=(same,)))
    later = outcome(bakery.id, 0, recording_ids=(RecordingId("r2"),), exchange_ids=(same, "tracking-id-9"))
    for _ in range(2):
        with recorder.transaction(bakery.id) as connection:
            sessions.insert_outcome(connection, later)

    def found(tenant: Tenant, term: str) -> list[str]:
        return [each.session_id for each in sessions.find(portal, auditor(tenant.id), term=term).items]

    assert found(bakery, same) == ["session-1", "session-0"]
    assert found(florist, same) == ["session-2"]
    assert found(bakery, "tracking-id-9") == ["session-0"]
    assert found(bakery, "a84b4c76e66710") == ["session-1", "session-0"]
    assert found(bakery, "session-0") == ["session-0"]
    assert found(bakery, "session-2") == found(bakery, "tracking") == found(bakery, "a\x00b") == []
