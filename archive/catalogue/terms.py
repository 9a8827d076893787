"""Terms that were made longer: at once in the row, in the store and the keys by a job.

A term is only ever made longer. The sweep goes by the row, so that what was acknowledged is
kept from that transaction on; until the job was there the row says that the store's locks
and the key are behind (`term_behind`).

Rules: `lengthen` runs as portal, the rest as worker. The row is locked while its term changes,
as it is while the sweep claims it. What waits in the trash is taken out of it, for who wants it kept
has the last word. Not here: the store and the keys (`retention.terms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.access import UNSEEN_STATES, AccessScope, may_administer
from archive.catalogue import destructions, recordings
from archive.catalogue.cases import BeingDestroyed
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import recordings as rows
from archive.catalogue.tables import trash
from archive.errors import Conflict, NotFound, Refused
from archive.model import GOING_STATES, KEPT_STATES, ArchivedRecording, RecordingId, TenantId

TERM_YEARS_MAX = 30
"""From now; longer than any duty we know of, and short of what a slip of the pen makes of a year."""


@dataclass(frozen=True)
class Lengthened:
    """What a recording was before it is kept for longer: until when it was kept, and whether in the trash."""

    former: datetime
    out_of_trash: bool


def lengthen(
    connection: Connection, scope: AccessScope, recording_id: RecordingId, until: datetime, *, now: datetime
) -> Lengthened:
    """Keep a recording until a later moment, in whole seconds; return what it was before.

    Raises Refused (no right, not later, beyond TERM_YEARS_MAX), NotFound, BeingDestroyed with
    the time when it is too late, Conflict while it is in quarantine or not stored yet.
    """
    if not may_administer(scope):
        raise Refused("Keeping a recording for longer is for administrators.")
    columns = rows.c
    row = connection.execute(
        select(columns.state, columns.retain_until)
        .where(_is(scope.tenant_id, recording_id), columns.state.not_in(sorted(UNSEEN_STATES)))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such recording.")
    if row.state in GOING_STATES:
        began = destructions.claimed_at(connection, scope.tenant_id, recording_id)
        at = "" if began is None else f": it began at {began.isoformat(timespec='seconds')}"
        raise BeingDestroyed(f"The recording is being destroyed and can't be kept any longer{at}.")
    if row.state not in KEPT_STATES:
        raise Conflict(f"The recording is {row.state}: it has no term yet that could be made longer.")
    if until <= row.retain_until:
        raise Refused(f"A term is made longer, never shorter: it is kept until {row.retain_until} already.")
    if until > now + timedelta(days=365.25 * TERM_YEARS_MAX):
        raise Refused(f"A recording is kept for {TERM_YEARS_MAX} years from now at most.")
    values = {"retain_until": until, "term_behind": True}
    connection.execute(update(rows).where(_is(scope.tenant_id, recording_id)).values(values))
    in_trash = trash.c.tenant_id == scope.tenant_id, trash.c.recording_id == recording_id
    taken_out = connection.execute(delete(trash).where(*in_trash)).rowcount
    return Lengthened(row.retain_until, out_of_trash=bool(taken_out))


def kept_until(connection: Connection, scope: AccessScope, recording_id: RecordingId) -> datetime:
    """Return until when a recording is kept, for who may make that later; raises Refused, NotFound."""
    if not may_administer(scope):
        raise Refused("Keeping a recording for longer is for administrators.")
    seen = rows.c.state.not_in(sorted(UNSEEN_STATES))
    statement = select(rows.c.retain_until).where(_is(scope.tenant_id, recording_id), seen)
    found: datetime | None = connection.execute(statement).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such recording.")
    return found.astimezone(UTC)


def behind(catalogue: Catalogue, tenant_id: TenantId, limit: int) -> list[ArchivedRecording]:
    """Return recordings whose locks in the store and key are behind their term.

    In any order: what fails every time keeps no other waiting.
    """
    chosen = select(rows.c.id).where(_behind(tenant_id)).order_by(func.random()).limit(limit)
    with catalogue.transaction(tenant_id) as connection:
        return recordings.whole(connection, [RecordingId(row.id) for row in connection.execute(chosen)])


def count_behind(catalogue: Catalogue, tenant_id: TenantId) -> int:
    """Return how many there are."""
    statement = select(func.count()).select_from(rows).where(_behind(tenant_id))
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar_one()


def settle(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId, until: datetime) -> None:
    """Write down that store and key follow the term, unless it was made longer once more meanwhile."""
    of_it = and_(_is(tenant_id, recording_id), rows.c.retain_until == until)
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(update(rows).where(of_it).values(term_behind=False))


def _behind(tenant_id: TenantId) -> ColumnElement[bool]:
    return and_(
        rows.c.tenant_id == tenant_id,
        rows.c.term_behind,
        # What a row becomes that is destroyed keeps nothing.
        rows.c.state.in_(sorted(KEPT_STATES)),
    )


def _is(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    return and_(rows.c.tenant_id == tenant_id, rows.c.id == recording_id)
