"""Legal duties to keep: which law obliges a tenant, for which classes, who registered it and when.

Only a duty makes a lock that nobody can take back (COMPLIANCE, `archive.lock_mode`); buying a
licence of seven years is none. A duty counts for what is archived from then on, and one
that ended no longer does; no lock that stands changes by either.

Rules: registered by the operator alone and at once; ended by two people, for it loosens what is
locked from then on (`archive.catalogue.approved`). Read by every role; a row stays when its duty ends.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import legal_duties
from archive.errors import NotFound, Refused
from archive.model import RetentionClass, TenantId, new_id

LAW_CHARS_MAX = 200
"""Room for the articles of a law and its transposition; the advice behind it belongs in a file."""

DUTIES_PER_TENANT_MAX = 100
"""A tenant has a few laws to follow; the row of one that ended stays."""


@dataclass(frozen=True)
class LegalDuty:
    """A duty to keep recordings of some retention classes; `ended_at` is None while it is in force."""

    id: str
    law: str
    classes: frozenset[RetentionClass]
    registered_by: str
    registered_at: datetime
    ended_at: datetime | None = None


def register(  # noqa: PLR0917 - the words of one row
    connection: Connection,
    tenant_id: TenantId,
    law: str,
    classes: Collection[RetentionClass],
    actor: str,
    now: datetime,
) -> LegalDuty:
    """Register a duty in the caller's transaction; raises Refused for a law or classes that say nothing."""
    law = law.strip()
    if not law or len(law) > LAW_CHARS_MAX or not law.isprintable():
        raise Refused(f"Name the law in 1 to {LAW_CHARS_MAX} printable characters.")
    if not classes:
        raise Refused("Name at least one retention class the duty is about.")
    known = select(func.count()).select_from(legal_duties).where(legal_duties.c.tenant_id == tenant_id)
    if connection.execute(known).scalar_one() >= DUTIES_PER_TENANT_MAX:
        raise Refused(f"A tenant has at most {DUTIES_PER_TENANT_MAX} duties, those that ended included.")
    duty = LegalDuty(new_id(now), law, frozenset(classes), actor, now)
    row = {
        "id": duty.id,
        "tenant_id": tenant_id,
        "law": law,
        "classes": sorted(each.value for each in duty.classes),
        "registered_by": actor,
        "registered_at": now,
    }
    connection.execute(insert(legal_duties), row)
    return duty


def in_force(connection: Connection, tenant_id: TenantId, duty_id: str) -> LegalDuty:
    """Return a duty that did not end; raises NotFound."""
    columns = legal_duties.c
    statement = select(legal_duties).where(
        columns.tenant_id == tenant_id, columns.id == duty_id, columns.ended_at.is_(None)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("This tenant has no such duty in force.")
    return _duty(row)


def end(connection: Connection, tenant_id: TenantId, duty_id: str, actor: str, now: datetime) -> None:
    """End a duty in the caller's transaction, as portal, once a second person approved it.

    The database itself refuses it without that (migration 0075). Raises NotFound for one that is
    not in force.
    """
    columns = legal_duties.c
    statement = (
        update(legal_duties)
        .where(columns.tenant_id == tenant_id, columns.id == duty_id, columns.ended_at.is_(None))
        .values(ended_by=actor, ended_at=now)
    )
    if connection.execute(statement).rowcount == 0:
        raise NotFound("This tenant has no such duty in force.")


def duties_of(catalogue: Catalogue, tenant_id: TenantId) -> list[LegalDuty]:
    """Return the duties of a tenant, those that ended too, oldest first."""
    columns = legal_duties.c
    statement = (
        select(legal_duties)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.registered_at, columns.id)
        .limit(DUTIES_PER_TENANT_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [_duty(row) for row in connection.execute(statement)]


def classes_in_force(catalogue: Catalogue, tenant_id: TenantId) -> frozenset[RetentionClass]:
    """Return the retention classes a duty of the tenant is about now."""
    with catalogue.transaction(tenant_id) as connection:
        return classes_within(connection, tenant_id)


def classes_within(connection: Connection, tenant_id: TenantId) -> frozenset[RetentionClass]:
    """Do as `classes_in_force` in the caller's transaction."""
    columns = legal_duties.c
    statement = select(columns.classes).where(columns.tenant_id == tenant_id, columns.ended_at.is_(None))
    return frozenset(
        RetentionClass(each) for classes in connection.execute(statement).scalars() for each in classes
    )


def _duty(row: Row[Any]) -> LegalDuty:
    return LegalDuty(
        row.id,
        row.law,
        frozenset(map(RetentionClass, row.classes)),
        row.registered_by,
        row.registered_at.astimezone(UTC),
        in_utc(row.ended_at),
    )
