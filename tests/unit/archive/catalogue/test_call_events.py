"""Events of calls: in order, to whom the rule allows, and none is missed."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Hearing, Scope, may_see_call
from archive.catalogue import call_events
from archive.catalogue.call_events import CHANNEL, LIVE_STATES, PAGE_ROWS_MAX, CallEvent, EventKind
from archive.catalogue.engine import Catalogue
from archive.errors import Refused
from archive.model import RecordingId, RecordingState, Role, Tenant, UserId

NOW = datetime(2026, 11, 22, 9, 30, 0, 20_000, tzinfo=UTC)
ANNA, BRAM, CARLA = UserId("anna"), UserId("bram"), UserId("carla")
PATIENCE_S = 20.0


def event(tenant: Tenant, number: int = 0, **changes: Any) -> CallEvent:
    made = CallEvent(
        tenant.id,
        NOW + timedelta(seconds=number),
        EventKind.RECORDING_PAUSED.value,
        RecordingId(f"recording-{number}"),
        ANNA,
        {"by": "user:anna", "state": RecordingState.RECORDING.value},
    )
    return replace(made, **changes)


def client(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant.id, "api-client:1", scopes=frozenset({Scope.CALLS_READ}))


def append(catalogue: Catalogue, events: Iterable[CallEvent]) -> None:
    with catalogue.transaction() as connection:
        call_events.append(connection, events)


def seen(catalogue: Catalogue, scope: AccessScope, last_id: int = 0) -> list[CallEvent]:
    return [stored.event for stored in call_events.after(catalogue, scope, last_id)]


def test_events_come_in_order_after_the_last_one_seen(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """They are read back as they were, and who listens is woken."""
    made = [event(bakery, number) for number in range(5)]
    assert call_events.newest(portal, bakery.id) == 0
    with portal.listen(CHANNEL) as listener:
        append(recorder, made)
        assert listener.wait(5.0)
    stored = call_events.after(portal, client(bakery), 0, limit=3)
    assert [each.event for each in stored] == made[:3]
    assert seen(portal, client(bakery), stored[-1].id) == made[3:]
    assert seen(portal, client(bakery), call_events.newest(portal, bakery.id)) == []


def test_nothing_to_tell_wakes_nobody(recorder: Catalogue, portal: Catalogue) -> None:
    with portal.listen(CHANNEL) as listener:
        append(recorder, [])
        assert not listener.wait(0.1)


def test_recorder_worker_and_portal_add_events_within_their_rights(
    recorder: Catalogue, worker: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    """The portal only within the tenant it speaks for."""
    append(recorder, [event(bakery, 1), event(florist, 1)])
    append(worker, [event(bakery, 2)])
    with portal.transaction(bakery.id) as connection:
        call_events.append(connection, [event(bakery, 3)])
    with pytest.raises(Refused), portal.transaction(bakery.id) as connection:
        call_events.append(connection, [event(florist, 2)])
    assert seen(portal, client(bakery)) == [event(bakery, 1), event(bakery, 2), event(bakery, 3)]
    assert seen(portal, client(florist)) == [event(florist, 1)]


def test_a_scope_sees_the_events_of_exactly_the_calls_it_may_see(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """An event of a call that was unkept then stays its owner's, whatever became of the call."""
    events = [
        event(bakery, number, owner=owner, body={"state": state.value})
        for number, (owner, state) in enumerate(itertools.product((ANNA, BRAM, CARLA, None), LIVE_STATES))
    ]
    append(recorder, events)
    people = [
        AccessScope(bakery.id, "user:anna", role, ANNA, "own", keyed, heard=frozenset(map(Hearing, heard)))
        for role, keyed, heard in itertools.product(
            Role,
            (frozenset[Scope](), frozenset({Scope.CALLS_READ}), frozenset({Scope.SETTINGS})),
            ((), (BRAM,)),
        )
    ]
    for scope in (*people, client(bakery), replace(client(bakery), scopes=frozenset({Scope.SESSIONS_READ}))):
        expected = [
            each for each in events if may_see_call(scope, each.owner, RecordingState(each.body["state"]))
        ]
        assert seen(portal, scope) == expected, scope


def test_minutes_are_told_to_the_person_and_to_who_sees_all_but_not_to_listeners(
    worker: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """So are events of no call."""
    quota = event(bakery, 1, kind=EventKind.QUOTA_80.value, body={"month": "2026-11-01"})
    general = event(bakery, 2, recording_id=None, owner=None, body={})
    append(worker, [quota, general])
    anna = AccessScope(bakery.id, "user:anna", Role.USER, ANNA, "own")
    listener = AccessScope(bakery.id, "user:bram", Role.USER, BRAM, heard=frozenset({Hearing(ANNA)}))
    assert seen(portal, anna) == [quota]
    assert seen(portal, listener) == []
    administrator = AccessScope(bakery.id, "user:x", Role.ADMINISTRATOR, UserId("x"))
    for scope in (administrator, client(bakery)):
        assert seen(portal, scope) == [quota, general]


def test_nobody_misses_an_event_of_a_transaction_that_takes_longer(
    recorder: Catalogue, worker: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant, database: Any
) -> None:
    """An id that is given first is seen first: the next one waits; another tenant's does not."""
    first, second, other = event(bakery, 1), event(bakery, 2), event(florist, 3)
    with recorder.transaction() as connection:
        call_events.append(connection, [first])
        thread = threading.Thread(target=append, args=(worker, [second]))
        thread.start()
        admin, deadline = database.connect(), time.monotonic() + PATIENCE_S
        while not admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
            assert time.monotonic() < deadline, "The second transaction never waited."
            time.sleep(0.01)
        append(worker, [other])
        assert seen(portal, client(bakery)) == []
        assert seen(portal, client(florist)) == [other]
    thread.join(PATIENCE_S)
    assert seen(portal, client(bakery)) == [first, second]


def test_a_page_of_events_has_its_limit(recorder: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    append(recorder, [event(bakery)])
    assert len(call_events.after(portal, client(bakery), 0, PAGE_ROWS_MAX)) == 1
    for limit in (0, PAGE_ROWS_MAX + 1):
        with pytest.raises(Refused):
            call_events.after(portal, client(bakery), 0, limit)


def test_old_events_are_swept_and_their_ids_are_never_given_again(
    recorder: Catalogue, worker: Catalogue, portal: Catalogue, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when there are more than one statement deletes."""
    monkeypatch.setattr(call_events, "SWEEP_ROWS_MAX", 2)
    append(recorder, [event(bakery, number) for number in range(5)])
    last_id = call_events.newest(portal, bakery.id)
    assert call_events.sweep(worker, NOW + timedelta(seconds=4)) == 4
    assert call_events.sweep(worker, NOW + timedelta(hours=1)) == 1
    append(recorder, [event(bakery, 6)])
    assert seen(portal, client(bakery), last_id) == [event(bakery, 6)]
