"""Calls under way: told by their recorder, seen by whom the rule allows, erased without a trace."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from archive.access import AccessScope, Hearing, Scope, may_see_call
from archive.catalogue import call_events, commands, live_calls
from archive.catalogue.call_events import LIVE_STATES, CallEvent, EventKind
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import PAGE_ROWS_MAX, LiveCall
from archive.catalogue.recordings import encode_cursor
from archive.catalogue.tables import call_events as events_table
from archive.catalogue.tables import commands as commands_table
from archive.catalogue.tables import live_calls as calls_table
from archive.errors import ArchiveError, Conflict, NotFound, Refused
from archive.model import (
    CallGroupId,
    Direction,
    Layout,
    Party,
    RecordingId,
    RecordingMode,
    RecordingState,
    Role,
    SessionId,
    Tenant,
    TenantId,
    UserId,
    new_id,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NODE, OTHER_NODE = "recorder-1", "recorder-2"
ANNA, BRAM = UserId("anna"), UserId("bram")
PATIENCE_S = 20.0


def live_call(tenant: Tenant, number: int = 0, **changes: Any) -> LiveCall:
    made = LiveCall(
        recording_id=RecordingId(new_id(NOW)),
        tenant_id=tenant.id,
        session_id=SessionId(new_id(NOW)),
        call_id="a84b4c76e66710@client.example",
        call_group=CallGroupId(new_id(NOW)),
        node=NODE,
        owner=ANNA,
        mode=RecordingMode.ALWAYS_PAUSE,
        state=RecordingState.RECORDING,
        capture="paused",
        direction=Direction.OUT,
        layout=Layout.TWO_PARTY,
        started_at=NOW + timedelta(seconds=number),
        paused_at=NOW + timedelta(seconds=9, microseconds=20_000),
        grace_until=NOW + timedelta(hours=72),
        parties=(
            Party("a", "+31201234501", "Anna", ANNA, 0, 61_000),
            Party("b", "+31612345678", "", None, 40, None),
        ),
    )
    return replace(made, **changes)


def client(tenant: Tenant, *scopes: Scope) -> AccessScope:
    return AccessScope(tenant.id, "api-client:1", scopes=frozenset(scopes or (Scope.CALLS_READ,)))


def event_of(call: LiveCall) -> CallEvent:
    state = {"state": call.state.value}
    return CallEvent(call.tenant_id, NOW, EventKind.CALL_STARTED, call.recording_id, call.owner, state)


def rows_left(catalogue: Catalogue, call: LiveCall) -> int:
    """Count what tells of a call in any table."""
    with catalogue.transaction() as connection:
        return sum(
            len(connection.execute(select(table).where(table.c.recording_id == call.recording_id)).all())
            for table in (calls_table, commands_table, events_table)
        )


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run something beside the test; what it returned or raised is in the list."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except ArchiveError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def until_somebody_waits(database: Any) -> None:
    """Return when a transaction waits for a lock of another."""
    admin, deadline = database.connect(), time.monotonic() + PATIENCE_S
    while not admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
        assert time.monotonic() < deadline, "Nobody ever waited for a lock."
        time.sleep(0.01)


def test_a_call_is_read_back_as_it_was_told(recorder: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    """Every field survives, and telling it twice is telling it once."""
    call, bare = (
        live_call(bakery),
        live_call(bakery, 1, owner=None, paused_at=None, grace_until=None, parties=()),
    )
    for _ in range(2):
        live_calls.publish(recorder, NODE, [call, bare])
    assert live_calls.get(portal, client(bakery), call.recording_id) == call
    assert live_calls.find(portal, client(bakery)) == [bare, call]


def test_the_newest_state_of_a_call_stands_until_it_is_over(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """A row changes, and goes with the call; its events stay."""
    call = live_call(bakery)
    live_calls.publish(recorder, NODE, [call], events=[event_of(call)])
    resumed = replace(call, capture="recording", paused_at=None, parties=call.parties[:1])
    live_calls.publish(recorder, NODE, [resumed])
    assert live_calls.find(portal, client(bakery)) == [resumed]
    live_calls.publish(recorder, NODE, gone=[call.recording_id])
    with pytest.raises(NotFound):
        live_calls.get(portal, client(bakery), call.recording_id)
    assert rows_left(recorder, call) == 1


def test_what_peers_send_is_stored_whatever_it_is(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """PostgreSQL takes neither NUL nor half surrogates, and a call must not be kept back by them."""
    strange = live_call(bakery, call_id="a\0b", parties=(Party("a", "+31\0", "\ud800"),))
    live_calls.publish(recorder, NODE, [strange])
    (found,) = live_calls.find(portal, client(bakery))
    assert (found.call_id, found.parties) == ("a\ufffdb", (Party("a", "+31\ufffd", "?"),))


def test_a_recorder_changes_only_calls_of_its_own_node(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """Two recorders of one system never take each other's calls away."""
    call = live_call(bakery)
    live_calls.publish(recorder, NODE, [call])
    live_calls.publish(recorder, OTHER_NODE, [replace(call, capture="recording")])
    live_calls.publish(recorder, OTHER_NODE, gone=[call.recording_id])
    live_calls.begin_node(recorder, OTHER_NODE)
    assert live_calls.find(portal, client(bakery)) == [call]


