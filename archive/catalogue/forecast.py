"""How many recordings go when: by the day they ended, their class, and the day their term is over.

Rules: counts and octets, no recording; read by operator, worker or portal. Days are those of
Europe/Amsterdam. Not here: what another licence would make of them (`retention.preview`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Date, cast, func, select

from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import recording_objects, recordings
from archive.data_key import CALENDAR
from archive.model import PLAYABLE_STATES, RetentionClass, TenantId


@dataclass(frozen=True)
class Kept:
    """Recordings that ended on one day, of one class, that go on one day, held or not."""

    ended: date
    goes: date
    retention_class: RetentionClass
    held: bool
    recordings: int
    size_bytes: int


def kept(catalogue: Catalogue, tenant_id: TenantId) -> list[Kept]:
    """Return what a tenant keeps, added up; a row for each day, class and date at most."""
    columns, objects = recordings.c, recording_objects.c
    size = (
        select(func.coalesce(func.sum(objects.ciphertext_bytes), 0))
        .where(objects.tenant_id == tenant_id, objects.recording_id == columns.id)
        .scalar_subquery()
    )
    each = (
        select(
            cast(func.timezone(CALENDAR.key, columns.ended_at), Date).label("ended"),
            cast(func.timezone(CALENDAR.key, columns.retain_until), Date).label("goes"),
            columns.retention_class,
            columns.on_hold.label("held"),
            size.label("size_bytes"),
        )
        .where(columns.tenant_id == tenant_id, columns.state.in_(sorted(PLAYABLE_STATES)))
        .subquery()
    )
    groups = (each.c.ended, each.c.goes, each.c.retention_class, each.c.held)
    statement = (
        select(*groups, func.count().label("count"), func.sum(each.c.size_bytes).label("size_bytes"))
        .group_by(*groups)
        .order_by(*groups)
    )
    with catalogue.transaction(tenant_id) as connection:
        rows = connection.execute(statement).all()
    return [
        Kept(
            row.ended,
            row.goes,
            RetentionClass(row.retention_class),
            row.held,
            int(row._mapping["count"]),  # noqa: SLF001 - `count` is a method of a row too
            int(row.size_bytes),
        )
        for row in rows
    ]
