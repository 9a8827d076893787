"""What a destroyed recording leaves in the catalogue: a row without names and numbers.

The row is replaced and not emptied, so that whatever hangs from it goes with it: notes,
comments, labels, links, waiting mails. Its minutes go, of its session stays how it ended, and
exports in which it is end at once: what is written about a recording never outlives it.

Rules: runs as worker, in the caller's transaction, after its objects are gone. Not here: when
that is (`archive.catalogue.destructions`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select

from archive.catalogue import exports, rollups, sessions, store_holds
from archive.catalogue.engine import Connection
from archive.catalogue.rows import by_name
from archive.catalogue.tables import minute_bookings, recordings
from archive.errors import NotFound
from archive.model import RecordingId, RecordingState, SessionId, TenantId, UserId

WHOLE_TRACE = "the recording was destroyed at the end of its term"


def last_kek(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> str | None:
    """Return the KEK a recording hangs from, under the lock of its row: nobody wraps its key anew now."""
    columns = recordings.c
    of_it = and_(columns.tenant_id == tenant_id, columns.id == recording_id)
    return connection.execute(select(columns.kek_id).where(of_it).with_for_update()).scalar() or None


def erase(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    session_id: SessionId,
    *,
    now: datetime,
) -> None:
    """Leave of a recording when it was, its class and its term."""
    columns = recordings.c
    of_it = and_(columns.tenant_id == tenant_id, columns.id == recording_id)
    known = connection.execute(select(recordings).where(of_it).with_for_update()).one_or_none()
    if known is not None:
        if known.owner is not None:
            size_bytes = rollups.size_of(connection, tenant_id, recording_id)
            began = known.started_at.astimezone(UTC)
            rollups.destroyed(connection, tenant_id, UserId(known.owner), began, size_bytes, now)
        connection.execute(delete(recordings).where(of_it))
        connection.execute(insert(recordings).values(_blank(known)))
    booked = minute_bookings.c
    connection.execute(
        delete(minute_bookings).where(booked.tenant_id == tenant_id, booked.recording_id == recording_id)
    )
    exports.end_with(connection, tenant_id, recording_id, now=now)
    _scrub_session(connection, tenant_id, recording_id, session_id)


def _scrub_session(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, session_id: SessionId
) -> None:
    """Leave of the session how it ended, once the last of its recordings goes."""
    try:
        outcome = sessions.locked(connection, tenant_id, session_id)
    except NotFound:
        return
    columns = recordings.c
    others = select(columns.id).where(
        columns.tenant_id == tenant_id,
        columns.session_id == session_id,
        columns.id != recording_id,
        columns.kek_id != "",
    )
    if connection.execute(others.limit(1)).first() is None:
        sessions.replace_outcome(connection, replace(outcome, call_id="", trace=(WHOLE_TRACE,)))


def _blank(known: Row[Any]) -> dict[str, object]:
    """Return the row a destroyed recording leaves: when, how long, which class and until when."""
    row = by_name(known)
    row.update(
        call_id="",
        call_group="",
        state=RecordingState.DELETING,
        owner=None,
        spans=[],
        packets_received=0,
        packets_lost=0,
        packets_duplicated=0,
        packets_reordered=0,
        sha256="",
        channels=[],
        flags=[],
        site=None,
        kek_id="",
        wrapped_key=b"",
        store_hold=store_holds.NONE,
        kept_until=None,
    )
    return row
