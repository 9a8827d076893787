"""What the root sealed in rows, wrapped anew when the root changes.

Secrets of second factors, of customers' providers, and mails that wait are sealed by
the root itself. A row that changes meanwhile is left for the next time; what can't be
opened is told and left as it is.

Rules: keys and what is sealed are never shown; here nothing is used, only wrapped anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, Table, select, update

from archive.catalogue import identity_providers, mails, second_factors, tables
from archive.catalogue.engine import Catalogue, Connection
from archive.errors import VerificationFailed
from archive.model import TenantId
from keys.errors import SealBroken
from keys.root import RotatingRoot


@dataclass(frozen=True)
class Sealed:
    """A column the root sealed, what tells its rows apart, and what each is bound to."""

    table: Table
    column: Column[bytes]
    key: Column[str]
    context_of: Callable[[Row[Any]], bytes]


SEALED: tuple[Sealed, ...] = (
    Sealed(
        tables.totp_secrets,
        tables.totp_secrets.c.sealed,
        tables.totp_secrets.c.user_id,
        lambda row: second_factors.context_of(row.tenant_id, row.user_id),
    ),
    Sealed(
        tables.identity_providers,
        tables.identity_providers.c.sealed_secret,
        tables.identity_providers.c.tenant_id,
        lambda row: identity_providers.context_of(row.tenant_id),
    ),
    Sealed(
        tables.mails,
        tables.mails.c.sealed,
        tables.mails.c.id,
        lambda row: mails.context_of(row.tenant_id, row.id),
    ),
)


def rewrap(catalogue: Catalogue, root: RotatingRoot, tenant_id: TenantId) -> int:
    """Wrap all the root sealed in the rows of a tenant by its newest version; return how many were changed.

    Raises VerificationFailed for what opens by no root at hand, KeysError.
    """
    count = 0
    for sealed in SEALED:
        for row, fresh in _stale(catalogue, root, tenant_id, sealed):
            with catalogue.transaction(tenant_id) as connection:
                count += _replace(connection, sealed, row, fresh)
    return count


def unfinished(catalogue: Catalogue, root: RotatingRoot, tenant_id: TenantId) -> int:
    """Return how many rows of a tenant are not sealed by the newest version; raises as `rewrap`."""
    return sum(len(_stale(catalogue, root, tenant_id, sealed)) for sealed in SEALED)


def _stale(
    catalogue: Catalogue, root: RotatingRoot, tenant_id: TenantId, sealed: Sealed
) -> list[tuple[Row[Any], bytes]]:
    columns = {sealed.table.c.tenant_id, sealed.key, sealed.column}
    statement = select(*sorted(columns, key=lambda column: column.name)).where(
        sealed.table.c.tenant_id == tenant_id, sealed.column.is_not(None)
    )
    with catalogue.transaction(tenant_id) as connection:
        rows = connection.execute(statement).all()
    stale = []
    for row in rows:
        try:
            fresh = root.rewrapped(bytes(row._mapping[sealed.column.name]), sealed.context_of(row))  # noqa: SLF001
        except SealBroken as error:
            raise VerificationFailed(
                f"A row of {sealed.table.name} opens by no root: name the former one in KEYRING_FORMER."
            ) from error
        if fresh is not None:
            stale.append((row, fresh))
    return stale


def _replace(connection: Connection, sealed: Sealed, row: Row[Any], fresh: bytes) -> int:
    former = row._mapping  # noqa: SLF001 - the public name of a row's columns, despite its underscore
    changed = connection.execute(
        update(sealed.table)
        .where(
            sealed.table.c.tenant_id == former["tenant_id"],
            sealed.key == former[sealed.key.name],
            sealed.column == former[sealed.column.name],
        )
        .values({sealed.column: fresh})
    )
    return changed.rowcount
