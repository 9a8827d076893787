"""Rows of a database of yesterday, brought to what the bucket tells of their recordings.

Rules: runs as operator, under the lock of the row; nothing is loosened, and called again it changes
nothing. Not here: rows that are missing (`archive.catalogue.recordings`), holds
(`archive.catalogue.restored_cases`, `archive.catalogue.found_holds`), and by what a recording is
taken for destroyed (`archive.burial`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.audit_chain import AuditEntry
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import destructions, recordings
from archive.model import KEPT_STATES, Recording, RecordingId, RecordingState, TenantId
from archive.tombstone import Tombstone

CLAIM = "restore"
"""Whose a destruction is that was found by a tombstone, until a worker takes it up."""


@dataclass(frozen=True)
class Standing:
    """A row that may have to go: whether a hold keeps it."""

    on_hold: bool


def keep_longer(connection: Connection, recording: Recording) -> bool:
    """Keep a recording as long as the store locks it; return whether its term was made longer since.

    The key of the later day, and locks that were not moved yet, follow (`retention.terms`).
    """
    columns = recordings.c
    shorter = func.date_trunc("second", columns.retain_until) < recording.retain_until
    longer = (
        update(recordings)
        .where(_is_kept(recording.tenant_id, recording.id), shorter)
        .values(retain_until=recording.retain_until, term_behind=True)
    )
    return bool(connection.execute(longer).rowcount)


def stands(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId) -> bool:
    """Return whether a recording is kept by this database, or on its way out with nothing deleted yet."""
    statement = select(recordings.c.id).where(_may_be_buried(tenant_id, recording_id))
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).first() is not None


def lock(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> Standing | None:
    """Return a recording that `stands`, under the lock of its row, None when it does not (any more)."""
    locked = select(recordings.c.on_hold).where(recordings.c.id == recording_id).with_for_update()
    connection.execute(locked)
    # A statement of its own: what the lock waited for is seen only by the next one.
    row = connection.execute(locked.where(_may_be_buried(tenant_id, recording_id))).one_or_none()
    return None if row is None else Standing(row.on_hold)


def bury(connection: Connection, stone: Tombstone, entry: AuditEntry, *, now: datetime) -> None:
    """Have a recording go the way of what is destroyed, as one whose objects are deleted already.

    The caller has locked it. `entry` is what the audit log tells of it.
    """
    gone = [vars(each) for each in stone.objects]
    unplanned = and_(_is_destruction(stone.tenant_id, stone.recording_id), destructions.c.objects.is_(None))
    if connection.execute(update(destructions).where(unplanned).values(objects=gone)).rowcount:
        return  # it was on its way out when the backup was made
    of_it = _stands(stone.tenant_id, stone.recording_id)
    row = connection.execute(select(recordings).where(of_it)).one()
    connection.execute(
        insert(destructions).values(
            recording_id=stone.recording_id,
            tenant_id=stone.tenant_id,
            session_id=row.session_id,
            former_state=row.state,
            retention_class=row.retention_class,
            retain_until=row.retain_until,
            kek_id=row.kek_id,
            claim=CLAIM,
            claimed_at=now,
            claimed_until=now,
            objects=gone,
            entries={"begun": {"writer": entry.writer, "sequence": entry.sequence, "hash": entry.hash}},
            proposal_id=stone.proposal_id,
        )
    )
    connection.execute(update(recordings).where(of_it).values(state=RecordingState.DELETING))


def _may_be_buried(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    columns = recordings.c
    going = select(destructions.c.recording_id).where(
        _is_destruction(tenant_id, recording_id), destructions.c.objects.is_(None)
    )
    of_it = and_(columns.tenant_id == tenant_id, columns.id == recording_id)
    return or_(_stands(tenant_id, recording_id), and_(of_it, going.exists()))


def _is_destruction(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    return and_(destructions.c.tenant_id == tenant_id, destructions.c.recording_id == recording_id)


def _stands(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    """Whether a recording is kept, or waits in quarantine for somebody who decides."""
    columns = recordings.c
    of_it = columns.tenant_id == tenant_id, columns.id == recording_id
    return and_(*of_it, columns.state.in_(sorted({*KEPT_STATES, RecordingState.QUARANTINED})))


def _is_kept(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    columns = recordings.c
    return and_(
        columns.tenant_id == tenant_id, columns.id == recording_id, columns.state.in_(sorted(KEPT_STATES))
    )
