"""Which recordings may be destroyed: those nothing keeps, and those that two people let go before their term.

A recording waits in the trash first (`archive.catalogue.trash`). Behind that, and of keys at once, an
approval is good for a week, and only while no hold keeps the recording: the sweep asks anew, in
the statement that claims it. What was approved before a backup was restored is asked for anew. Keys
are approved by their day, so that a KEK that gives way to its next version meanwhile changes nothing;
what comes to that day after the approval is not meant (`condemn`).

Rules: conditions of SQL over `recordings`, run by whoever claims (`archive.catalogue.destructions`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, insert, literal, or_, select
from sqlalchemy.sql.elements import ColumnElement

from archive.approval import LIFE, Kind, State
from archive.catalogue import restores, store_holds
from archive.catalogue.engine import Connection
from archive.catalogue.tables import condemned, legal_duties, proposals, recordings, trash
from archive.model import KEPT_STATES, TenantId

APPROVAL_LASTS = LIFE
"""As long as the proposal itself would have waited."""


def is_early(tenant_id: TenantId, until: datetime) -> ColumnElement[bool]:
    """Whether it is before its term and two people approved that it goes: itself, or the keys it hangs from.

    For a week: a hold that kept it meanwhile is no reason to destroy it a year later.
    """
    columns, of_it, waits = recordings.c, proposals.c, trash.c
    approved = of_it.tenant_id == tenant_id, of_it.state == State.APPROVED.value
    named = (
        select(waits.recording_id)
        .join(proposals, of_it.id == waits.proposal_id)
        .where(*approved, of_it.kind == Kind.EARLY_DESTRUCTION.value)
        .where(of_it.subject == func.concat("recording:", waits.recording_id))
        .where(waits.until > until - APPROVAL_LASTS)
        # What was to wait for nothing needs no clock that agrees with the portal's to the second.
        .where(or_(waits.until <= until, waits.until == waits.put_at))
    )
    by_key = select(of_it.id).where(*approved, of_it.decided_at > until - APPROVAL_LASTS, _is_of_key())
    # Of before a restore nobody knows what was done since; the rows of the trash went with it.
    by_key = by_key.where(~restores.since(of_it.decided_at))
    # One that was made to be kept longer since hangs from the keys of that day only until a job was there.
    early = or_(columns.id.in_(named), and_(by_key.exists(), columns.term_behind.is_(False)))
    free = is_free(tenant_id, until), columns.retain_until > until
    return and_(*free, ~_is_of_duty(tenant_id).exists(), early)


def condemn(
    connection: Connection, tenant_id: TenantId, proposal_id: str, day: str, before: datetime
) -> None:
    """Note what hangs from the keys of a day and began before a moment as what an approval is about."""
    columns = recordings.c
    hanging = select(columns.tenant_id, columns.id, literal(proposal_id)).where(
        columns.tenant_id == tenant_id,
        columns.kek_id.like(f"{tenant_id}/{day}/%"),
        columns.started_at <= before,
    )
    connection.execute(insert(condemned).from_select(["tenant_id", "recording_id", "proposal_id"], hanging))


def approval() -> ColumnElement[str | None]:
    """Return the last approval by which a recording goes before its term."""
    of_it = proposals.c
    # A proposal whose recording was put back since is not the one it goes by.
    trashed = select(trash.c.proposal_id).where(trash.c.recording_id == recordings.c.id)
    alone = and_(of_it.kind == Kind.EARLY_DESTRUCTION.value, of_it.id.in_(trashed))
    statement = (
        select(of_it.id)
        .where(of_it.tenant_id == recordings.c.tenant_id, of_it.state == State.APPROVED.value)
        .where(or_(alone, _is_of_key()))
        .order_by(of_it.decided_at.desc())
        .limit(1)
    )
    return statement.scalar_subquery()


def _is_of_key() -> ColumnElement[bool]:
    """Whether a proposal is about the keys a recording hangs from, and hung from when it was approved."""
    columns, of_it = recordings.c, proposals.c
    meant = select(condemned.c.recording_id).where(
        condemned.c.recording_id == columns.id, condemned.c.proposal_id == of_it.id
    )
    return and_(
        of_it.kind == Kind.KEY_DESTRUCTION.value,
        columns.kek_id.like(func.concat(func.split_part(of_it.subject, ":", 2), "/%")),
        meant.exists(),
    )


def _is_of_duty(tenant_id: TenantId) -> Select[Any]:
    """Return the duties in force by which a recording is kept; one may be younger than the approval."""
    duties = legal_duties.c
    return select(duties.id).where(
        duties.tenant_id == tenant_id,
        duties.ended_at.is_(None),
        recordings.c.retention_class == duties.classes.any_(),
    )


def is_free(tenant_id: TenantId, until: datetime) -> ColumnElement[bool]:
    """Whether nothing keeps a recording at that time but its term."""
    columns = recordings.c
    return and_(
        columns.tenant_id == tenant_id,
        or_(*(columns.state == state for state in sorted(KEPT_STATES))),
        columns.on_hold.is_(False),
        # The store's own hold is taken off by a job of its own, and keeps it until then.
        columns.store_hold == store_holds.NONE,
        # What the store kept is asked for again later, and is in nobody's way meanwhile.
        or_(columns.kept_until.is_(None), columns.kept_until <= until),
    )
