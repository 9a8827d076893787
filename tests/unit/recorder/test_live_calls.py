"""What the catalogue is told of calls under way: the newest state, each event once, nothing of erased calls."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from archive.access import AccessScope, Scope
from archive.catalogue import call_events as catalogue_events
from archive.catalogue import live_calls as catalogue_calls
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import LiveCall
from archive.errors import CatalogueUnavailable, Conflict
from archive.model import Layout, Party, RecordingId, RecordingState, Tenant, UserId, new_id
from recorder.live_calls import EVENTS_WAITING_MAX, OVER_REMEMBERED_MAX, LiveCalls, state_of
from recorder.srs.control import pause_of
from recorder.state import CallState, EdgeState, PartyState
from tests.unit.archive.conftest import bakery, database, operator, portal, recorder
from tests.unit.recorder.shell import NOW, STARTED_NS, call_state, eventually

__all__ = ["bakery", "database", "operator", "portal", "recorder"]

NODE = "recorder-1"
NOWHERE = Catalogue("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
"""Nothing is connected before a statement, and the stand-in makes none."""

STARTED, ENDED = EventKind.CALL_STARTED, EventKind.CALL_ENDED


class Shown:
    """Stands in for the catalogue: holds what was committed, is away or refuses when told to."""

    def __init__(self) -> None:
        self.rows: dict[RecordingId, LiveCall] = {}
        self.events: list[CallEvent] = []
        self.away = False
        self.commit_lost = False
        self.refused: set[RecordingId] = set()
        self.published: list[list[LiveCall]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def begin_node(self, _: Catalogue, node: str, known: Iterable[RecordingId]) -> None:
        assert node == NODE
        self._need()
        self._erase(set(self.rows) - set(known))

    def publish(
        self,
        _: Catalogue,
        node: str,
        changed: Iterable[LiveCall] = (),
        *,
        gone: Iterable[RecordingId] = (),
        erased: Iterable[RecordingId] = (),
        events: Iterable[CallEvent] = (),
    ) -> None:
        assert node == NODE
        calls, meanwhile = list(changed), self.meanwhile
        self.meanwhile = lambda: None
        meanwhile()
        self._need()
        if any(call.recording_id in self.refused for call in calls):
            raise Conflict("It clashes with what is there already.")
        self.rows |= {call.recording_id: call for call in calls}
        for recording_id in gone:
            self.rows.pop(recording_id, None)
        self._erase(set(erased))
        self.events += events
        self.published.append(calls)
        if self.commit_lost:
            self.commit_lost = False
            raise CatalogueUnavailable("The connection was lost.")

    def kinds(self, recording_id: str) -> list[str]:
        return [event.kind for event in self.events if event.recording_id == recording_id]

    def tells_of(self, recording_id: str) -> bool:
        return recording_id in self.rows or bool(self.kinds(recording_id))

    def _erase(self, erased: Collection[RecordingId]) -> None:
        for recording_id in erased:
            self.rows.pop(recording_id, None)
        self.events = [event for event in self.events if event.recording_id not in erased]

    def _need(self) -> None:
        if self.away:
            raise CatalogueUnavailable("PostgreSQL does not answer.")


class StoppedClock:
    """A clock that shows what the test wants."""

    moment = NOW + timedelta(minutes=5)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    made = Shown()
    monkeypatch.setattr("recorder.live_calls.live_calls.publish", made.publish)
    monkeypatch.setattr("recorder.live_calls.live_calls.begin_node", made.begin_node)
    return made


@pytest.fixture
def live(shown: Shown) -> LiveCalls:
    return LiveCalls(NOWHERE, NODE, StoppedClock())


def uid_of(state: CallState) -> bytes:
    return UUID(state.recording_id).bytes


def edge(kind: str, after_s: float = 0.0, by: str | None = None) -> EdgeState:
    return EdgeState(kind, STARTED_NS + int(after_s * 1e9), by)


def changed(state: CallState, *edges: EdgeState, **changes: Any) -> CallState:
    """Return the state after these edges."""
    return dataclasses.replace(state, edges=(*state.edges, *edges), **changes)


def recording(**changes: Any) -> CallState:
    """Return a call of mode Always with pause, recorded from its beginning."""
    return call_state(**{"mode": "always-pause", "edges": (edge("start"),), "owner": "anna", **changes})


def on_demand(**changes: Any) -> CallState:
    """Return a call on demand that nobody kept yet."""
    return recording(mode="on-demand", kept=False, capture="pre-roll", **changes)


def at(after_s: float) -> datetime:
    return NOW + timedelta(seconds=after_s)


def test_a_call_is_shown_with_all_that_is_known_of_it(live: LiveCalls, shown: Shown) -> None:
    """Parties are dated from the start of the recording."""
    parties = (
        PartyState("a", "+31201234501", "Anna", "anna", STARTED_NS - 5, STARTED_NS + 61_000_000_000),
        PartyState("b", "+31612345678", "", None, STARTED_NS + 40_999_999),
    )
    grace_until_ns = STARTED_NS + 3_600_000_000_000
    paused = (edge("start"), edge("pause", 9.5, "user:anna"))
    state = recording(parties=parties, capture="paused", edges=paused, grace_until_ns=grace_until_ns)
    live.note(uid_of(state), state)
    live.flush()
    (row,) = shown.rows.values()
    assert (row.recording_id, row.tenant_id, row.session_id) == (
        state.recording_id,
        state.tenant_id,
        state.session_id,
    )
    assert (row.call_id, row.call_group, row.node) == ("call@client.example", state.call_group, NODE)
    assert (row.owner, row.mode, row.state, row.capture) == (
        "anna",
        "always-pause",
        RecordingState.RECORDING,
        "paused",
    )
    assert (row.direction, row.layout) == ("in", Layout.TWO_PARTY)
    assert (row.started_at, row.paused_at, row.grace_until) == (NOW, at(9.5), at(3600))
    assert row.parties == (
        Party("a", "+31201234501", "Anna", UserId("anna"), 0, 61_000),
        Party("b", "+31612345678", "", None, 40, None),
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, RecordingState.RECORDING),
        ({"capture": "paused"}, RecordingState.RECORDING),
        ({"kept": False, "capture": "pre-roll"}, RecordingState.UNKEPT),
        ({"kept": False, "capture": "pre-roll held"}, RecordingState.UNKEPT),
        ({"kept": False, "capture": "armed", "mode": "on-demand-start"}, RecordingState.UNKEPT),
        ({"kept": True, "capture": "stopped", "mode": "on-demand-start"}, RecordingState.RECORDING),
        ({"kept": False, "capture": "grace"}, RecordingState.GRACE),
        ({"quarantined": True}, RecordingState.QUARANTINED),
    ],
)
def test_a_call_is_called_what_may_be_done_with_it(
    changes: dict[str, object], expected: RecordingState
) -> None:
    assert state_of(call_state(**changes)) is expected


@pytest.mark.parametrize(
    ("capture", "edges", "since_s"),
    [
        ("recording", ("start", "pause", "resume"), None),
        ("paused", ("start", "pause"), 1),
        ("paused held", ("start", "pause", "hold"), 1),
        ("paused", ("start", "pause", "resume", "pause"), 3),
        # Capture has not dated the second pause yet.
        ("paused", ("start", "pause", "resume"), None),
        ("held", ("start", "hold"), None),
        # The exchange's own pause: media stop and the edge says why.
        ("held", ("start", "pause"), 1),
        ("held", ("start", "pause", "resume", "hold"), None),
        ("stopped", ("start", "pause", "stop"), None),
    ],
)
def test_a_pause_is_dated_by_its_own_edge(capture: str, edges: tuple[str, ...], since_s: int | None) -> None:
    """Whatever came before or after it."""
    dated = tuple(edge(kind, number) for number, kind in enumerate(edges))
    expected = None if since_s is None else STARTED_NS + since_s * 10**9
    pause = pause_of(call_state(capture=capture, edges=dated))
    assert (pause and pause.at_ns) == expected


def test_a_recorded_call_tells_its_life_in_order(live: LiveCalls, shown: Shown) -> None:
    """Each edge once, by whom and when it took effect, however often the state is noted."""
    state = recording()
    uid = uid_of(state)
    live.note(uid, state)
    live.note(uid, state)
    paused = changed(state, edge("pause", 3, "user:anna"), capture="paused")
    live.note(uid, paused)
    live.flush()
    live.note(uid, paused)
    held = changed(paused, edge("hold", 4, "exchange"), edge("unhold", 5, "exchange"))
    resumed = changed(held, edge("resume", 6, "star code"), capture="recording")
    live.note(uid, resumed)
    live.gone(uid, dataclasses.replace(resumed, ended_ns=STARTED_NS + 9_000_000_000, end_reason="BYE"))
    live.flush()
    assert [(event.kind, event.at, event.body.get("by")) for event in shown.events] == [
        (STARTED, NOW, None),
        (EventKind.RECORDING_STARTED, NOW, None),
        (EventKind.RECORDING_PAUSED, at(3), "user:anna"),
        (EventKind.RECORDING_RESUMED, at(6), "star code"),
        (ENDED, at(9), None),
    ]
    assert {event.owner for event in shown.events} == {"anna"}
    assert {event.body["state"] for event in shown.events} == {"recording"}
    assert shown.events[0].body == {"mode": "always-pause", "direction": "in", "state": "recording"}
    assert shown.rows == {}


def test_what_is_captured_before_anybody_kept_it_is_no_recording(live: LiveCalls, shown: Shown) -> None:
    """Kept, it is told as kept; not kept, as discarded; and who may know depends on it."""
    kept, lost = on_demand(), on_demand()
    for state in (kept, lost):
        live.note(uid_of(state), state)
    live.note(uid_of(kept), changed(kept, edge("keep", 2, "user:anna"), kept=True, capture="recording"))
    live.gone(uid_of(kept))
    live.gone(uid_of(lost))
    live.flush()
    told = {
        state.recording_id: [
            (event.kind, event.body["state"])
            for event in shown.events
            if event.recording_id == state.recording_id
        ]
        for state in (kept, lost)
    }
    assert told[kept.recording_id] == [
        (STARTED, "unkept"),
        (EventKind.RECORDING_KEPT, "recording"),
        (ENDED, "recording"),
    ]
    assert told[lost.recording_id] == [
        (STARTED, "unkept"),
        (ENDED, "unkept"),
        (EventKind.RECORDING_DISCARDED, "unkept"),
    ]


def test_a_call_that_was_never_started_discards_nothing(live: LiveCalls, shown: Shown) -> None:
    """On demand with start, audio before the start does not exist."""
    armed = call_state(mode="on-demand-start", kept=False, capture="armed")
    live.note(uid_of(armed), armed)
    live.gone(uid_of(armed))
    live.flush()
    assert shown.kinds(armed.recording_id) == [STARTED, ENDED]


def test_parts_between_start_and_stop_are_told(live: LiveCalls, shown: Shown) -> None:
    armed = call_state(mode="on-demand-start", kept=False, capture="armed")
    live.note(uid_of(armed), armed)
    parts = (edge("start", 1), edge("stop", 2), edge("start", 3))
    live.note(uid_of(armed), changed(armed, *parts, kept=True, capture="recording"))
    live.flush()
    started, stopped = EventKind.RECORDING_STARTED, EventKind.RECORDING_STOPPED
    assert shown.kinds(armed.recording_id) == [STARTED, started, stopped, started]


def test_a_call_in_its_grace_has_ended_and_is_still_shown(live: LiveCalls, shown: Shown) -> None:
    """Kept or not, its end is told once, when it was."""
    kept, lost = on_demand(), on_demand()
    ended_ns = STARTED_NS + 60_000_000_000
    for state in (kept, lost):
        live.note(uid_of(state), state)
        over = dataclasses.replace(
            state, capture="grace", ended_ns=ended_ns, grace_until_ns=ended_ns + 3_600_000_000_000
        )
        live.note(uid_of(state), over)
    live.flush()
    assert {row.state for row in shown.rows.values()} == {RecordingState.GRACE}
    assert {row.grace_until for row in shown.rows.values()} == {at(3660)}
    final = changed(kept, edge("keep", 60, "user:anna"), kept=True, capture="ended", ended_ns=ended_ns)
    live.gone(uid_of(kept), final)
    live.gone(uid_of(lost))
    live.flush()
    assert shown.rows == {}
    assert shown.kinds(kept.recording_id) == [STARTED, ENDED, EventKind.RECORDING_KEPT]
    assert shown.kinds(lost.recording_id) == [STARTED, ENDED, EventKind.RECORDING_DISCARDED]
    # The edge stands at the end of the call, but it was kept just now.
    assert next(e.at for e in shown.events if e.kind == EventKind.RECORDING_KEPT) == StoppedClock.moment


def test_a_recovered_call_does_not_begin_again(live: LiveCalls, shown: Shown) -> None:
    """Neither one that runs on, nor one that waits in its grace; what happens then is told."""
    running = recording(edges=(edge("start"), edge("pause", 1), edge("restart", 5)), capture="paused")
    waiting = dataclasses.replace(on_demand(), capture="grace", ended_ns=STARTED_NS + 1)
    for state in (running, waiting):
        live.note(uid_of(state), state)
    live.note(uid_of(running), changed(running, edge("resume", 6), capture="recording"))
    live.flush()
    assert [event.kind for event in shown.events] == [EventKind.RECORDING_RESUMED]
    assert set(shown.rows) == {running.recording_id, waiting.recording_id}


def test_a_forgotten_pause_is_reminded_of(live: LiveCalls, shown: Shown) -> None:
    """Not of a call that is over."""
    state = recording(edges=(edge("start"), edge("pause", 1)), capture="paused")
    live.note(uid_of(state), state)
    live.remind(uid_of(state), STARTED_NS + 1_500_000_000)
    live.gone(uid_of(state))
    live.remind(uid_of(state), STARTED_NS + 1_500_000_000)
    live.flush()
    (reminder,) = (event for event in shown.events if event.kind == EventKind.PAUSE_REMINDER)
    assert reminder.at == StoppedClock.moment
    assert reminder.body == {"pausedAt": "2026-11-22T09:30:01.500000Z", "state": "recording"}


def test_a_call_that_did_not_change_is_not_told_again(live: LiveCalls, shown: Shown) -> None:
    """A session refresh changes the journalled state and nothing that is shown."""
    state, other = recording(), recording()
    for each in (state, other):
        live.note(uid_of(each), each)
    live.flush()
    live.note(uid_of(state), dataclasses.replace(state, flags=("late-start",)))
    live.note(uid_of(other), changed(other, edge("pause", 1), capture="paused"))
    live.flush()
    assert not live.waiting
    live.flush()
    assert [len(calls) for calls in shown.published] == [2, 1]


def test_why_it_is_recorded_is_told_while_it_goes_on(live: LiveCalls, shown: Shown) -> None:
    state = dataclasses.replace(recording(), trace=("peer centrale", "user 1 by number"))
    live.note(uid_of(state), state)
    live.flush()
    after = dataclasses.replace(state, trace=(*state.trace, "2026-11-22T09:30:01.000Z pause by user:1"))
    live.note(uid_of(state), after)
    live.flush()
    assert [each.trace for calls in shown.published for each in calls] == [state.trace, after.trace]


def test_a_call_that_came_and_went_between_two_flushes_leaves_its_events_alone(
    live: LiveCalls, shown: Shown
) -> None:
    state = recording()
    live.note(uid_of(state), state)
    live.gone(uid_of(state))
    live.flush()
    assert shown.rows == {}
    assert shown.kinds(state.recording_id) == [STARTED, EventKind.RECORDING_STARTED, ENDED]


def test_a_state_that_comes_after_the_end_revives_nothing(live: LiveCalls, shown: Shown) -> None:
    ended, erased = recording(), recording()
    for state in (ended, erased):
        live.note(uid_of(state), state)
    live.flush()
    live.gone(uid_of(ended))
    live.erase(uid_of(erased))
    for state in (ended, erased):
        live.note(uid_of(state), changed(state, edge("pause", 1), capture="paused"))
        live.gone(uid_of(state))
        live.remind(uid_of(state), STARTED_NS)
    live.flush()
    assert shown.rows == {}
    assert not shown.tells_of(erased.recording_id)
    assert shown.kinds(ended.recording_id)[-1] == ENDED


def test_an_erased_call_that_was_never_told_is_never_told(live: LiveCalls, shown: Shown) -> None:
    """No statement is made about it at all."""
    state = recording()
    live.flush()
    live.note(uid_of(state), state)
    live.remind(uid_of(state), STARTED_NS)
    live.erase(uid_of(state))
    assert not live.waiting
    live.flush()
    assert shown.published == []


def test_an_erased_call_loses_what_was_told_of_it(live: LiveCalls, shown: Shown) -> None:
    state, other = recording(), recording()
    for each in (state, other):
        live.note(uid_of(each), each)
    live.flush()
    live.erase(uid_of(state))
    live.flush()
    assert not shown.tells_of(state.recording_id)
    assert shown.kinds(other.recording_id) == [STARTED, EventKind.RECORDING_STARTED]


@pytest.mark.parametrize("fate", ["committed", "lost", "away", "refused"])
def test_an_erasure_that_comes_during_a_flush_follows_it(live: LiveCalls, shown: Shown, fate: str) -> None:
    """Whatever became of the transaction that was telling of the call at that moment."""
    state, other = recording(), recording()
    for each in (state, other):
        live.note(uid_of(each), each)
    live.flush()
    for each in (state, other):
        live.note(uid_of(each), changed(each, edge("pause", 1), capture="paused"))

    def meanwhile() -> None:
        live.erase(uid_of(state))
        shown.commit_lost = fate == "lost"
        shown.away = fate == "away"
        if fate == "refused":
            shown.refused.add(RecordingId(other.recording_id))

    shown.meanwhile = meanwhile
    if fate in {"lost", "away"}:
        with pytest.raises(CatalogueUnavailable):
            live.flush()
    else:
        live.flush()
    shown.away = False
    assert live.waiting
    live.flush()
    assert not shown.tells_of(state.recording_id)
    assert set(shown.rows) == {other.recording_id}
    assert not live.waiting


def test_a_flush_of_another_thread_never_writes_after_an_erasure_was_flushed(
    live: LiveCalls, shown: Shown
) -> None:
    """The erasing flush waits until the one under way is over."""
    state = recording()
    live.note(uid_of(state), state)
    in_flight, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        in_flight.set()
        assert go_on.wait(20.0)

    shown.meanwhile = hang
    first = threading.Thread(target=live.flush)
    first.start()
    assert in_flight.wait(20.0)
    live.erase(uid_of(state))
    second = threading.Thread(target=live.flush)
    second.start()
    go_on.set()
    for thread in (first, second):
        thread.join(20.0)
    assert not shown.tells_of(state.recording_id)


def test_while_the_database_is_away_everything_waits_once(live: LiveCalls, shown: Shown) -> None:
    """A call that changes often waits as it is now; one that is over waits to be taken away."""
    told, new = recording(), recording()
    live.note(uid_of(told), told)
    live.flush()
    shown.away = True
    live.note(uid_of(new), new)
    for second in range(3):
        paused = changed(new, edge("pause", second), capture="paused")
        live.note(uid_of(new), paused)
        with pytest.raises(CatalogueUnavailable):
            live.flush()
    live.gone(uid_of(told))
    shown.away = False
    live.flush()
    assert [row.capture for row in shown.rows.values()] == ["paused"]
    assert shown.kinds(told.recording_id) == [STARTED, EventKind.RECORDING_STARTED, ENDED]
    assert not live.waiting


def test_events_that_wait_are_bounded_and_the_oldest_go(live: LiveCalls, shown: Shown) -> None:
    """At the limit nothing is lost; above it the oldest are."""
    state = recording()
    live.note(uid_of(state), state)
    live.flush()
    for beyond, oldest in ((0, "2026-11-22T09:30:00Z"), (3, "2026-11-22T09:30:00.003000Z")):
        shown.events.clear()
        for number in range(EVENTS_WAITING_MAX + beyond):
            live.remind(uid_of(state), STARTED_NS + number * 1_000_000)
        live.flush()
        assert len(shown.events) == EVENTS_WAITING_MAX
        assert shown.events[0].body["pausedAt"] == oldest


def test_events_put_back_stand_before_newer_ones_and_still_within_the_bound(
    live: LiveCalls, shown: Shown
) -> None:
    state = recording()
    live.note(uid_of(state), state)
    live.flush()
    shown.events.clear()
    for number in range(EVENTS_WAITING_MAX):
        live.remind(uid_of(state), STARTED_NS + number * 1_000_000)

    def meanwhile() -> None:
        live.remind(uid_of(state), STARTED_NS + EVENTS_WAITING_MAX * 1_000_000)
        shown.away = True

    shown.meanwhile = meanwhile
    with pytest.raises(CatalogueUnavailable):
        live.flush()
    shown.away = False
    live.flush()
    assert len(shown.events) == EVENTS_WAITING_MAX
    assert shown.events[0].body["pausedAt"] == "2026-11-22T09:30:00.001000Z"
    assert shown.events[-1].body["pausedAt"] == "2026-11-22T09:30:10Z"


def test_only_so_many_calls_that_are_over_are_remembered(live: LiveCalls) -> None:
    """A recorder that runs for a year remembers no more than it has to."""
    calls = random.Random(7)
    state = recording()
    for _ in range(OVER_REMEMBERED_MAX + 5):
        uid = calls.randbytes(16)
        live.note(uid, state)
        live.gone(uid)
    assert len(live._over) == OVER_REMEMBERED_MAX
    assert not live._told
    assert not live._noted


def test_a_recorder_that_begins_takes_away_what_it_knows_no_more(live: LiveCalls, shown: Shown) -> None:
    """What it left behind when it stopped, events included; recovered calls stay."""
    left, state = recording(), recording()
    before = LiveCalls(NOWHERE, NODE, StoppedClock())
    for each in (left, state):
        before.note(uid_of(each), each)
    before.flush()
    assert live.waiting
    recovered = changed(state, edge("restart", 3))
    live.note(uid_of(recovered), recovered)
    live.flush()
    assert set(shown.rows) == {recovered.recording_id}
    assert not shown.tells_of(left.recording_id)
    assert shown.kinds(recovered.recording_id) == [STARTED, EventKind.RECORDING_STARTED]


def test_a_database_that_comes_back_older_is_told_everything_anew(live: LiveCalls, shown: Shown) -> None:
    """A standby took over, without the last second: neither a call lacks nor does a ghost stay."""
    state, ghost = recording(), recording()
    for each in (state, ghost):
        live.note(uid_of(each), each)
    live.flush()
    (row,) = (row for row in shown.rows.values() if row.recording_id == ghost.recording_id)
    live.gone(uid_of(ghost))
    live.flush()
    shown.away = True
    live.remind(uid_of(state), STARTED_NS)
    with pytest.raises(CatalogueUnavailable):
        live.flush()
    shown.away, shown.rows = False, {row.recording_id: row}
    live.flush()
    assert set(shown.rows) == {state.recording_id}


def test_a_call_the_catalogue_refuses_keeps_back_no_other(live: LiveCalls, shown: Shown) -> None:
    """Its tenant is not there, say; it is tried again when it changes."""
    state, stray, over = recording(), recording(), recording()
    shown.refused.add(RecordingId(stray.recording_id))
    live.note(uid_of(over), over)
    live.flush()
    live.gone(uid_of(over))
    for each in (stray, state):
        live.note(uid_of(each), each)
    live.flush()
    assert set(shown.rows) == {state.recording_id}
    assert not shown.tells_of(stray.recording_id)
    assert not live.waiting
    shown.refused.clear()
    live.note(uid_of(stray), changed(stray, edge("pause", 1), capture="paused"))
    live.flush()
    assert stray.recording_id in shown.rows


class Life(RuleBasedStateMachine):
    """Calls begin, change, end and are erased; flushes succeed, fail, or lose their answer.

    The model: what the catalogue shows after a good flush is what lives, and of an
    erased call nothing is there after any good flush that follows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown = Shown()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("recorder.live_calls.live_calls.publish", self.shown.publish)
        self.patch.setattr("recorder.live_calls.live_calls.begin_node", self.shown.begin_node)
        self.live = LiveCalls(NOWHERE, NODE, StoppedClock())
        self.calls: dict[bytes, CallState] = {}
        self.erased: set[str] = set()
        self.settled = False

    def teardown(self) -> None:
        self.patch.undo()

    @rule()
    def begin(self) -> None:
        state = recording()
        self.calls[uid_of(state)] = state
        self.live.note(uid_of(state), state)
        self.settled = False

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.calls)))
        state = self.calls[uid]
        kind = "resume" if state.capture == "paused" else "pause"
        self.calls[uid] = changed(
            state, edge(kind, len(state.edges)), capture="paused" if kind == "pause" else "recording"
        )
        self.live.note(uid, self.calls[uid])
        self.settled = False

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.calls)))
        del self.calls[uid]
        self.live.gone(uid)
        self.settled = False

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), in_flight=st.booleans())
    def erase(self, data: st.DataObject, in_flight: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.calls)))
        self.erased.add(self.calls.pop(uid).recording_id)
        self.settled = False
        if in_flight:
            self.shown.meanwhile = lambda: self.live.erase(uid)
            self.flush_once()
            self.shown.meanwhile = lambda: None
        self.live.erase(uid)

    @rule(away=st.booleans())
    def lose_database(self, away: bool) -> None:
        self.shown.away, self.shown.commit_lost = away, not away

    @rule()
    def restart(self) -> None:
        self.live = LiveCalls(NOWHERE, NODE, StoppedClock())
        for uid, state in self.calls.items():
            self.calls[uid] = changed(state, edge("restart", len(state.edges)))
            self.live.note(uid, self.calls[uid])
        self.settled = False

    @rule()
    def flush_once(self) -> None:
        try:
            self.live.flush()
        except CatalogueUnavailable:
            self.shown.away = self.shown.commit_lost = False

    @rule()
    def settle(self) -> None:
        """Flush until nothing waits."""
        self.shown.away = self.shown.commit_lost = False
        while self.live.waiting:
            self.live.flush()
        self.settled = True

    @invariant()
    def what_lives_is_shown_and_nothing_erased(self) -> None:
        if not self.settled:
            return
        assert {row.recording_id: row.capture for row in self.shown.rows.values()} == {
            state.recording_id: state.capture for state in self.calls.values()
        }
        assert not {event.recording_id for event in self.shown.events} & self.erased


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def test_a_call_is_shown_in_a_real_catalogue_and_erased_from_it(
    recorder: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    """From the state that signalling journals to what the portal reads, and to nothing."""
    live = LiveCalls(recorder, NODE, StoppedClock())
    live.flush()
    client = AccessScope(bakery.id, "api-client:1", scopes=frozenset({Scope.CALLS_READ}))
    state = recording(
        tenant_id=bakery.id, parties=(PartyState("a", "+31612345678", "Jansen", None, STARTED_NS),)
    )
    live.note(uid_of(state), state)
    live.note(uid_of(state), changed(state, edge("pause", 1, "user:anna"), capture="paused"))
    stray = recording(tenant_id=new_id(NOW))
    live.note(uid_of(stray), stray)
    live.flush()
    (row,) = catalogue_calls.find(portal, client)
    assert (row.recording_id, row.paused_at, row.parties[0].number) == (
        state.recording_id,
        at(1),
        "+31612345678",
    )
    kinds = [stored.event.kind for stored in catalogue_events.after(portal, client, 0)]
    assert kinds == [STARTED, EventKind.RECORDING_STARTED, EventKind.RECORDING_PAUSED]
    live.erase(uid_of(state))
    live.flush()
    assert catalogue_calls.find(portal, client) == []
    assert catalogue_events.after(portal, client, 0) == []


def test_notes_of_signalling_never_wait_for_a_flush_that_hangs(live: LiveCalls, shown: Shown) -> None:
    """The event loop notes while a thread waits for the database."""
    state = recording()
    live.note(uid_of(state), state)
    in_flight, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        in_flight.set()
        assert go_on.wait(20.0)

    shown.meanwhile = hang
    thread = threading.Thread(target=live.flush)
    thread.start()
    assert in_flight.wait(20.0)
    live.note(uid_of(state), changed(state, edge("pause", 1), capture="paused"))
    live.remind(uid_of(state), STARTED_NS)
    other = recording()
    live.note(uid_of(other), other)
    live.gone(uid_of(other))
    go_on.set()
    thread.join(20.0)
    eventually(lambda: not thread.is_alive(), "the flush ended")
    live.flush()
    assert [row.capture for row in shown.rows.values()] == ["paused"]
