"""What of retention is late, waits or is stuck, counted over all tenants, and since when it is not nothing.

A figure of 0 is as it should be. `since` is when it was first counted above 0, of all counts without
a 0 in between: so it tells for how long a backlog was not seen empty, not how old its oldest part is.

Rules: written by the worker, read by every role; of no tenant, and without a word about any. Not here:
when it is counted (`retention.figures`), and what is told of it (`playback_portal.metrics`,
`archive.cli.retention_health`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import and_, case, func, null, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.elements import ColumnElement

from archive.catalogue import store_holds
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import case_recordings, cases, destructions, recordings, retention_figures
from archive.model import KEPT_STATES, RecordingState, TenantId

GONE_WITHIN = timedelta(hours=24)
"""Invariant I7: nothing expired is alive so long after."""

SWEPT_WITHIN = timedelta(hours=1)
"""A sweep begins every quarter of an hour: whoever missed four of them misses the next ones too."""

COUNTED_WITHIN = timedelta(hours=1)
"""The worker counts every five minutes; figures that are older tell nothing of now."""

FAILURES_STUCK = 3
"""A destruction that failed so often failed over several minutes: no passing fault of the store."""


class Figure(StrEnum):
    """What is counted. Of SWEEP and COUNTED nothing but the moment counts."""

    COUNTED = "counted"
    SWEEP = "sweep"
    CLOCK_DISBELIEVED = "clock-disbelieved"
    CLOCK_LATE_S = "clock-late-s"
    NOT_REBUILT = "restored-not-rebuilt"
    OVERDUE = "overdue-recordings"
    HOLDS_WAITING = "holds-waiting"
    STUCK = "stuck-recordings"
    IDLE_KEYS_STUCK = "idle-keys-stuck"


@dataclass(frozen=True)
class Reading:
    """A figure as it was counted `at`; `since` is None while it is 0."""

    value: int
    at: datetime
    since: datetime | None


def keep(catalogue: Catalogue, values: Mapping[Figure, int], now: datetime) -> None:
    """Remember figures in the place of their last ones."""
    columns = retention_figures.c
    rows = [
        {"name": name.value, "value": value, "at": now, "since": now if value else None}
        for name, value in values.items()
    ]
    made = upsert(retention_figures).values(rows)
    fresh = made.excluded
    since = case((fresh.value == 0, null()), else_=func.coalesce(columns.since, fresh.since))
    renewed = {"value": fresh.value, "at": fresh.at, "since": since}
    with catalogue.transaction() as connection:
        connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=renewed))


def read(catalogue: Catalogue) -> dict[Figure, Reading]:
    """Return what was counted last; a figure that never was is not there."""
    known = set(Figure)
    with catalogue.transaction() as connection:
        rows = connection.execute(select(retention_figures)).all()
    return {
        Figure(row.name): Reading(row.value, row.at.astimezone(UTC), row.since and row.since.astimezone(UTC))
        for row in rows
        if row.name in known  # a newer release may count more
    }


def count(catalogue: Catalogue, tenant_id: TenantId, until: datetime, *, locks: bool) -> dict[Figure, int]:
    """Return what is overdue, waits and is stuck of a tenant at `until`, the time recordings are over by.

    Of a store without `locks` no hold is asked for, and none waits.
    """
    found = {
        Figure.OVERDUE: (recordings, _is_overdue(tenant_id, until)),
        Figure.STUCK: (recordings, or_(_is_kept(tenant_id, until), _fails(tenant_id, until))),
    }
    with catalogue.transaction(tenant_id) as connection:
        counted = {
            figure: int(
                connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
            )
            for figure, (table, condition) in found.items()
        }
    waiting = store_holds.count_waiting(catalogue, tenant_id) if locks else 0
    return {**counted, Figure.HOLDS_WAITING: waiting}


def _is_overdue(tenant_id: TenantId, until: datetime) -> ColumnElement[bool]:
    """Whether a recording is over for longer than may be, its key or its objects being there still.

    What a case let go has a day from then on; what is held is kept by right.
    """
    columns, before = recordings.c, until - GONE_WITHIN
    lately_let_go = (
        select(case_recordings.c.recording_id)
        .join(cases, cases.c.id == case_recordings.c.case_id)
        .where(case_recordings.c.recording_id == columns.id, cases.c.released_at > before)
        .correlate(recordings)
        .exists()
    )
    return and_(
        columns.tenant_id == tenant_id,
        columns.state.in_([*sorted(KEPT_STATES), RecordingState.DELETING]),
        columns.on_hold.is_(False),
        columns.retain_until <= before,
        ~lately_let_go,
    )


def _is_kept(tenant_id: TenantId, until: datetime) -> ColumnElement[bool]:
    """Whether a recording is over and was given back: the store keeps it, or shows nothing of it."""
    columns = recordings.c
    return and_(
        columns.tenant_id == tenant_id,
        columns.state.in_(sorted(KEPT_STATES)),
        columns.on_hold.is_(False),
        columns.retain_until <= until,
        columns.kept_until.is_not(None),
    )


def _fails(tenant_id: TenantId, until: datetime) -> ColumnElement[bool]:
    """Whether its destruction fails again and again, or its key is there a day after its objects."""
    columns = destructions.c
    unfinished = select(columns.recording_id).where(
        columns.tenant_id == tenant_id,
        columns.destroyed_at.is_(None),
        or_(
            and_(columns.objects_gone_at.is_(None), columns.failures >= FAILURES_STUCK),
            columns.objects_gone_at <= until - GONE_WITHIN,
        ),
    )
    return and_(recordings.c.tenant_id == tenant_id, recordings.c.id.in_(unfinished))
