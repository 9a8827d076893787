"""What is left of a recording whose term is over: when it was, how it was kept, and how it went.

Rules: for auditors and administrators who signed in and for keys that read sessions, as its
certificate; to everybody else there never was such a recording. No name, no number, no
owner: the rows hold none any more. Not here: the certificate itself
(`archive.catalogue.destructions.certificate_of`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, func, select

from archive.access import AccessScope, may_read_sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import destructions, recordings, sessions
from archive.model import OutcomeKind, RecordingId, RecordingMode, RecordingState, RetentionClass


@dataclass(frozen=True)
class Remains:
    """A recording that is going or gone; `destroyed_at` is None while its key waits to be destroyed."""

    id: RecordingId
    state: RecordingState
    mode: RecordingMode
    started_at: datetime
    duration_ms: int
    retention_class: RetentionClass
    retain_until: datetime
    outcome: OutcomeKind | None
    claimed_at: datetime
    objects: int
    objects_gone_at: datetime | None
    destroyed_at: datetime | None
    certified: bool


def of(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> Remains | None:
    """Return what is left of a recording, None where there is nothing or who asks may not know."""
    if not may_read_sessions(scope):
        return None
    going, columns, ended = destructions.c, recordings.c, sessions.c
    statement = (
        select(
            columns.id,
            columns.state,
            columns.mode,
            columns.started_at,
            columns.duration_ms,
            going.retention_class,
            going.retain_until,
            ended.kind,
            going.claimed_at,
            func.coalesce(func.jsonb_array_length(going.objects), 0).label("objects"),
            going.objects_gone_at,
            going.destroyed_at,
            going.certificate.is_not(None).label("certified"),
        )
        .join(recordings, and_(columns.tenant_id == going.tenant_id, columns.id == going.recording_id))
        .outerjoin(
            sessions,
            and_(ended.tenant_id == going.tenant_id, ended.id == going.session_id),
        )
        .where(going.tenant_id == scope.tenant_id, going.recording_id == recording_id)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        row = connection.execute(statement).first()
    if row is None:
        return None
    return Remains(
        id=RecordingId(row.id),
        state=RecordingState(row.state),
        mode=RecordingMode(row.mode),
        started_at=row.started_at.astimezone(UTC),
        duration_ms=row.duration_ms,
        retention_class=RetentionClass(row.retention_class),
        retain_until=row.retain_until.astimezone(UTC),
        outcome=None if row.kind is None else OutcomeKind(row.kind),
        claimed_at=row.claimed_at.astimezone(UTC),
        objects=row.objects,
        objects_gone_at=in_utc(row.objects_gone_at),
        destroyed_at=in_utc(row.destroyed_at),
        certified=row.certified,
    )
