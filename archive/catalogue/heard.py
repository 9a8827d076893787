"""Who heard the recordings of one person, took them away or passed them on: read from the audit log.

Rules: of one's own recordings only, whatever else the reader may hear; what oneself did
is left out. Not here: the log of everybody (`audit_search`), one recording's (`audit_entries`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import literal, select

from archive.audit_chain import AuditEntry
from archive.catalogue import audit_entries as entries
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import audit_entries, recordings
from archive.model import RecordingId, TenantId, UserId

ACTIONS = (
    "recording.played",
    "recording.downloaded",
    "recording.mailed",
    "recording.exported",
    "share.added",
    "share.played",
)
"""By these the sound of a recording reaches somebody."""

ENTRIES_COUNT_MAX = 2000
"""A player asks in pieces, some dozens a call; so many are the calls of a busy week of listening."""

_OBJECT = "recording:"


@dataclass(frozen=True)
class Heard:
    """What was done with one recording, oldest first."""

    recording_id: RecordingId
    started_at: datetime
    entries: tuple[AuditEntry, ...]


def by_others(
    catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, *, since: datetime
) -> tuple[list[Heard], bool]:
    """Return what others did since a moment, what was done last first, and whether older entries were cut."""
    columns, own = audit_entries.c, recordings.c
    of_person = select(literal(_OBJECT) + own.id).where(own.tenant_id == tenant_id, own.owner == user_id)
    statement = (
        entries.selected()
        .where(
            columns.tenant_id == tenant_id,
            columns.at >= since,
            columns.action.in_(ACTIONS),
            columns.result == "ok",
            columns.actor != f"user:{user_id}",
            columns.object.in_(of_person),
        )
        .order_by(columns.at.desc(), columns.writer.desc(), columns.sequence.desc())
        .limit(ENTRIES_COUNT_MAX + 1)
    )
    with catalogue.transaction(tenant_id) as connection:
        found = [entries.entry_of(row) for row in connection.execute(statement)]
        ids = {entry.object.removeprefix(_OBJECT) for entry in found}
        begun = select(own.id, own.started_at).where(own.tenant_id == tenant_id, own.id.in_(ids))
        started = {row.id: row.started_at.astimezone(UTC) for row in connection.execute(begun)}
    more = len(found) > ENTRIES_COUNT_MAX
    of_each: dict[str, list[AuditEntry]] = {}
    for entry in reversed(found[:ENTRIES_COUNT_MAX]):
        of_each.setdefault(entry.object.removeprefix(_OBJECT), []).append(entry)
    # A recording may have been destroyed since its entries were read a moment ago.
    heard = [
        Heard(RecordingId(key), started[key], tuple(each)) for key, each in of_each.items() if key in started
    ]
    return sorted(heard, key=lambda each: each.entries[-1].at, reverse=True), more
