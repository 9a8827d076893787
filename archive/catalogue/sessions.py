"""How every offered recording session ended, and the daily count of exempt ones.

One row a session. Two recorded users of one session finish apart, so the second
outcome joins the first: the recordings and the traces add up, and the kind that needs
attention most stands (a failure is never covered by a success). Of an exempt session
there is no row, only one number a day for the whole instance (invariant I8).

Rules: rows hold no names and no telephone numbers; the Call-ID is the peer's. Who may
know of a recording may know how its session came to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import CompoundSelect, Row, select, tuple_, union_all, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, may_read_sessions
from archive.catalogue import recordings, traffic
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import PAGE_ROWS_MAX, decode_cursor, encode_cursor, storable
from archive.catalogue.tables import exempt_days, session_names, sessions
from archive.errors import Conflict, NotFound, Refused
from archive.model import OutcomeKind, PeerId, RecordingId, SessionId, SessionOutcome, TenantId

TRACE_LINES_MAX = 100
"""A trace tells why in some twenty lines; a session that loops must not grow its row for ever."""

EXCHANGE_IDS_MAX = 16
"""A chain of transfers gives some; more is a peer that invents them."""

TERM_CHARS_MAX = 512
"""A Call-ID of a peer has some 60 characters; what is longer than any is not looked for."""

PRECEDENCE = (
    OutcomeKind.FAILED,
    OutcomeKind.RECORDED,
    OutcomeKind.NOT_KEPT,
    OutcomeKind.MODE_NEVER,
    OutcomeKind.NOBODY_RECORDED,
)
"""Which kind stands for a session whose recordings ended differently, first one first."""


@dataclass(frozen=True)
class SessionPage:
    """Some outcomes, and the cursor of the next page or None at the end."""

    items: tuple[SessionOutcome, ...]
    next: str | None


def insert_outcome(connection: Connection, outcome: SessionOutcome) -> None:
    """Add an outcome to the caller's transaction, which is one of its tenant; repeating changes nothing.

    Raises Conflict when the session belongs to another tenant.
    """
    statement = upsert(sessions).on_conflict_do_nothing(index_elements=["id"]).returning(sessions.c.id)
    if connection.execute(statement, _row(outcome)).first() is not None:
        _call(connection, outcome)
        traffic.count(connection, outcome)
        return
    own = sessions.c.id == outcome.session_id
    known = connection.execute(select(sessions).where(own).with_for_update()).one_or_none()
    if known is None:
        raise Conflict("A session of another tenant has this id; the new outcome is not stored.")
    before = _outcome(known)
    after = joined(before, outcome)
    connection.execute(update(sessions).where(own), _row(after))
    _call(connection, after)
    traffic.count(connection, after, before)


def _call(connection: Connection, outcome: SessionOutcome) -> None:
    """Remember by which names of the exchange a session is found."""
    own = {"session_id": outcome.session_id, "tenant_id": outcome.tenant_id}
    rows = [{**own, "name": storable(name)} for name in outcome.exchange_ids]
    if rows:
        connection.execute(upsert(session_names).on_conflict_do_nothing(), rows)


def joined(one: SessionOutcome, other: SessionOutcome) -> SessionOutcome:
    """Return the one outcome of a session of which two recordings ended apart.

    The trace has the lines of both, those of the weightier first, each once.
    """
    weightier, lighter = sorted(
        (one, other), key=lambda outcome: (PRECEDENCE.index(outcome.kind), outcome.recording_ids)
    )
    return replace(
        weightier,
        trace=tuple(dict.fromkeys((*weightier.trace, *lighter.trace))),
        started_at=min(one.started_at, other.started_at),
        ended_at=max(one.ended_at, other.ended_at),
        recording_ids=tuple(sorted({*one.recording_ids, *other.recording_ids})),
        transport=one.transport or other.transport,
        site=one.site or other.site,
        octets=traffic.merged(one, other),
        exchange_ids=tuple(dict.fromkeys((*one.exchange_ids, *other.exchange_ids)))[:EXCHANGE_IDS_MAX],
    )


def find(
    catalogue: Catalogue,
    scope: AccessScope,
    *,
    term: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> SessionPage:
    """Return a page of the tenant's outcomes, newest first; raises Refused without the right to it.

    Of `term` those with that id, Call-ID or name of the exchange, to the letter.
    """
    _require_right(scope)
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    columns = sessions.c
    statement = select(sessions).where(columns.tenant_id == scope.tenant_id)
    if term:
        statement = statement.where(columns.id.in_(_called(scope.tenant_id, storable(term))))
    if since is not None:
        statement = statement.where(columns.started_at >= since)
    if until is not None:
        statement = statement.where(columns.started_at < until)
    if cursor is not None:
        statement = statement.where(tuple_(columns.started_at, columns.id) < tuple_(*decode_cursor(cursor)))
    statement = statement.order_by(columns.started_at.desc(), columns.id.desc()).limit(limit + 1)
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement).all()
    items = tuple(_outcome(row) for row in rows[:limit])
    more = len(rows) > limit
    return SessionPage(items, encode_cursor(items[-1].started_at, items[-1].session_id) if more else None)


def _called(tenant_id: TenantId, term: str) -> CompoundSelect[tuple[str]]:
    """Return the ids of sessions that are called so: each way by an index of its own."""
    columns, names = sessions.c, session_names.c
    own = columns.tenant_id == tenant_id
    return union_all(
        select(columns.id).where(own, columns.id == term),
        select(columns.id).where(own, columns.call_id == term),
        select(names.session_id).where(names.tenant_id == tenant_id, names.name == term),
    )


def get(catalogue: Catalogue, scope: AccessScope, session_id: SessionId) -> SessionOutcome:
    """Return how one session of the tenant ended; raises NotFound, and Refused without the right to it."""
    _require_right(scope)
    with catalogue.transaction(scope.tenant_id) as connection:
        return _load(connection, scope.tenant_id, session_id)


def of_recording(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> SessionOutcome:
    """Return how the session of a recording ended, to whoever may know of the recording; raises NotFound."""
    session_id = recordings.get(catalogue, scope, recording_id).recording.session_id
    with catalogue.transaction(scope.tenant_id) as connection:
        return _load(connection, scope.tenant_id, session_id)


def replace_outcome(connection: Connection, outcome: SessionOutcome) -> None:
    """Put another outcome in the place of a session's, as worker; what is not there stays away."""
    columns = sessions.c
    own = (columns.tenant_id == outcome.tenant_id, columns.id == outcome.session_id)
    connection.execute(update(sessions).where(*own), _row(outcome))


