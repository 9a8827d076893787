"""The trash: what two people let go before its term waits there for days the tenant set, and can be put back.

    archived --approved--> in the trash --its window is over--> destroyed by the sweep
       ^                        |
       +-------put back---------+

It never waits longer than its own term: what is over goes as everything that is over. A hold keeps it,
in the trash or not. Where the law asks for an erasure, and where the tenant set no window, nothing
waits. Meanwhile a recording is found and heard as before.

Rules: runs as portal; each change in the transaction of its audit entry, under the lock of the
recording's row, which is the lock a hold and the sweep take too. Not here: what may be
destroyed (`archive.catalogue.early`), and who approves (`archive.approval`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, may_administer
from archive.approval import Proposal
from archive.catalogue import policies
from archive.catalogue.cases import BeingDestroyed
from archive.catalogue.early import APPROVAL_LASTS
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import decode_cursor, encode_cursor
from archive.catalogue.tables import proposals, recordings, trash
from archive.errors import NotFound, Refused
from archive.model import GOING_STATES, KEPT_STATES, RecordingId, TenantId, UserId

PAGE_ROWS_MAX = 200


@dataclass(frozen=True)
class Trashed:
    """A recording in the trash, without numbers or names; `until` is when its destruction begins."""

    recording_id: RecordingId
    started_at: datetime
    duration_ms: int
    owner: UserId | None
    retain_until: datetime
    on_hold: bool
    put_at: datetime
    until: datetime
    reason: str
    proposal_id: str
    proposed_by: str
    approved_by: str


def put(connection: Connection, proposal: Proposal, *, now: datetime) -> datetime:
    """Put the recording of an approved proposal into the trash; return when its destruction begins.

    The caller holds the lock of its row.
    """
    recording_id = RecordingId(proposal.subject_id)
    days = policies.policy_within(connection, proposal.tenant_id).trash_days
    window = timedelta() if proposal.parameters.get("atOnce") is True else timedelta(days=days)
    of_it = and_(recordings.c.tenant_id == proposal.tenant_id, recordings.c.id == recording_id)
    term = connection.execute(select(recordings.c.retain_until).where(of_it)).scalar_one()
    until: datetime = min(now + window, term).astimezone(UTC)
    row = {"proposal_id": proposal.id, "put_at": now, "until": until}
    statement = upsert(trash).values(tenant_id=proposal.tenant_id, recording_id=recording_id, **row)
    # What was put back, or what an approval that came to nothing left, gives way.
    connection.execute(statement.on_conflict_do_update(index_elements=["recording_id"], set_=row))
    return until


def put_back(connection: Connection, scope: AccessScope, recording_id: RecordingId, *, now: datetime) -> None:
    """Take a recording out of the trash; its approval is worth nothing more.

    Raises Refused without the right, NotFound when it is not in the trash, BeingDestroyed
    when it is too late.
    """
    if not may_administer(scope):
        raise Refused("Putting a recording back is for administrators.")
    columns = recordings.c
    state = connection.execute(
        select(columns.state)
        .where(columns.tenant_id == scope.tenant_id, columns.id == recording_id)
        .with_for_update()
    ).scalar()
    if state in GOING_STATES:
        raise BeingDestroyed("The destruction of this recording has begun: it can't be put back.")
    taken = connection.execute(
        delete(trash)
        .where(trash.c.tenant_id == scope.tenant_id, trash.c.recording_id == recording_id)
        .where(trash.c.until > now - APPROVAL_LASTS)
    )
    if not taken.rowcount:
        raise NotFound("This recording is not in the trash.")


def page(
    catalogue: Catalogue, scope: AccessScope, *, limit: int, cursor: str | None, now: datetime
) -> tuple[tuple[Trashed, ...], str | None]:
    """Return what is in the trash, what goes first before the others, and the cursor of the next page.

    Raises Refused without the right, for a limit, and for a cursor not ours.
    """
    if not may_administer(scope):
        raise Refused("The trash is for administrators.")
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    columns = trash.c
    statement = _in_trash(scope.tenant_id, now)
    if cursor is not None:
        place = tuple_(*decode_cursor(cursor))
        statement = statement.where(tuple_(columns.until, columns.recording_id) > place)
    ordered = statement.order_by(columns.until, columns.recording_id).limit(limit + 1)
    with catalogue.transaction(scope.tenant_id) as connection:
        found = [_trashed(row) for row in connection.execute(ordered)]
    items = tuple(found[:limit])
    following = encode_cursor(items[-1].until, items[-1].recording_id) if len(found) > limit else None
    return items, following


def of_recordings(
    connection: Connection, tenant_id: TenantId, recording_ids: Collection[RecordingId], *, now: datetime
) -> dict[RecordingId, datetime]:
    """Return which of these are in the trash, and when the destruction of each begins."""
    statement = _in_trash(tenant_id, now).where(trash.c.recording_id.in_(sorted(recording_ids)))
    return {each.recording_id: each.until for each in map(_trashed, connection.execute(statement))}


def _in_trash(tenant_id: TenantId, now: datetime) -> Select[Any]:
    """Return what waits or may go by its approval still; what is being destroyed is in it no more."""
    columns = recordings.c
    return (
        select(
            trash,
            columns.started_at,
            columns.duration_ms,
            columns.owner,
            columns.retain_until,
            columns.on_hold,
            proposals.c.reason,
            proposals.c.proposed_by,
            proposals.c.decided_by,
        )
        .join(recordings, columns.id == trash.c.recording_id)
        .join(proposals, proposals.c.id == trash.c.proposal_id)
        .where(
            trash.c.tenant_id == tenant_id,
            trash.c.until > now - APPROVAL_LASTS,
            columns.state.in_(sorted(KEPT_STATES)),
        )
    )


def _trashed(row: Row[Any]) -> Trashed:
    return Trashed(
        recording_id=RecordingId(row.recording_id),
        started_at=row.started_at.astimezone(UTC),
        duration_ms=row.duration_ms,
        owner=None if row.owner is None else UserId(row.owner),
        retain_until=row.retain_until.astimezone(UTC),
        on_hold=row.on_hold,
        put_at=row.put_at.astimezone(UTC),
        until=row.until.astimezone(UTC),
        reason=row.reason,
        proposal_id=row.proposal_id,
        proposed_by=row.proposed_by,
        approved_by=row.decided_by,
    )
