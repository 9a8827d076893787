"""What a released case held is let go, in batches: a case may hold more than one transaction can change.

The release itself is one row. From then on the case holds nothing more, and its recordings
are let go by a job, each unless another case holds it; until its turn a recording stays held,
which loses nothing.

Rules: runs as worker; called again it goes on. The rows are locked before it is asked who
holds them, so that a hold that is acknowledged meanwhile counts. Not here: who releases
(`archive.catalogue.cases`), and the store's own holds (`retention.store_holds`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, exists, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import case_recordings, cases, recordings
from archive.model import TenantId

BATCH_RECORDINGS_MAX = 1000
"""Some 300 ms, under the locks of their rows."""


def let_go(
    catalogue: Catalogue, tenant_id: TenantId, *, now: datetime, recordings_max: int = BATCH_RECORDINGS_MAX
) -> int:
    """Let up to `recordings_max` recordings of one released case go; return how many were taken up.

    When none of it is left, that is written down with the case.
    """
    columns, of_case = recordings.c, case_recordings.c
    with catalogue.transaction(tenant_id) as connection:
        case_id = connection.execute(
            select(cases.c.id)
            .where(_is_waiting(tenant_id))
            .order_by(cases.c.released_at, cases.c.id)
            .limit(1)
        ).scalar()
        if case_id is None:
            return 0
        found = connection.execute(
            select(columns.id)
            .join(case_recordings, of_case.recording_id == columns.id)
            .where(of_case.tenant_id == tenant_id, of_case.case_id == case_id, columns.on_hold, ~_is_held())
            .order_by(columns.id)
            .limit(recordings_max)
            .with_for_update(of=recordings)
        )
        ids = list(found.scalars())
        if ids:
            free = and_(columns.tenant_id == tenant_id, columns.id.in_(ids), ~_is_held())
            connection.execute(update(recordings).where(free).values(on_hold=False))
        else:
            of_it = and_(cases.c.tenant_id == tenant_id, cases.c.id == case_id)
            connection.execute(update(cases).where(of_it).values(let_go_at=now))
    return len(ids)


def count_waiting(catalogue: Catalogue, tenant_id: TenantId) -> int:
    """Return how many released cases hold something still."""
    statement = select(func.count()).select_from(cases).where(_is_waiting(tenant_id))
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar_one()


def _is_waiting(tenant_id: TenantId) -> ColumnElement[bool]:
    columns = cases.c
    return and_(columns.tenant_id == tenant_id, columns.released_at.is_not(None), columns.let_go_at.is_(None))


def _is_held() -> ColumnElement[bool]:
    """Return whether a case that was not released has the recording."""
    other, case = case_recordings.alias(), cases.alias()
    return exists(
        select(other.c.recording_id)
        .join(case, case.c.id == other.c.case_id)
        .where(other.c.recording_id == recordings.c.id, case.c.released_at.is_(None))
        .correlate(recordings)
    )
