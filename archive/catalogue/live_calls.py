"""Calls under way as the portal sees them: one row per recording, written by its recorder.

A recorder publishes what changed since it last did, in one transaction with the events
of it (`call_events`), and begins by taking away what its node left behind when it
stopped. A call that may not exist (an exempt party joined) is erased: its row, its
events and its commands, also those being issued at that very moment.

Rules: a recorder changes only rows of its own node. Who may see a call is what
`archive.access.may_see_call` says; what may not be seen is NotFound.

Not here: commands to a call (`commands`), what the recorder tells (`recorder.live_calls`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope
from archive.catalogue import call_events as events_of_calls
from archive.catalogue.call_events import CallEvent, seen_by
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import decode_cursor, storable
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import call_events, commands, live_calls
from archive.errors import NotFound, Refused
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

PAGE_ROWS_MAX = 200
"""As in every list of the API; a page of calls is about as large as one of recordings."""

LOCK_CALL = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("call"), 0)))
SHARE_CALL = select(func.pg_advisory_xact_lock_shared(func.hashtextextended(bindparam("call"), 0)))


@dataclass(frozen=True)
class LiveCall:
    """One recording under way.

    `state` is recording, unkept, grace or quarantined; `capture` says where its capture
    stands, in the words of `recorder.srs.recording_mode.Capture`. `paused_at` is set while
    it is paused, `grace_until` while the ended call may still be kept. `trace` is why it is
    recorded and what was asked of it so far, as in the outcome of its session.
    """

    recording_id: RecordingId
    tenant_id: TenantId
    session_id: SessionId
    call_id: str
    call_group: CallGroupId
    node: str
    owner: UserId | None
    mode: RecordingMode
    state: RecordingState
    capture: str
    direction: Direction
    layout: Layout
    started_at: datetime
    paused_at: datetime | None = None
    grace_until: datetime | None = None
    parties: tuple[Party, ...] = ()
    trace: tuple[str, ...] = ()


def begin_node(catalogue: Catalogue, node: str, known: Iterable[RecordingId] = ()) -> None:
    """Erase what a node left behind of calls it knows no more, as its recorder.

    Whether such a call ended or may not exist is not known any more, so nothing of it stays.
    """
    statement = select(live_calls.c.recording_id).where(live_calls.c.node == node)
    with catalogue.transaction() as connection:
        left = set(connection.execute(statement).scalars()) - set(known)
        _erase(connection, left)


def publish(
    catalogue: Catalogue,
    node: str,
    changed: Iterable[LiveCall] = (),
    *,
    gone: Iterable[RecordingId] = (),
    erased: Iterable[RecordingId] = (),
    events: Iterable[CallEvent] = (),
) -> None:
    """Tell what changed on a node, all or nothing, as its recorder; repeating changes no call.

    `gone` calls are over; of `erased` ones no row, event or command is left.
    """
    rows = [_row(call, node) for call in changed]
    ended = list(gone)
    statement = upsert(live_calls)
    statement = statement.on_conflict_do_update(
        index_elements=["recording_id"],
        set_={column.name: column for column in statement.excluded if column.name != "recording_id"},
        where=live_calls.c.node == node,
    )
    with catalogue.transaction() as connection:
        if rows:
            connection.execute(statement, rows)
        if ended:
            own = and_(live_calls.c.recording_id.in_(ended), live_calls.c.node == node)
            connection.execute(delete(live_calls).where(own))
        _erase(connection, set(erased))
        events_of_calls.append(connection, events)


def find(
    catalogue: Catalogue,
    scope: AccessScope,
    *,
    owner: UserId | None = None,
    limit: int = PAGE_ROWS_MAX,
    cursor: str | None = None,
) -> list[LiveCall]:
    """Return calls under way the scope may see, newest first; raises Refused for a limit or cursor.

    A cursor is `recordings.encode_cursor(started_at, recording_id)` of the last one seen.
    """
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    columns = live_calls.c
    statement = _visible(scope)
    if owner is not None:
        statement = statement.where(columns.owner == storable(owner))
    if cursor is not None:
        place = tuple_(columns.started_at, columns.recording_id)
        statement = statement.where(place < tuple_(*decode_cursor(cursor)))
    statement = statement.order_by(columns.started_at.desc(), columns.recording_id.desc()).limit(limit)
    with catalogue.transaction(scope.tenant_id) as connection:
        return [_call(row) for row in connection.execute(statement)]


def get(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> LiveCall:
    """Return one call under way; raises NotFound when it is over, or outside the scope."""
    statement = _visible(scope).where(live_calls.c.recording_id == storable(recording_id))
    with catalogue.transaction(scope.tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such call under way.")
    return _call(row)


def share(connection: Connection, recording_id: RecordingId) -> None:
    """Keep a call from being erased until the caller's transaction is over."""
    connection.execute(SHARE_CALL, {"call": _lock_name(recording_id)})


def _erase(connection: Connection, recording_ids: set[RecordingId]) -> None:
    """Delete all that tells of these calls; who adds to it meanwhile is waited for, or comes too late."""
    ordered = sorted(recording_ids)
    for recording_id in ordered:
        connection.execute(LOCK_CALL, {"call": _lock_name(recording_id)})
    if ordered:
        for table in (commands, call_events):
            connection.execute(delete(table).where(table.c.recording_id.in_(ordered)))
        connection.execute(select(func.erase_live_calls(ordered)))


def _lock_name(recording_id: RecordingId) -> str:
    return f"call {recording_id}"


def _visible(scope: AccessScope) -> Any:
    columns = live_calls.c
    own = columns.tenant_id == scope.tenant_id
    return select(live_calls).where(own, seen_by(scope, columns.owner, columns.state))


def _row(call: LiveCall, node: str) -> dict[str, object]:
    return {
        **vars(call),
        "node": node,
        "session_id": storable(call.session_id),
        "call_id": storable(call.call_id),
        "call_group": storable(call.call_group),
        "parties": [
            {**asdict(party), "number": storable(party.number), "name": storable(party.name)}
            for party in call.parties
        ],
        "trace": [storable(line) for line in call.trace],
    }


def _call(row: Row[Any]) -> LiveCall:
    return LiveCall(
        recording_id=RecordingId(row.recording_id),
        tenant_id=TenantId(row.tenant_id),
        session_id=SessionId(row.session_id),
        call_id=row.call_id,
        call_group=CallGroupId(row.call_group),
        node=row.node,
        owner=None if row.owner is None else UserId(row.owner),
        mode=RecordingMode(row.mode),
        state=RecordingState(row.state),
        capture=row.capture,
        direction=Direction(row.direction),
        layout=Layout(row.layout),
        started_at=row.started_at.astimezone(UTC),
        paused_at=in_utc(row.paused_at),
        grace_until=in_utc(row.grace_until),
        parties=tuple(Party(**party) for party in row.parties),
        trace=tuple(row.trace),
    )


def sweep(catalogue: Catalogue, before: datetime) -> int:
    """Delete calls that began before `before`, as worker: their node never came back to end them."""
    with catalogue.transaction() as connection:
        return connection.execute(delete(live_calls).where(live_calls.c.started_at < before)).rowcount
