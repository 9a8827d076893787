"""The audit log of a tenant as people and programs read it: filtered, newest first, page by page.

Rules: each read takes an `AccessScope`; only who answers for the tenant reads what
everybody did. An entry's id says writer and number, so that it can be asked for before
and after it was sealed. Not here: one recording's history (`audit_entries.of_object`).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, tuple_

from archive.access import AccessScope, may_read_audit
from archive.audit_chain import AuditEntry
from archive.catalogue import audit_entries as entries
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import audit_entries
from archive.errors import NotFound, Refused

PAGE_ROWS_MAX = 200
CURSOR_CHARS_MAX = 2048
"""A writer's name has up to 512 characters; a cursor holds one, a time and a number."""


@dataclass(frozen=True)
class AuditQuery:
    """What is asked for; None and '' ask for everything."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    action: str = ""
    object: str = ""
    result: str = ""


@dataclass(frozen=True)
class AuditPage:
    """Entries, newest first, and the cursor of those behind them."""

    items: tuple[AuditEntry, ...]
    next: str | None


def find(
    catalogue: Catalogue, scope: AccessScope, query: AuditQuery, *, limit: int, cursor: str | None = None
) -> AuditPage:
    """Return a page of a tenant's entries; raises Refused for who may not, or a cursor that is none."""
    _refuse(scope)
    place = tuple_(audit_entries.c.at, audit_entries.c.writer, audit_entries.c.sequence)
    wanted = _wanted(scope, query)
    if cursor is not None:
        wanted.append(place < tuple_(*_place(cursor)))
    statement = (
        entries.selected()
        .where(*wanted)
        .order_by(*(column.desc() for column in place))
        .limit(min(limit, PAGE_ROWS_MAX) + 1)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        found = [entries.entry_of(row) for row in connection.execute(statement)]
    page = found[: min(limit, PAGE_ROWS_MAX)]
    return AuditPage(tuple(page), cursor_of(page[-1]) if len(found) > len(page) else None)


def every(
    catalogue: Catalogue, scope: AccessScope, query: AuditQuery, *, rows_max: int
) -> Iterator[AuditEntry]:
    """Yield a tenant's entries, newest first, up to `rows_max`; raises as `find`."""
    cursor, left = None, rows_max
    while left > 0:
        page = find(catalogue, scope, query, limit=min(PAGE_ROWS_MAX, left), cursor=cursor)
        yield from page.items
        left, cursor = left - len(page.items), page.next
        if cursor is None:
            return


def get(catalogue: Catalogue, scope: AccessScope, entry_id: str) -> AuditEntry:
    """Return one entry of the tenant by its id; raises NotFound, and Refused for who may not."""
    _refuse(scope)
    writer, sequence = _named(entry_id)
    wanted = (
        audit_entries.c.tenant_id == scope.tenant_id,
        audit_entries.c.writer == writer,
        audit_entries.c.sequence == sequence,
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        row = connection.execute(entries.selected().where(*wanted)).one_or_none()
    if row is None:
        raise NotFound("The audit log has no such entry.")
    return entries.entry_of(row)


def id_of(entry: AuditEntry) -> str:
    """Return the id of an entry: letters, digits, `-` and `_`."""
    return _encoded(f"{entry.sequence} {entry.writer}")


def cursor_of(entry: AuditEntry) -> str:
    """Return where the page behind an entry begins."""
    return _encoded(json.dumps([entry.at.isoformat(), entry.writer, entry.sequence]))


def check_cursor(cursor: str) -> None:
    """Raise Refused for a cursor that is none of ours."""
    _place(cursor)


def _refuse(scope: AccessScope) -> None:
    if not may_read_audit(scope):
        raise Refused("Reading the audit log needs the role auditor or administrator, or audit:read.")


def _wanted(scope: AccessScope, query: AuditQuery) -> list[ColumnElement[bool]]:
    columns = audit_entries.c
    wanted = [columns.tenant_id == scope.tenant_id]
    if query.since is not None:
        wanted.append(columns.at >= query.since)
    if query.until is not None:
        wanted.append(columns.at < query.until)
    for column, value in (
        (columns.actor, query.actor),
        (columns.action, query.action),
        (columns.object, query.object),
        (columns.result, query.result),
    ):
        if value:
            wanted.append(column == value)
    return wanted


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _named(entry_id: str) -> tuple[str, int]:
    sequence, _, writer = _decoded(entry_id[:CURSOR_CHARS_MAX]).partition(" ")
    if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 19) or "\0" in writer:
        raise NotFound("The audit log has no such entry.")
    return writer, int(sequence)


def _place(cursor: str) -> tuple[datetime, str, int]:
    try:
        at, writer, sequence = json.loads(_decoded(cursor[:CURSOR_CHARS_MAX]))
        moment = datetime.fromisoformat(at)
    except (ValueError, TypeError, RecursionError):
        raise Refused("The cursor is none of ours.") from None
    whole = isinstance(sequence, int) and not isinstance(sequence, bool) and 0 <= sequence < 1 << 63
    if moment.tzinfo is None or not isinstance(writer, str) or "\0" in writer or not whole:
        raise Refused("The cursor is none of ours.")
    return moment, writer, sequence
