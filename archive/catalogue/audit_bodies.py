"""The bodies of audit entries as they go: which are there, what they may tell of, and how far it is.

Rules: only a worker erases, and only in a transaction that writes an entry about it. How far it is with
a tenant is read by its portal. Not here: which bodies go (`retention.audit_bodies`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.audit_chain import AuditEntry
from archive.catalogue.audit_entries import PAGE_ROWS_MAX, entry_of, selected
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import (
    audit_bodies,
    audit_entries,
    audit_erasures,
    cases,
    data_subject_requests,
    destructions,
    recordings,
)
from archive.erased_bodies import ERASED
from archive.errors import Refused
from archive.model import RecordingState, TenantId


@dataclass(frozen=True)
class Told:
    """Of some ids: those that are recordings, and those whose bodies have to stay as yet."""

    recordings: frozenset[str]
    staying: frozenset[str]


@dataclass(frozen=True)
class Progress:
    """How many bodies of a tenant were erased in all, and how far the pass that goes on is.

    `looked_at` counts those the pass met, `until` is when the last of them was written;
    `finished_at` is when a pass last came to its end.
    """

    erased: int
    looked_at: int
    until: datetime | None
    finished_at: datetime | None


def page(
    connection: Connection, tenant_id: TenantId | None, before: datetime, cursor: str | None
) -> tuple[list[AuditEntry], str | None]:
    """Return entries from before a moment whose bodies are there, oldest first, and the next cursor.

    At most PAGE_ROWS_MAX; of a tenant, or of the instance itself. Raises Refused for a cursor that is none.
    """
    columns = audit_entries.c
    place = tuple_(columns.at, columns.writer, columns.sequence)
    whose = columns.tenant_id.is_(None) if tenant_id is None else columns.tenant_id == tenant_id
    wanted = [whose, columns.at < before, columns.action != ERASED, audit_bodies.c.salt.is_not(None)]
    if cursor is not None:
        wanted.append(place > tuple_(*_place(cursor)))
    statement = selected().where(*wanted).order_by(*place).limit(PAGE_ROWS_MAX)
    found = [entry_of(row) for row in connection.execute(statement)]
    return found, _cursor(found[-1]) if len(found) == PAGE_ROWS_MAX else None


def told(connection: Connection, tenant_id: TenantId, ids: Collection[str]) -> Told:
    """Look up what ids in bodies stand for.

    What stays: recordings that are not destroyed, or went while a data subject waits for an answer
    (which may be about them), cases whose recordings were not let go, and open requests themselves.
    """
    if not ids:
        return Told(frozenset(), frozenset())
    requests, gone = data_subject_requests.c, destructions.c
    own = (requests.tenant_id == tenant_id,)
    is_open = (requests.answered_at.is_(None), requests.closed_at.is_(None))
    found = connection.execute(
        select(recordings.c.id, recordings.c.state).where(
            recordings.c.tenant_id == tenant_id, recordings.c.id.in_(ids)
        )
    ).all()
    staying = {each for each, state in found if state != RecordingState.DESTROYED}
    for statement in (
        select(cases.c.id).where(
            cases.c.tenant_id == tenant_id, cases.c.id.in_(ids), cases.c.let_go_at.is_(None)
        ),
        select(requests.id).where(*own, requests.id.in_(ids), *is_open),
        select(gone.recording_id).where(
            gone.tenant_id == tenant_id,
            gone.recording_id.in_(ids),
            gone.destroyed_at
            >= select(func.min(requests.taken_in_at)).where(*own, *is_open).scalar_subquery(),
        ),
    ):
        staying.update(connection.execute(statement).scalars())
    return Told(frozenset(each for each, _ in found), frozenset(staying))


def erase(connection: Connection, entries: Iterable[AuditEntry]) -> list[tuple[str, int]]:
    """Erase bodies; return writer and number of those that were there, in order."""
    columns = audit_bodies.c
    named = [(each.writer, each.sequence) for each in entries]
    if not named:
        return []
    gone = connection.execute(
        delete(audit_bodies)
        .where(tuple_(columns.writer, columns.sequence).in_(named))
        .returning(columns.writer, columns.sequence)
    )
    return sorted((row.writer, row.sequence) for row in gone)


def keep_progress(
    connection: Connection,
    tenant_id: TenantId,
    *,
    begins: bool,
    looked_at: int,
    erased: int,
    until: datetime | None,
    finished_at: datetime | None,
) -> None:
    """Add what a batch did to how far it is with a tenant; `begins` for the first of a pass."""
    row = {
        "tenant_id": tenant_id,
        "looked_at": looked_at,
        "erased": erased,
        "until": until,
        "finished_at": finished_at,
    }
    old = audit_erasures.c
    renewed = {
        "looked_at": looked_at if begins else old.looked_at + looked_at,
        "erased": old.erased + erased,
        "until": until,
        "finished_at": func.coalesce(finished_at, old.finished_at),
    }
    statement = upsert(audit_erasures).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=renewed))


def progress_of(catalogue: Catalogue, tenant_id: TenantId) -> Progress:
    """Return how far it is with a tenant."""
    columns = audit_erasures.c
    statement = select(columns.erased, columns.looked_at, columns.until, columns.finished_at).where(
        columns.tenant_id == tenant_id
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return Progress(0, 0, None, None)
    until, finished_at = (each and each.astimezone(UTC) for each in (row.until, row.finished_at))
    return Progress(row.erased, row.looked_at, until, finished_at)


def _cursor(entry: AuditEntry) -> str:
    return json.dumps([entry.at.isoformat(), entry.writer, entry.sequence])


def _place(cursor: str) -> tuple[datetime, str, int]:
    try:
        at, writer, sequence = json.loads(cursor)
        return datetime.fromisoformat(at), str(writer), int(sequence)
    except (ValueError, TypeError):
        raise Refused("The cursor is none of ours.") from None