def test_a_publication_is_told_whole_or_not_at_all(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """One call the catalogue refuses keeps back the others of the same transaction."""
    call = live_call(bakery)
    stray = replace(live_call(bakery), tenant_id=TenantId("nobody"))
    with pytest.raises(Conflict):
        live_calls.publish(recorder, NODE, [call, stray], events=[event_of(call)])
    assert rows_left(recorder, call) == 0


def test_only_recorders_write_calls(portal: Catalogue, worker: Catalogue, bakery: Tenant) -> None:
    for catalogue in (portal, worker):
        with pytest.raises(Refused):
            live_calls.publish(catalogue, NODE, [live_call(bakery)])


def scopes_of(tenant: Tenant) -> list[AccessScope]:
    """Return everybody who may ask: people of each role, with a key or not, and programs."""
    people = [
        AccessScope(tenant.id, "user:anna", role, ANNA, access, keyed, heard=frozenset(map(Hearing, heard)))
        for role, access, keyed, heard in itertools.product(
            Role,
            ("none", "own"),
            (frozenset[Scope](), frozenset({Scope.CALLS_READ}), frozenset({Scope.SETTINGS})),
            ((), (BRAM,)),
        )
    ]
    return [*people, client(tenant), client(tenant, Scope.CALLS_CONTROL), client(tenant, *Scope)]


def test_a_scope_finds_exactly_the_calls_the_rule_lets_it_see(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    """The filter in SQL and `may_see_call` say the same, for every scope, owner and state."""
    owners = (ANNA, BRAM, UserId("carla"), None)
    calls = [live_call(bakery, owner=o, state=s) for o, s in itertools.product(owners, LIVE_STATES)]
    live_calls.publish(recorder, NODE, [*calls, live_call(florist)])
    for scope in scopes_of(bakery):
        found = {call.recording_id for call in live_calls.find(portal, scope)}
        assert found == {c.recording_id for c in calls if may_see_call(scope, c.owner, c.state)}, scope


def test_an_unkept_call_is_found_by_its_owner_and_by_no_listener_auditor_or_administrator(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """Nobody may find it but who must decide (invariant I9)."""
    call = live_call(bakery, state=RecordingState.UNKEPT)
    live_calls.publish(recorder, NODE, [call])
    owner = AccessScope(bakery.id, "user:anna", Role.USER, ANNA, "own")
    assert live_calls.find(portal, owner) == [call]
    listener = AccessScope(bakery.id, "user:bram", Role.USER, BRAM, "own", heard=frozenset({Hearing(ANNA)}))
    auditor = AccessScope(bakery.id, "user:x", Role.AUDITOR, UserId("x"))
    for scope in (listener, auditor, replace(auditor, role=Role.ADMINISTRATOR)):
        assert live_calls.find(portal, scope) == []
        with pytest.raises(NotFound):
            live_calls.get(portal, scope, call.recording_id)


def test_calls_come_in_pages_newest_first(recorder: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    calls = [live_call(bakery, number % 3) for number in range(5)]
    live_calls.publish(recorder, NODE, calls)
    newest_first = sorted(calls, key=lambda call: (call.started_at, call.recording_id), reverse=True)
    first = live_calls.find(portal, client(bakery), limit=2)
    cursor = encode_cursor(first[-1].started_at, first[-1].recording_id)
    assert [*first, *live_calls.find(portal, client(bakery), cursor=cursor)] == newest_first
    assert live_calls.find(portal, client(bakery), owner=BRAM) == []
    assert len(live_calls.find(portal, client(bakery), limit=PAGE_ROWS_MAX)) == 5
    for limit in (0, PAGE_ROWS_MAX + 1):
        with pytest.raises(Refused):
            live_calls.find(portal, client(bakery), limit=limit)


def test_of_an_erased_call_nothing_is_left(recorder: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    """Row, events and commands go together; the calls beside it stay."""
    call, other = live_call(bakery), live_call(bakery)
    live_calls.publish(recorder, NODE, [call, other], events=[event_of(call), event_of(other)])
    command_id = commands.issue(portal, call, "pause", "user:anna", now=NOW)
    live_calls.publish(recorder, NODE, erased=[call.recording_id])
    assert (rows_left(recorder, call), rows_left(recorder, other)) == (0, 2)
    with pytest.raises(NotFound):
        commands.outcome(portal, bakery.id, command_id)
    with pytest.raises(NotFound):
        commands.issue(portal, call, "pause", "user:anna", now=NOW)
    commands.answer(recorder, command_id, bakery.id, obeyed=True, effective_at=NOW)
    assert rows_left(recorder, call) == 0


def test_an_erasure_waits_for_a_command_that_is_being_issued_and_takes_it_along(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, database: Any
) -> None:
    """A command that is committed a moment after the erasure began tells of the call no longer."""
    call = live_call(bakery)
    live_calls.publish(recorder, NODE, [call])
    with portal.transaction(bakery.id) as connection:
        live_calls.share(connection, call.recording_id)
        erasure, results = in_thread(lambda: live_calls.publish(recorder, NODE, erased=[call.recording_id]))
        assert commands._issue_to(connection, call, new_id(NOW), "pause", "user:anna")
        until_somebody_waits(database)
        assert results == []
    erasure.join(PATIENCE_S)
    assert results == [None]
    assert rows_left(recorder, call) == 0


def test_a_command_issued_while_its_call_is_being_erased_comes_too_late(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, database: Any
) -> None:
    """It waits for the erasure and then finds no call."""
    call = live_call(bakery)
    live_calls.publish(recorder, NODE, [call])
    with recorder.transaction() as connection:
        live_calls._erase(connection, {call.recording_id})
        issuing, results = in_thread(lambda: commands.issue(portal, call, "pause", "user:anna", now=NOW))
        until_somebody_waits(database)
    issuing.join(PATIENCE_S)
    assert [type(result) for result in results] == [NotFound]
    assert rows_left(recorder, call) == 0


def test_a_recorder_that_begins_erases_what_it_knows_no_more(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    """A crash may have come between an exempt party and the erasure: what is not known is not told."""
    forgotten, known, elsewhere = live_call(bakery), live_call(florist), live_call(bakery)
    live_calls.publish(recorder, NODE, [forgotten, known], events=[event_of(forgotten), event_of(known)])
    live_calls.publish(recorder, OTHER_NODE, [elsewhere])
    commands.issue(portal, forgotten, "pause", "user:anna", now=NOW)
    live_calls.begin_node(recorder, NODE, [known.recording_id])
    assert [rows_left(recorder, call) for call in (forgotten, known, elsewhere)] == [0, 2, 1]
    live_calls.begin_node(recorder, NODE)
    assert [rows_left(recorder, call) for call in (forgotten, known, elsewhere)] == [0, 0, 1]
    assert call_events.newest(portal, bakery.id) == 0


def test_calls_of_a_node_that_never_came_back_are_swept(
    recorder: Catalogue, portal: Catalogue, worker: Catalogue, bakery: Tenant
) -> None:
    """Those that began too long ago to run or wait still; the others stay."""
    old, young = live_call(bakery, 1, started_at=NOW - timedelta(hours=200)), live_call(bakery, 2)
    live_calls.publish(recorder, NODE, [old, young])
    assert live_calls.sweep(worker, NOW - timedelta(hours=108)) == 1
    found = live_calls.find(portal, client(bakery, Scope.CALLS_READ))
    assert [call.recording_id for call in found] == [young.recording_id]
