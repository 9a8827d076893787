"""What a search finds comes under the hold of a case: all of it in one statement, or nothing.

    wanted (what is found now) -> locked (as the sweep locks it) -> put into the case, and held
                                     |
                                     +-- its destruction has begun, or it is gone: told, not held

None of it leaves the database but what is told, so that more recordings cost time and no memory. The
store's own holds follow as a job (`retention.store_holds`).

Rules: runs as portal, in the transaction that acknowledges it; the caller holds the case locked. Rows are
locked in the order of their ids, as by everybody who locks many, so that two never wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import UNSEEN_STATES
from archive.catalogue.engine import Connection
from archive.catalogue.tables import case_recordings, recordings
from archive.errors import Refused
from archive.model import GOING_STATES, RecordingId, TenantId

RECORDINGS_MAX = 1_000_000
"""Eighty seconds of one core (measured: 83), in which a sweep, or who else changes one of them, waits."""

TIME_MAX = timedelta(minutes=10)
"""For a database that has other things to do; then nothing is held, and that is said."""

TOLD_IDS_MAX = 100
"""Of what is held; the number is told beside them. Of what is not, all are told."""


@dataclass(frozen=True)
class Added:
    """What became of recordings that were put into a case: how many are held, and `first` of them.

    Those that are going are never held.
    """

    held: int
    first: tuple[RecordingId, ...] = ()
    going: tuple[RecordingId, ...] = ()

    def __add__(self, other: Added) -> Added:
        """Return what became of both."""
        first = (*self.first, *other.first)[:TOLD_IDS_MAX]
        return Added(self.held + other.held, first, (*self.going, *other.going))


def put(
    connection: Connection,
    found: Select[Any],
    tenant_id: TenantId,
    case_id: str,
    *,
    actor: str,
    now: datetime,
) -> Added:
    """Put what a statement on recordings finds into a case and hold it.

    Raises Refused above RECORDINGS_MAX.
    """
    milliseconds = int(TIME_MAX.total_seconds() * 1000)
    connection.execute(select(func.set_config("statement_timeout", str(milliseconds), True)))
    ids = found.with_only_columns(recordings.c.id).order_by(None)
    wanted = _once(ids.limit(RECORDINGS_MAX + 1), "wanted")
    locked = _once(_locked(wanted, tenant_id), "locked")
    is_going = locked.c.state.in_(sorted(GOING_STATES))
    held = select(locked.c.id, locked.c.on_hold).where(~is_going).cte("held")
    row: dict[str, ColumnElement[Any]] = {
        "tenant_id": literal(tenant_id),
        "case_id": literal(case_id),
        "recording_id": held.c.id,
        "added_by": literal(actor),
        "added_at": literal(now),
    }
    entered = upsert(case_recordings).from_select(list(row), select(*row.values()))
    # As the lock showed it: a case that held one when the search began may have let it go since.
    marked = update(recordings).where(recordings.c.id == held.c.id, held.c.on_hold.is_(False))
    first = select(held.c.id).order_by(held.c.id).limit(TOLD_IDS_MAX).subquery()
    is_held = exists().where(held.c.id == wanted.c.id)
    going = select(wanted.c.id).where(~is_held).order_by(wanted.c.id).subquery()
    told = select(
        _number_of(wanted).label("wanted"),
        _number_of(held).label("held"),
        select(func.array_agg(first.c.id)).scalar_subquery().label("first"),
        select(func.array_agg(going.c.id)).scalar_subquery().label("going"),
    ).add_cte(
        entered.on_conflict_do_nothing().cte("entered"),
        marked.values(on_hold=True).cte("marked"),
    )
    row_told = connection.execute(told).one()
    if row_told.wanted > RECORDINGS_MAX:
        raise Refused(
            f"At most {RECORDINGS_MAX:,} recordings come under a hold at once: "
            "hold them by several searches, each of a part of the time."
        )
    return Added(
        row_told.held,
        tuple(map(RecordingId, row_told.first or ())),
        tuple(map(RecordingId, row_told.going or ())),
    )


def _once(statement: Select[Any], name: str) -> CTE:
    """Return a part of the statement that is worked out once, whatever asks for it."""
    return statement.cte(name).prefix_with("MATERIALIZED")


def _locked(wanted: CTE, tenant_id: TenantId) -> Select[Any]:
    """Return what is wanted, with its state and hold as they are when nobody else changes them any more."""
    columns = recordings.c
    return (
        select(columns.id, columns.state, columns.on_hold)
        .join(wanted, wanted.c.id == columns.id)
        .where(columns.tenant_id == tenant_id, columns.state.not_in(sorted(UNSEEN_STATES)))
        .order_by(columns.id)
        .with_for_update(of=recordings)
    )


def _number_of(rows: CTE) -> Any:
    return select(func.count()).select_from(rows).scalar_subquery()
