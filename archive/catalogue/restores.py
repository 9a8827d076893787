"""Restores of a backup into this database, and whether the catalogue was built again since.

    restored, not rebuilt --storage rebuild-catalogue--> rebuilt

A restored database is that of yesterday. Until the bucket was read it knows neither what was held
nor what was kept for longer since, so that nothing is destroyed by it (`retention.timekeeper`).

Rules: of no tenant; the row is written by the restore itself (`archive.backup.restoring`), read by
every role, and settled by the operator.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import restores


def not_rebuilt(catalogue: Catalogue) -> datetime | None:
    """Return of when the backup is that was restored and not rebuilt, the oldest; None when there is none."""
    statement = select(func.min(restores.c.made_at)).where(restores.c.rebuilt_at.is_(None))
    with catalogue.transaction() as connection:
        return in_utc(connection.execute(statement).scalar())


def newest(connection: Connection) -> datetime | None:
    """Return when a backup was restored last, None when none was."""
    return in_utc(connection.execute(select(func.max(restores.c.restored_at))).scalar())


def settle(catalogue: Catalogue, *, now: datetime) -> None:
    """Write down that the catalogue was built again."""
    waiting = update(restores).where(restores.c.rebuilt_at.is_(None))
    with catalogue.transaction() as connection:
        connection.execute(waiting.values(rebuilt_at=now))


def since(moment: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a backup was restored at that moment of a row or after it."""
    return select(restores.c.restored_at).where(restores.c.restored_at >= moment).exists()