def locked(connection: Connection, tenant_id: TenantId, session_id: SessionId) -> SessionOutcome:
    """Return a session's outcome and keep others from changing it; raises NotFound."""
    return _load(connection, tenant_id, session_id, lock=True)


def find_outcome(connection: Connection, tenant_id: TenantId, session_id: SessionId) -> SessionOutcome | None:
    """Return a session's outcome, if it has one already."""
    try:
        return _load(connection, tenant_id, session_id)
    except NotFound:
        return None


def count_exempt(catalogue: Catalogue, day: date, count: int) -> None:
    """Add `count` exempt sessions to a day; nothing else about them is written anywhere."""
    if count < 1:
        raise ValueError("Only sessions that were offered are counted.")
    statement = upsert(exempt_days).values(day=day, count=count)
    added = exempt_days.c.count + statement.excluded.count
    with catalogue.transaction() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["day"], set_={"count": added}))


def exempt_count(catalogue: Catalogue, day: date) -> int:
    """Return how many exempt sessions the whole instance was offered on a day."""
    with catalogue.transaction() as connection:
        found = connection.execute(select(exempt_days.c.count).where(exempt_days.c.day == day)).scalar()
    return found or 0


def _require_right(scope: AccessScope) -> None:
    if not may_read_sessions(scope):
        raise Refused("Seeing how sessions ended needs the role auditor or administrator, or sessions:read.")


def _load(
    connection: Connection, tenant_id: TenantId, session_id: SessionId, *, lock: bool = False
) -> SessionOutcome:
    statement = select(sessions).where(sessions.c.tenant_id == tenant_id, sessions.c.id == session_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise NotFound("There is no such session.")
    return _outcome(row)


def _row(outcome: SessionOutcome) -> dict[str, object]:
    return {
        "id": outcome.session_id,
        "tenant_id": outcome.tenant_id,
        "call_id": storable(outcome.call_id),
        "kind": outcome.kind,
        "reason": storable(outcome.reason),
        "started_at": outcome.started_at,
        "ended_at": outcome.ended_at,
        "peer_id": outcome.peer_id,
        "recording_ids": list(outcome.recording_ids),
        "trace": [storable(line) for line in outcome.trace[:TRACE_LINES_MAX]],
        "transport": outcome.transport,
        "site": outcome.site,
        "octets": list(outcome.octets),
        "exchange_ids": [storable(each) for each in outcome.exchange_ids],
    }


def _outcome(row: Row[Any]) -> SessionOutcome:
    return SessionOutcome(
        session_id=SessionId(row.id),
        call_id=row.call_id,
        kind=OutcomeKind(row.kind),
        reason=row.reason,
        started_at=row.started_at.astimezone(UTC),
        ended_at=row.ended_at.astimezone(UTC),
        peer_id=None if row.peer_id is None else PeerId(row.peer_id),
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        recording_ids=tuple(RecordingId(each) for each in row.recording_ids),
        trace=tuple(row.trace),
        transport=row.transport,
        site=row.site,
        octets=tuple(row.octets),
        exchange_ids=tuple(row.exchange_ids),
    )
