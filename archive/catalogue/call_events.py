"""What happened to calls under way, for pages that stay up to date; kept for a day.

An event is thin: its kind, when, of which call and whose, and a small body with the
state the call had (`state`), which decides who may see it, and who did it (`by`).
Events of one tenant become visible in the order of their ids: who has seen all up to
an id misses nothing by asking for those after it.

Rules: no number and no name is in an event. Of an unkept call only those hear who may
see the call itself (`archive.access.may_see_call`). `quota.…` events and events of no
call are for the person they are about, and for who may see everybody's calls.

Not here: which changes of a call are events (`recorder.live_calls`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
)

from archive.access import AccessScope, may_see_call
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import call_events
from archive.errors import Refused
from archive.model import RecordingId, RecordingState, TenantId, UserId

CHANNEL = "call_events"
"""Notified with the id of the tenant whenever events were added."""

PAGE_ROWS_MAX = 1000
SWEEP_ROWS_MAX = 10_000
"""Deleted in one statement: a busy day has millions, and a statement may take 5 s."""

LIVE_STATES = (
    RecordingState.RECORDING,
    RecordingState.UNKEPT,
    RecordingState.GRACE,
    RecordingState.QUARANTINED,
)
"""The states a call under way may be in."""

STRANGER = UserId("")
"""Nobody's id: whoever may see the calls of this one sees everybody's."""

LOCK_ORDER = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("order"), 0)))
NOTIFY = select(func.pg_notify(CHANNEL, bindparam("tenant_id")))


class EventKind(StrEnum):
    """What may be told of a call or a user."""

    CALL_STARTED = "call.started"
    CALL_ENDED = "call.ended"
    RECORDING_STARTED = "recording.started"
    RECORDING_STOPPED = "recording.stopped"
    RECORDING_PAUSED = "recording.paused"
    RECORDING_RESUMED = "recording.resumed"
    RECORDING_KEPT = "recording.kept"
    RECORDING_DISCARDED = "recording.discarded"
    PAUSE_REMINDER = "recording.pause-reminder"
    QUOTA_80 = "quota.80"
    QUOTA_100 = "quota.100"


@dataclass(frozen=True)
class CallEvent:
    """Something that happened; `body` goes to JSON and may hold `state` and `by`."""

    tenant_id: TenantId
    at: datetime
    kind: str
    recording_id: RecordingId | None
    owner: UserId | None
    body: Mapping[str, Any]


@dataclass(frozen=True)
class StoredEvent:
    """An event with its place in the order of its tenant."""

    id: int
    event: CallEvent


def append(connection: Connection, events: Iterable[CallEvent]) -> None:
    """Add events to the caller's transaction and wake who listens; make it the last thing done there.

    Others who append for the same tenant wait until this transaction is over: ids are
    given before they can be seen, and a reader would miss an id that appears later.
    """
    rows = [{**vars(event), "kind": str(event.kind), "body": dict(event.body)} for event in events]
    if not rows:
        return
    tenant_ids = sorted({str(row["tenant_id"]) for row in rows})
    for tenant_id in tenant_ids:
        connection.execute(LOCK_ORDER, {"order": f"call events of {tenant_id}"})
    connection.execute(insert(call_events), rows)
    for tenant_id in tenant_ids:
        connection.execute(NOTIFY, {"tenant_id": tenant_id})


def after(catalogue: Catalogue, scope: AccessScope, last_id: int, limit: int = 100) -> list[StoredEvent]:
    """Return what the scope may see of the events after `last_id`, in order; raises Refused for a limit.

    Fewer than `limit` means that there were no more. Who then asks on from what `newest`
    said before this call does not read again what it may not see.
    """
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of events is 1 to {PAGE_ROWS_MAX}.")
    statement = (
        select(call_events)
        .where(_within(scope), call_events.c.id > last_id)
        .order_by(call_events.c.id)
        .limit(limit)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return [stored(row) for row in connection.execute(statement)]


def newest(catalogue: Catalogue, tenant_id: TenantId) -> int:
    """Return the id of the tenant's newest event, 0 when it has none: where a new listener begins."""
    statement = select(func.max(call_events.c.id)).where(call_events.c.tenant_id == tenant_id)
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar() or 0


def sweep(catalogue: Catalogue, before: datetime) -> int:
    """Delete events older than `before` of all tenants, as worker, and return how many there were."""
    swept = 0
    # Ids grow with time, so the oldest rows are found without an index of times.
    oldest = select(call_events.c.id).order_by(call_events.c.id).limit(SWEEP_ROWS_MAX)
    statement = delete(call_events).where(call_events.c.id.in_(oldest), call_events.c.at < before)
    while True:
        with catalogue.transaction() as connection:
            deleted = connection.execute(statement).rowcount
        swept += deleted
        if deleted < SWEEP_ROWS_MAX:
            return swept


def seen_by(scope: AccessScope, owner: ColumnElement[Any], state: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the filter that says what `archive.access.may_see_call` says: it is made by asking it."""
    known = sorted({*scope.heard_user_ids, *([scope.user_id] if scope.user_id is not None else [])})
    seen = []
    for each in LIVE_STATES:
        if may_see_call(scope, STRANGER, each):
            seen.append(and_(state == each, owner.is_not(None)))
        else:
            owners = [user_id for user_id in known if may_see_call(scope, user_id, each)]
            seen.append(and_(state == each, owner.in_(owners)))
        if may_see_call(scope, None, each):
            seen.append(and_(state == each, owner.is_(None)))
    return or_(*seen)


def _within(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter of the events a scope may see."""
    columns = call_events.c
    state = func.coalesce(columns.body["state"].astext, RecordingState.RECORDING.value)
    of_person = or_(columns.recording_id.is_(None), columns.kind.startswith("quota."))
    told = true() if may_see_call(scope, STRANGER, RecordingState.RECORDING) else false()
    own: ColumnElement[bool] = false()
    if scope.user_id is not None and may_see_call(scope, scope.user_id, RecordingState.RECORDING):
        own = columns.owner == scope.user_id
    return and_(
        columns.tenant_id == scope.tenant_id,
        or_(
            and_(of_person, or_(told, own)),
            and_(~of_person, seen_by(scope, columns.owner, state)),
        ),
    )


def stored(row: Row[Any]) -> StoredEvent:
    """Return the event of a row of the table."""
    event = CallEvent(
        tenant_id=TenantId(row.tenant_id),
        at=row.at.astimezone(UTC),
        kind=row.kind,
        recording_id=None if row.recording_id is None else RecordingId(row.recording_id),
        owner=None if row.owner is None else UserId(row.owner),
        body=row.body,
    )
    return StoredEvent(row.id, event)
