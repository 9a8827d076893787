"""The rows of the audit log: appended in the caller's transaction, read by tenant or chain.

Rules: nothing here changes or removes an entry, and the database would refuse it.
Not here: bodies as they are erased (`archive.catalogue.audit_bodies`), what is hashed
(`archive.audit_chain`) and when to write (`archive.audit`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, select, tuple_
from sqlalchemy import insert as insert_into

from archive.audit_chain import AuditEntry, ChainHead, canonical_json
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import audit_bodies, audit_entries, audit_writers
from archive.erased_bodies import ERASED
from archive.model import TenantId

PAGE_ROWS_MAX = 1000
"""Rows in memory at a time; a log of years is read page by page."""

LOCK_CHAIN = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("writer"), 0)))


def lock_chain(connection: Connection, writer: str) -> ChainHead:
    """Wait until nobody else appends to this chain, keep others waiting, and return its head."""
    connection.execute(LOCK_CHAIN, {"writer": writer})
    row = connection.execute(
        select(audit_writers.c.sequence, audit_writers.c.hash).where(audit_writers.c.writer == writer)
    ).one_or_none()
    return ChainHead() if row is None else ChainHead(row.sequence, row.hash)


def insert(connection: Connection, *entries: AuditEntry) -> None:
    """Insert entries and their bodies; the database refuses one that does not follow the chain's head."""
    if not entries:
        return
    names = [column.name for column in audit_entries.columns]
    connection.execute(
        insert_into(audit_entries), [{name: getattr(each, name) for name in names} for each in entries]
    )
    bodies = [
        {
            "tenant_id": each.tenant_id,
            "writer": each.writer,
            "sequence": each.sequence,
            "salt": each.salt,
            "body": canonical_json(each.body).decode(),
        }
        for each in entries
    ]
    connection.execute(insert_into(audit_bodies), bodies)


def of_object(catalogue: Catalogue, tenant_id: TenantId, object_: str) -> list[AuditEntry]:
    """Return what happened to one object of a tenant, oldest first, at most PAGE_ROWS_MAX entries."""
    statement = (
        selected()
        .where(audit_entries.c.tenant_id == tenant_id, audit_entries.c.object == object_)
        .order_by(audit_entries.c.at, audit_entries.c.writer, audit_entries.c.sequence)
        .limit(PAGE_ROWS_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [entry_of(row) for row in connection.execute(statement)]


def newest_action(connection: Connection, tenant_id: TenantId, object_: str) -> str | None:
    """Return what happened to one object of a tenant last, in the caller's transaction; None for nothing."""
    columns = audit_entries.c
    statement = (
        select(columns.action)
        .where(columns.tenant_id == tenant_id, columns.object == object_)
        .order_by(columns.at.desc(), columns.writer.desc(), columns.sequence.desc())
        .limit(1)
    )
    found: str | None = connection.execute(statement).scalar()
    return found


def heads(catalogue: Catalogue) -> dict[str, ChainHead]:
    """Return the head of every chain by its writer."""
    statement = select(audit_writers).order_by(audit_writers.c.writer)
    with catalogue.transaction() as connection:
        return {row.writer: ChainHead(row.sequence, row.hash) for row in connection.execute(statement)}


def chain(catalogue: Catalogue, writer: str, *, last: int) -> Iterator[AuditEntry]:
    """Yield a writer's entries up to number `last`, as worker or operator: all tenants, no bodies."""
    columns = audit_entries.c
    yield from _pages(catalogue, None, and_(columns.writer == writer, columns.sequence <= last))


def following(connection: Connection, writer: str, after: int, *, limit: int) -> list[AuditEntry]:
    """Return the entries of a writer behind number `after`, as worker: all tenants, no bodies."""
    statement = (
        selected()
        .where(audit_entries.c.writer == writer, audit_entries.c.sequence > after)
        .order_by(audit_entries.c.sequence)
        .limit(limit)
    )
    return [entry_of(row) for row in connection.execute(statement)]


def of_range(
    catalogue: Catalogue, writer: str, first: int, last: int, *, bodies_of: Iterable[TenantId] = ()
) -> list[AuditEntry]:
    """Return the entries of a writer from number `first` to `last`, with the bodies of some tenants."""
    columns = audit_entries.c
    wanted = and_(columns.writer == writer, columns.sequence >= first, columns.sequence <= last)
    statement = selected().where(wanted).order_by(columns.sequence)
    with catalogue.transaction() as connection:
        found = {row.sequence: entry_of(row) for row in connection.execute(statement)}
    for tenant_id in bodies_of:
        with catalogue.transaction(tenant_id) as connection:
            own = statement.where(columns.tenant_id == tenant_id)
            found.update({row.sequence: entry_of(row) for row in connection.execute(own)})
    return list(found.values())


def of_tenant(catalogue: Catalogue, tenant_id: TenantId) -> Iterator[AuditEntry]:
    """Yield a tenant's entries with their bodies, by writer and number."""
    yield from _pages(catalogue, tenant_id, audit_entries.c.tenant_id == tenant_id)


def of_instance(catalogue: Catalogue) -> Iterator[AuditEntry]:
    """Yield the entries of no tenant with their bodies, by writer and number; as operator or worker."""
    yield from _pages(catalogue, None, audit_entries.c.tenant_id.is_(None))


def erasures(catalogue: Catalogue, tenant_id: TenantId | None) -> Iterator[AuditEntry]:
    """Yield the entries of a tenant, or of the instance, that name bodies that were erased."""
    columns = audit_entries.c
    whose = columns.tenant_id.is_(None) if tenant_id is None else columns.tenant_id == tenant_id
    yield from _pages(catalogue, tenant_id, and_(whose, columns.action == ERASED))


def history(catalogue: Catalogue, tenant_id: TenantId, object_: str) -> Iterator[AuditEntry]:
    """Yield all that happened to one object of a tenant, with bodies, by writer and number."""
    columns = audit_entries.c
    wanted = and_(columns.tenant_id == tenant_id, columns.object == object_)
    yield from _pages(catalogue, tenant_id, wanted)


def _pages(
    catalogue: Catalogue, tenant_id: TenantId | None, wanted: ColumnElement[bool]
) -> Iterator[AuditEntry]:
    place = tuple_(audit_entries.c.writer, audit_entries.c.sequence)
    statement = selected().where(wanted).order_by(*place).limit(PAGE_ROWS_MAX)
    page: list[AuditEntry] = []
    while True:
        after = () if not page else (place > tuple_(page[-1].writer, page[-1].sequence),)
        with catalogue.transaction(tenant_id) as connection:
            page = [entry_of(row) for row in connection.execute(statement.where(*after))]
        yield from page
        if len(page) < PAGE_ROWS_MAX:
            return


def selected() -> Select[tuple[object, ...]]:
    """Return the statement that reads entries with their bodies, for more conditions."""
    of_entry = and_(
        audit_bodies.c.writer == audit_entries.c.writer, audit_bodies.c.sequence == audit_entries.c.sequence
    )
    joined = audit_entries.outerjoin(audit_bodies, of_entry)
    return select(audit_entries, audit_bodies.c.salt, audit_bodies.c.body).select_from(joined)


def entry_of(row: Row[tuple[object, ...]]) -> AuditEntry:
    """Return the entry of a row `selected` read."""
    fields = dict(row._mapping)  # noqa: SLF001 - the public name of a row's columns, despite its underscore
    body = fields.pop("body")
    fields["at"] = fields["at"].astimezone(UTC)
    return AuditEntry(body=None if body is None else json.loads(body), **fields)
