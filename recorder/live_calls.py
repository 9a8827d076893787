"""What the catalogue is told of calls under way: their newest state, and events of what changed.

Signalling notes each state of a call as it journals it; that only remembers, under a
lock, and costs microseconds. `flush` tells the catalogue in a thread, in one transaction:
calls that changed, calls that are over, calls that may not exist, and events. While the
database is away all of it waits, and a call that changes ten times waits once.

Rules: a call never waits for the database, and what waits is bounded by the calls that
live (events by EVENTS_WAITING_MAX, the oldest go). Flushes come one after another, so
that an erasure always follows what was being told of the call when it came. After an
interruption everything is told anew, and what the node left behind is erased.

Not here: rows (`archive.catalogue.live_calls`), commands (`recorder.control`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from uuid import UUID

import structlog

from archive.catalogue import live_calls
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import LiveCall
from archive.clock import Clock
from archive.errors import ArchiveError, DependencyUnavailable
from archive.model import (
    CallGroupId,
    Direction,
    Layout,
    Party,
    RecordingId,
    RecordingMode,
    RecordingState,
    SessionId,
    TenantId,
    UserId,
)
from recorder.srs.control import pause_of
from recorder.srs.recording_mode import Capture
from recorder.state import CallState, EdgeState, PartyState

EVENTS_WAITING_MAX = 10_000
"""About three minutes of 50 calls a second; pages that missed events read the calls themselves."""

OVER_REMEMBERED_MAX = 10_000
"""A state of a call that is over may still be on its way for a moment, and must not revive it."""

_EVENT_OF_EDGE = {
    "start": EventKind.RECORDING_STARTED,
    "stop": EventKind.RECORDING_STOPPED,
    "pause": EventKind.RECORDING_PAUSED,
    "resume": EventKind.RECORDING_RESUMED,
    "keep": EventKind.RECORDING_KEPT,
}

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Batch:
    """What one flush tells."""

    changed: dict[bytes, CallState]
    gone: set[bytes]
    erased: set[bytes]
    events: list[CallEvent]

    @property
    def empty(self) -> bool:
        return not (self.changed or self.gone or self.erased or self.events)


class LiveCalls:
    """The calls under way of this node, and what the catalogue was told of them."""

    def __init__(self, catalogue: Catalogue, node: str, clock: Clock) -> None:
        """Nothing is told before the first `flush`: note all recovered calls before it."""
        self._catalogue = catalogue
        self._node = node
        self._clock = clock
        self._lock = Lock()
        self._flushing = Lock()
        self._begun = False
        self._noted: dict[bytes, CallState] = {}
        self._changed: set[bytes] = set()
        # What may stand in the catalogue; None where it is not known how it stands there.
        self._told: dict[bytes, LiveCall | None] = {}
        self._gone: set[bytes] = set()
        self._erased: set[bytes] = set()
        self._over: dict[bytes, None] = {}
        self._events: deque[CallEvent] = deque(maxlen=EVENTS_WAITING_MAX)

    @property
    def waiting(self) -> bool:
        """Whether a flush has anything to do."""
        return not self._begun or bool(self._changed or self._gone or self._erased or self._events)

    def note(self, uid: bytes, state: CallState) -> None:
        """Remember the newest state of a call and what happened since the last one."""
        with self._lock:
            if uid in self._over:
                return
            self._events.extend(_news(self._noted.get(uid), state, self._clock))
            self._noted[uid] = state
            self._changed.add(uid)

    def gone(self, uid: bytes, final: CallState | None = None) -> None:
        """Forget a call that is over: archived, or not kept by its `final` or last noted state."""
        with self._lock:
            last = self._noted.get(uid)
            if last is None:
                return
            state = final or last
            self._events.extend(_news(last, state, self._clock))
            self._events.extend(_last_news(last, state, self._clock))
            self._forget(uid)
            if uid in self._told:
                self._gone.add(uid)

    def erase(self, uid: bytes) -> None:
        """Forget a call that may not exist: an exempt party joined. Nothing that tells of it stays."""
        with self._lock:
            may_be_told = uid in self._told or uid in self._over
            self._forget(uid)
            self._gone.discard(uid)
            recording_id = _id_of(uid)
            left = (event for event in self._events if event.recording_id != recording_id)
            self._events = deque(left, maxlen=EVENTS_WAITING_MAX)
            if may_be_told:
                self._erased.add(uid)

    def remind(self, uid: bytes, paused_at_ns: int) -> None:
        """Tell that a call is paused for so long that somebody may have forgotten it."""
        with self._lock:
            state = self._noted.get(uid)
            if state is not None:
                paused_at = _datetime(paused_at_ns).isoformat().replace("+00:00", "Z")
                reminder = _event(state, EventKind.PAUSE_REMINDER, self._clock.now(), pausedAt=paused_at)
                self._events.append(reminder)

    def flush(self) -> None:
        """Tell the catalogue what waits; blocks, so call it in a thread.

        Raises DependencyUnavailable, and then all of it waits on.
        """
        with self._flushing:
            try:
                self._begin()
                batch = self._take()
                if not batch.empty:
                    self._tell(batch)
            except DependencyUnavailable:
                # Another server may answer next time, with an older state of things: all is told anew.
                self._begun = False
                raise

    def _forget(self, uid: bytes) -> None:
        self._noted.pop(uid, None)
        self._changed.discard(uid)
        self._over[uid] = None
        if len(self._over) > OVER_REMEMBERED_MAX:
            del self._over[next(iter(self._over))]

    def _begin(self) -> None:
        """Erase what this node left behind in the catalogue, and have every call told again."""
        if self._begun:
            return
        with self._lock:
            known = [_id_of(uid) for uid in (*self._noted, *self._gone)]
        live_calls.begin_node(self._catalogue, self._node, known)
        with self._lock:
            self._told.update(dict.fromkeys(self._noted))
            self._changed.update(self._noted)
        self._begun = True

    def _take(self) -> _Batch:
        """Take all that waits; from here on it may stand in the catalogue."""
        with self._lock:
            changed = {uid: self._noted[uid] for uid in self._changed}
            batch = _Batch(changed, self._gone, self._erased, list(self._events))
            for uid in changed:
                self._told.setdefault(uid, None)
            self._changed, self._gone, self._erased = set(), set(), set()
            self._events.clear()
        return batch

    def _tell(self, batch: _Batch) -> None:
        """Tell a batch at once or, when the catalogue refuses it, call by call."""
        calls = {uid: _live_call(state, self._node) for uid, state in batch.changed.items()}
        new = {uid: call for uid, call in calls.items() if self._told.get(uid) != call}
        gone, erased = map(_id_of, batch.gone), map(_id_of, batch.erased)
        try:
            live_calls.publish(
                self._catalogue, self._node, new.values(), gone=gone, erased=erased, events=batch.events
            )
        except DependencyUnavailable:
            self._put_back(batch)
            raise
        except ArchiveError:
            self._tell_apart(batch, new)
        with self._lock:
            # A call that went meanwhile stays told: its row is deleted by the next flush.
            self._told.update(new)
            for uid in (*batch.gone, *batch.erased):
                self._told.pop(uid, None)

    def _tell_apart(self, batch: _Batch, new: dict[bytes, LiveCall]) -> None:
        """Tell call by call, so that one the catalogue refuses does not keep back the others."""
        calls = {call.recording_id: call for call in new.values()}
        events: dict[RecordingId | None, list[CallEvent]] = {}
        for event in batch.events:
            events.setdefault(event.recording_id, []).append(event)
        gone, erased = map(_id_of, batch.gone), map(_id_of, batch.erased)
        try:
            live_calls.publish(self._catalogue, self._node, gone=gone, erased=erased)
            for recording_id in dict.fromkeys((*calls, *events)):
                changed = [calls[recording_id]] if recording_id in calls else []
                self._tell_one(changed, events.get(recording_id, []))
        except DependencyUnavailable:
            # Some of it may be told twice: a row is the same then, and an event comes again.
            self._put_back(batch)
            raise

    def _tell_one(self, changed: list[LiveCall], events: list[CallEvent]) -> None:
        try:
            live_calls.publish(self._catalogue, self._node, changed, events=events)
        except DependencyUnavailable:
            raise
        except ArchiveError as error:
            _log.error("the catalogue refuses a call under way", reason=str(error))

    def _put_back(self, batch: _Batch) -> None:
        """Let a batch wait again, behind nothing and without what was erased meanwhile."""
        with self._lock:
            self._changed.update(uid for uid in batch.changed if uid in self._noted)
            self._told.update(dict.fromkeys(batch.changed))
            self._erased |= batch.erased
            self._gone |= batch.gone - self._erased
            erased = {_id_of(uid) for uid in self._erased}
            before = [event for event in batch.events if event.recording_id not in erased]
            self._events = deque((*before, *self._events), maxlen=EVENTS_WAITING_MAX)


def state_of(state: CallState) -> RecordingState:
    """Return where a recording under way stands, as the catalogue says it."""
    if state.capture == Capture.GRACE:
        return RecordingState.GRACE
    if not state.kept:
        return RecordingState.UNKEPT
    return RecordingState.QUARANTINED if state.quarantined else RecordingState.RECORDING


def _live_call(state: CallState, node: str) -> LiveCall:
    pause = pause_of(state)
    return LiveCall(
        recording_id=RecordingId(state.recording_id),
        tenant_id=TenantId(state.tenant_id),
        session_id=SessionId(state.session_id),
        call_id=state.dialog.call_id,
        call_group=CallGroupId(state.call_group),
        node=node,
        owner=_owner(state),
        mode=RecordingMode(state.mode),
        state=state_of(state),
        capture=state.capture,
        direction=Direction(state.direction),
        layout=Layout(state.layout or Layout.MIXED),
        started_at=_datetime(state.started_ns),
        paused_at=None if pause is None else _datetime(pause.at_ns),
        grace_until=None if state.grace_until_ns is None else _datetime(state.grace_until_ns),
        parties=tuple(_party(party, state.started_ns) for party in state.parties),
        trace=state.trace,
    )


def _party(party: PartyState, started_ns: int) -> Party:
    def ms(at_ns: int) -> int:
        return max(0, (at_ns - started_ns) // 1_000_000)

    to_ms = None if party.to_ns is None else ms(party.to_ns)
    user_id = None if party.user_id is None else UserId(party.user_id)
    return Party(party.channel, party.number, party.name, user_id, ms(party.from_ns), to_ms)


def _news(before: CallState | None, state: CallState, clock: Clock) -> Iterator[CallEvent]:
    """Yield what happened to a call between two states; with none before it began, or is recovered."""
    recovered = before is None and (state.ended_ns or any(edge.kind == "restart" for edge in state.edges))
    if recovered:
        return
    if before is None:
        started = {"mode": state.mode, "direction": state.direction}
        yield _event(state, EventKind.CALL_STARTED, _datetime(state.started_ns), **started)
    told = 0 if before is None else len(before.edges)
    for edge in state.edges[told:]:
        yield from _news_of(edge, state, clock)
    if state.capture == Capture.GRACE and before is not None and before.capture != Capture.GRACE:
        yield _event(state, EventKind.CALL_ENDED, _ended_at(state, clock))


def _news_of(edge: EdgeState, state: CallState, clock: Clock) -> Iterator[CallEvent]:
    kind = _EVENT_OF_EDGE.get(edge.kind)
    if kind is None or (kind is EventKind.RECORDING_STARTED and not state.kept):
        # What is captured before anybody kept it is no recording yet.
        return
    by = {} if edge.by is None else {"by": edge.by}
    # A call that is kept after its end has that edge at its end; it happened just now.
    late = edge.kind == "keep" and state.ended_ns is not None
    yield _event(state, kind, clock.now() if late else _datetime(edge.at_ns), **by)


def _last_news(last: CallState, state: CallState, clock: Clock) -> Iterator[CallEvent]:
    """Yield what is left to tell of a call that is over."""
    if last.capture != Capture.GRACE:
        yield _event(state, EventKind.CALL_ENDED, _ended_at(state, clock))
    captured = any(edge.kind == "start" for edge in state.edges)
    if captured and not state.kept:
        yield _event(state, EventKind.RECORDING_DISCARDED, clock.now())


def _event(state: CallState, kind: EventKind, at: datetime, **body: str) -> CallEvent:
    """Return an event that says who may see it by the state the call had."""
    told = {**body, "state": state_of(state).value}
    return CallEvent(
        TenantId(state.tenant_id), at, kind, RecordingId(state.recording_id), _owner(state), told
    )


def _ended_at(state: CallState, clock: Clock) -> datetime:
    return clock.now() if state.ended_ns is None else _datetime(state.ended_ns)


def _owner(state: CallState) -> UserId | None:
    return None if state.owner is None else UserId(state.owner)


def _id_of(uid: bytes) -> RecordingId:
    return RecordingId(str(UUID(bytes=uid)))


def _datetime(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)
