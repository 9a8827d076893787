"""What each node knows of the time, and the newest moments that the audit log and the recordings tell of.

Rules: of no tenant; written by recorder, worker and operator. Not here: what is believed
(`retention.due_time`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, delete, func, lateral, not_, select, true
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import audit_entries, audit_writers, recordings, retention_clocks

CLOCK_ACTION, DISBELIEVED = "retention.clock", "refused"
"""The entry of the audit log that says that no clock was believed."""

REBUILT = "rebuilt"
"""The node that stands for what a bucket told of the time when the catalogue was rebuilt from it."""


@dataclass(frozen=True)
class GoodTime:
    """A moment, and how long the machine of a node had been up then, since which start.

    An `exact` one is when the clock was found right; otherwise it was at least so late.
    """

    node: str
    at: datetime
    boot_id: str
    uptime_s: float
    ignored_until: datetime | None = None
    """Entries of the audit log up to this moment that lie ahead of the clock were made by a wrong one."""

    exact: bool = True


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
            in_utc(row.ignored_until),
            row.exact,
        )
        for row in rows
    ]


def keep(catalogue: Catalogue, good: GoodTime) -> None:
    """Remember a node's good time in the place of its last one; what is ignored stays so."""
    statement = upsert(retention_clocks).values(vars(good))
    renewed: dict[str, object] = {
        "at": good.at,
        "boot_id": good.boot_id,
        "uptime_s": good.uptime_s,
        "exact": good.exact,
    }
    if good.ignored_until is not None:
        renewed["ignored_until"] = good.ignored_until
    with catalogue.transaction() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["node"], set_=renewed))


def newest_entry(catalogue: Catalogue, *, at_most: datetime | None = None) -> datetime | None:
    """Return the time of the newest entry of the audit log, as worker or operator; None of an empty one.

    The newest of each writer counts: whoever wrote by a wrong clock once writes by the right
    one now. With `at_most`, entries ahead of it do not count. Nor does what tells that a clock was
    not believed: it is dated by that clock.
    """
    writer, entry = audit_writers.c, audit_entries.c
    believed = not_(and_(entry.action == CLOCK_ACTION, entry.result == DISBELIEVED))
    last = lateral(
        select(entry.at)
        .where(entry.writer == writer.writer, believed)
        .order_by(entry.sequence.desc())
        .limit(1)
    )
    statement = select(func.max(last.c.at)).select_from(audit_writers.join(last, true()))
    if at_most is not None:
        statement = statement.where(last.c.at <= at_most)
    with catalogue.transaction() as connection:
        found = connection.execute(statement).scalar()
    return in_utc(found)


def newest_recording(catalogue: Catalogue) -> datetime | None:
    """Return when the newest recording of all tenants began; None of an empty archive."""
    newest: datetime | None = None
    for tenant in list_tenants(catalogue):
        statement = select(func.max(recordings.c.started_at)).where(recordings.c.tenant_id == tenant.id)
        with catalogue.transaction(tenant.id) as connection:
            found = connection.execute(statement).scalar()
        if found is not None and (newest is None or found > newest):
            newest = found.astimezone(UTC)
    return newest


def start_over(connection: Connection, at: datetime) -> None:
    """Know nothing more than that it was at least `at` once, as operator.

    For a catalogue that is being rebuilt: whatever clock ran in the empty one before proves nothing.
    """
    columns = retention_clocks.c
    connection.execute(delete(retention_clocks).where(columns.node != REBUILT))
    statement = upsert(retention_clocks).values(node=REBUILT, at=at, boot_id="", uptime_s=0, exact=False)
    later = {"at": func.greatest(columns.at, statement.excluded.at)}
    connection.execute(statement.on_conflict_do_update(index_elements=["node"], set_=later))
