"""When the clock of each node was last found right, and the newest moment the audit log tells of.

Rules: of no tenant; written by worker and operator. Not here: what is believed (`retention.due_time`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import audit_entries, audit_writers, retention_clocks


@dataclass(frozen=True)
class GoodTime:
    """A moment a node's clock was found right at, and how long its machine had been up, since which start."""

    node: str
    at: datetime
    boot_id: str
    uptime_s: float
    ignored_until: datetime | None = None
    """Entries of the audit log up to this moment that lie ahead of the clock were made by a wrong one."""


def good_times(catalogue: Catalogue) -> list[GoodTime]:
    """Return what is known of all nodes, the newest first."""
    statement = select(retention_clocks).order_by(retention_clocks.c.at.desc())
    with catalogue.transaction() as connection:
        rows = connection.execute(statement).all()
    return [
        GoodTime(
            row.node,
            row.at.astimezone(UTC),
            row.boot_id,
            row.uptime_s,
            None if row.ignored_until is None else row.ignored_until.astimezone(UTC),
        )
        for row in rows
    ]


def keep(catalogue: Catalogue, good: GoodTime) -> None:
    """Remember a node's good time in the place of its last one; what is ignored stays so."""
    statement = upsert(retention_clocks).values(vars(good))
    renewed = {"at": good.at, "boot_id": good.boot_id, "uptime_s": good.uptime_s}
    if good.ignored_until is not None:
        renewed["ignored_until"] = good.ignored_until
    with catalogue.transaction() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["node"], set_=renewed))


def newest_entry(catalogue: Catalogue, *, at_most: datetime | None = None) -> datetime | None:
    """Return the time of the newest entry of the audit log, as worker or operator; None of an empty one.

    The newest of each writer counts: whoever wrote by a wrong clock once writes by the right
    one now. With `at_most`, entries ahead of it do not count.
    """
    writer, entry = audit_writers.c, audit_entries.c
    last = and_(entry.writer == writer.writer, entry.sequence == writer.sequence)
    statement = select(func.max(entry.at)).select_from(audit_writers.join(audit_entries, last))
    if at_most is not None:
        statement = statement.where(entry.at <= at_most)
    with catalogue.transaction() as connection:
        found = connection.execute(statement).scalar()
    return None if found is None else found.astimezone(UTC)
