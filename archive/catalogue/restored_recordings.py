"""Rows of a database of yesterday, brought to what the bucket tells of their recordings.

Rules: runs as operator, under the lock of the row; nothing is loosened, and called again it changes
nothing. Not here: rows that are missing (`archive.catalogue.recordings`), holds
(`archive.catalogue.restored_cases`, `archive.catalogue.found_holds`).
"""

from __future__ import annotations

from sqlalchemy import and_, func, update
from sqlalchemy.sql.elements import ColumnElement

from archive.catalogue.engine import Connection
from archive.catalogue.tables import recordings
from archive.model import KEPT_STATES, Recording, RecordingId, TenantId


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


def _is_kept(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    columns = recordings.c
    return and_(
        columns.tenant_id == tenant_id, columns.id == recording_id, columns.state.in_(sorted(KEPT_STATES))
    )
