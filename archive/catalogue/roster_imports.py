"""Files of people that are being imported: what each row says until it is written, then what became of it.

A row is settled in the transaction that writes its person: a worker that dies leaves the rest to the
next one, and no row is written twice. What a row says goes as soon as it is settled; what became of it
stays for KEPT. Rows are written in the order of the file.

Rules: of one tenant, for its administrators. Not here: what a row may do (`archive.roll`), and the
job (`retention.imports`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import roster_imports, roster_rows
from archive.errors import NotFound
from archive.model import TenantId, UserId, new_id
from archive.roster import RosterResult, RosterRow

KEPT = timedelta(days=30)
"""How long it is told what became of a file: whoever imported it has looked by then."""

LISTED_MAX = 10


@dataclass(frozen=True)
class Import:
    """A file of `rows` rows; `counts` are those settled, by what became of them."""

    id: str
    tenant_id: TenantId
    user_id: UserId
    asked_at: datetime
    ended_at: datetime | None
    rows: int
    counts: Mapping[str, int]

    @property
    def done(self) -> int:
        """How many rows are settled."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class WaitingRow:
    """The next row to be written, at its place in the file."""

    place: int
    row: RosterRow


def begin(
    connection: Connection, tenant_id: TenantId, user_id: UserId, rows: Sequence[RosterRow], *, now: datetime
) -> str:
    """Take a file in, in the caller's transaction, and return the id of the import."""
    import_id = new_id(now)
    own = {"tenant_id": tenant_id, "user_id": user_id}
    connection.execute(insert(roster_imports), {"id": import_id, **own, "rows": len(rows), "asked_at": now})
    written = [
        {
            "tenant_id": tenant_id,
            "import_id": import_id,
            "place": place,
            "line": row.line,
            "login": row.login,
            # A row with more cells than the heading has a list in it, as the reader of CSV gives it.
            "cells": dict(row.cells),
            "reason": "",
        }
        for place, row in enumerate(rows)
    ]
    connection.execute(insert(roster_rows), written)
    return import_id


def get(catalogue: Catalogue, tenant_id: TenantId, import_id: str) -> Import:
    """Return an import and how far it is; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        found = _where(connection, tenant_id, roster_imports.c.id == import_id)
    if not found:
        raise NotFound("There is no such import.")
    return found[0]


def latest(catalogue: Catalogue, tenant_id: TenantId) -> list[Import]:
    """Return the newest imports of a tenant, newest first."""
    with catalogue.transaction(tenant_id) as connection:
        return _where(connection, tenant_id)


def results(catalogue: Catalogue, tenant_id: TenantId, import_id: str) -> list[RosterResult]:
    """Return what became of the rows that are settled, in the order of the file."""
    columns = roster_rows.c
    statement = (
        select(columns.line, columns.login, columns.result, columns.reason)
        .where(columns.tenant_id == tenant_id, columns.import_id == import_id, columns.result.is_not(None))
        .order_by(columns.place)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [RosterResult(*row) for row in connection.execute(statement)]


def next_row(connection: Connection, tenant_id: TenantId, import_id: str) -> WaitingRow | None:
    """Return the next row to be written, None at the end; of two who ask the second waits for the first."""
    of_it = (roster_imports.c.tenant_id == tenant_id, roster_imports.c.id == import_id)
    connection.execute(select(roster_imports.c.id).where(*of_it).with_for_update())
    columns = roster_rows.c
    statement = (
        select(roster_rows)
        .where(columns.tenant_id == tenant_id, columns.import_id == import_id, columns.result.is_(None))
        .order_by(columns.place)
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else WaitingRow(row.place, RosterRow(row.line, row.login, row.cells))


def settle(connection: Connection, found: Import, place: int, became: RosterResult) -> None:
    """Note in the caller's transaction what became of a row, and let what it said go."""
    columns = roster_rows.c
    statement = update(roster_rows).where(
        columns.tenant_id == found.tenant_id, columns.import_id == found.id, columns.place == place
    )
    connection.execute(statement.values(result=became.result, reason=became.reason, cells={}))


def counts_within(connection: Connection, tenant_id: TenantId, import_id: str) -> Mapping[str, int]:
    """Return how many rows of an import are settled, by what became of them."""
    return _where(connection, tenant_id, roster_imports.c.id == import_id)[0].counts


def end(connection: Connection, tenant_id: TenantId, import_id: str, *, now: datetime) -> bool:
    """Note in the caller's transaction that every row is settled; False when that was noted before."""
    columns = roster_imports.c
    statement = update(roster_imports).where(
        columns.tenant_id == tenant_id, columns.id == import_id, columns.ended_at.is_(None)
    )
    return connection.execute(statement.values(ended_at=now)).rowcount > 0


def unfinished(catalogue: Catalogue, tenant_id: TenantId) -> list[str]:
    """Return the imports of a tenant that go on, oldest first."""
    columns = roster_imports.c
    statement = (
        select(columns.id)
        .where(columns.tenant_id == tenant_id, columns.ended_at.is_(None))
        .order_by(columns.asked_at)
    )
    with catalogue.transaction(tenant_id) as connection:
        return list(connection.execute(statement).scalars())


def sweep(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> int:
    """Forget the imports that ended long ago; return how many."""
    columns = roster_imports.c
    statement = delete(roster_imports).where(columns.tenant_id == tenant_id, columns.ended_at < now - KEPT)
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).rowcount


def _where(connection: Connection, tenant_id: TenantId, *conditions: Any) -> list[Import]:
    columns, of_row = roster_imports.c, roster_rows.c
    statement = (
        select(roster_imports)
        .where(columns.tenant_id == tenant_id, *conditions)
        .order_by(columns.asked_at.desc(), columns.id.desc())
        .limit(LISTED_MAX)
    )
    found = connection.execute(statement).all()
    counted = (
        select(of_row.import_id, of_row.result, func.count())
        .where(
            of_row.tenant_id == tenant_id,
            of_row.import_id.in_([row.id for row in found]),
            of_row.result.is_not(None),
        )
        .group_by(of_row.import_id, of_row.result)
    )
    counts: dict[str, dict[str, int]] = {}
    for import_id, result, count in connection.execute(counted):
        counts.setdefault(import_id, {})[result] = count
    return [_import(row, counts.get(row.id, {})) for row in found]


def _import(row: Row[Any], counts: Mapping[str, int]) -> Import:
    ended_at = None if row.ended_at is None else row.ended_at.astimezone(UTC)
    ids = row.id, TenantId(row.tenant_id), UserId(row.user_id)
    return Import(*ids, row.asked_at.astimezone(UTC), ended_at, row.rows, counts)
