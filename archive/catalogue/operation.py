"""What an operator may know of the tenants of an instance: counts of each, and how sessions ended.

The figures are those tenants see themselves: people as the directory has them, recordings and
octets as they stand and seconds recorded as reports add them up (`rollups`). Of a session that
is its own id, the peer's Call-ID and its outcome: no party, no number, no trace. An exempt
session has no row at all (invariant I8), so that none can be found.

Rules: asked within the operators' own tenant, where alone the database answers
(`migrations/versions/0084_operation.py`); to anybody else there is nothing. Not here: nodes
(`recorder_nodes`), and moments (`moments`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import func, select

from archive.access import AccessScope, may_operate
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import PAGE_ROWS_MAX, decode_cursor, encode_cursor, storable
from archive.catalogue.rows import by_name
from archive.errors import Refused
from archive.model import OutcomeKind, SessionId, TenantId


@dataclass(frozen=True)
class TenantFigures:
    """A tenant in numbers: who has not left, what stands, and seconds recorded in the period."""

    id: TenantId
    name: str
    domain: str
    people: int
    recordings: int
    size_bytes: int
    recorded_s: int


@dataclass(frozen=True)
class OperatedSession:
    """How an offered session ended; of none `tenant_id` is None. `recordings` is how many were made of it."""

    session_id: SessionId
    tenant_id: TenantId | None
    call_id: str
    kind: OutcomeKind
    reason: str
    started_at: datetime
    ended_at: datetime
    recordings: int


@dataclass(frozen=True)
class OperatedPage:
    """Some sessions, and the cursor of the next page or None at the end."""

    items: tuple[OperatedSession, ...]
    next: str | None


def tenants(catalogue: Catalogue, scope: AccessScope, since: date) -> list[TenantFigures]:
    """Return the figures of all tenants by domain, seconds from the local day `since` on; raises Refused."""
    _require_right(scope)
    found = func.operated_tenants(since).table_valued(
        "id", "name", "domain", "people", "recordings", "size_bytes", "recorded_s"
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(select(found)).all()
    return [TenantFigures(**by_name(row)) for row in rows]


def sessions(
    catalogue: Catalogue, scope: AccessScope, *, term: str = "", limit: int = 50, cursor: str | None = None
) -> OperatedPage:
    """Return a page of outcomes of all tenants, newest first.

    Of `term` those with that id, Call-ID or name of the exchange, to the letter. Raises Refused without
    the right to it, and for a limit or cursor that is none.
    """
    _require_right(scope)
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    before, before_id = (None, "") if cursor is None else decode_cursor(cursor)
    found = func.operated_sessions(storable(term), before, before_id, limit + 1).table_valued(
        "id", "tenant_id", "call_id", "kind", "reason", "started_at", "ended_at", "recordings"
    )
    statement = select(found).order_by(found.c.started_at.desc(), found.c.id.desc()).limit(limit + 1)
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement).all()
    items = tuple(
        OperatedSession(
            session_id=SessionId(row.id),
            tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
            call_id=row.call_id,
            kind=OutcomeKind(row.kind),
            reason=row.reason,
            started_at=row.started_at.astimezone(UTC),
            ended_at=row.ended_at.astimezone(UTC),
            recordings=row.recordings,
        )
        for row in rows[:limit]
    )
    more = len(rows) > limit
    return OperatedPage(items, encode_cursor(items[-1].started_at, items[-1].session_id) if more else None)


def outcomes(catalogue: Catalogue, scope: AccessScope, since: datetime) -> dict[OutcomeKind, int]:
    """Return how many sessions ended how at `since` or later, over all tenants; raises Refused."""
    _require_right(scope)
    found = func.operated_outcomes(since).table_valued("kind", "sessions")
    statement = select(found.c.kind, func.sum(found.c.sessions).label("sessions")).group_by(found.c.kind)
    with catalogue.transaction(scope.tenant_id) as connection:
        counted = {row.kind: int(row.sessions) for row in connection.execute(statement)}
    return {kind: counted.get(kind, 0) for kind in OutcomeKind}


def _require_right(scope: AccessScope) -> None:
    if not may_operate(scope):
        raise Refused("How the instance runs is for its operators.")
