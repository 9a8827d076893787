"""Proposals in the catalogue: made by one person, decided on by another, or over after a week.

A decision locks the row of its proposal, so that of two who decide at once the second hears
that it was decided; and the rows of both people, so that a role that is taken away is taken
away before the decision or after it. The database itself refuses a decision of the proposer
and a second one (migration 0063).

Rules: runs as portal, and as operator for what a command proposes; each change is made in
the transaction of its audit entry. Not here: who may do what (`archive.approval`), and what
is done with what was approved (`archive.catalogue.approved`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from archive.access import AccessScope
from archive.approval import (
    LIFE,
    OF_OPERATOR,
    OPERATOR,
    REASON_CHARS_MAX,
    Event,
    Kind,
    NotYours,
    Proposal,
    ProposedAlready,
    State,
    Wanted,
    judge,
    may_decide,
    may_propose,
    require_standing,
)
from archive.catalogue import second_person
from archive.catalogue.documents import storable
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import decode_cursor, encode_cursor
from archive.catalogue.rows import by_name
from archive.catalogue.tables import proposals, users
from archive.errors import Conflict, NotFound, Refused
from archive.model import Role, TenantId, new_id

WAITING_COUNT_MAX = 200
"""Of one tenant at once: two people look at each of them."""

CLOCK = "service:clock"
"""Who ended what nobody decided on."""


def propose(
    connection: Connection,
    scope: AccessScope,
    wanted: Wanted,
    *,
    now: datetime,
) -> Proposal:
    """Write a proposal down; raises Refused for who may not, Conflict while the same one waits."""
    if not may_propose(scope, wanted.kind):
        raise NotYours("Proposing it is for a person with the role for it, who signed in.")
    return _insert(connection, scope.tenant_id, scope.actor, wanted, now)


def propose_as_operator(
    connection: Connection,
    tenant_id: TenantId,
    actor: str,
    wanted: Wanted,
    *,
    now: datetime,
) -> Proposal:
    """Write down what the operator wants (a key destroyed, a duty ended).

    Raises Conflict while the same one waits, NotYours for anything else.
    """
    if not actor.startswith(OPERATOR) or wanted.kind not in OF_OPERATOR:
        raise NotYours("The operator proposes the destruction of keys and the end of a duty, nothing else.")
    return _insert(connection, tenant_id, actor, wanted, now)


def decide(
    connection: Connection, scope: AccessScope, proposal_id: str, event: Event, *, now: datetime
) -> Proposal:
    """Let an event happen to a proposal and return it as it is then.

    Raises NotFound, NotYours, NotDecidable (`archive.approval.judge`, `require_standing`).
    """
    proposal = _locked(connection, scope.tenant_id, proposal_id)
    following = judge(proposal, event, scope, now)
    if event is Event.APPROVE:
        roles = second_person.roles_of(connection, scope.tenant_id, (proposal.proposed_by, scope.actor))
        require_standing(proposal, roles.get(proposal.proposed_by), roles.get(scope.actor))
        second_person.require_own_hand(connection, scope, proposal.proposed_by, proposal.proposed_at, now)
    return _settle(connection, proposal, following, scope.actor, now)


def expire(connection: Connection, tenant_id: TenantId, *, now: datetime) -> list[Proposal]:
    """End what nobody decided on in time, and return it."""
    over = and_(
        proposals.c.tenant_id == tenant_id,
        proposals.c.state == State.WAITING.value,
        proposals.c.expires_at <= now,
    )
    values = {"state": State.EXPIRED.value, "decided_by": CLOCK, "decided_at": now}
    ended = connection.execute(update(proposals).where(over).values(values).returning(proposals))
    return [_proposal(row) for row in ended]


def get(catalogue: Catalogue, scope: AccessScope, proposal_id: str) -> Proposal:
    """Return one proposal of the tenant; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        row = connection.execute(select(proposals).where(_is(scope.tenant_id, proposal_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such proposal.")
    return _proposal(row)


def page(
    catalogue: Catalogue,
    tenant_id: TenantId,
    *,
    waiting: bool | None = None,
    limit: int,
    cursor: str | None,
    now: datetime,
) -> tuple[tuple[Proposal, ...], str | None]:
    """Return a page of proposals, newest first: those that wait at `now`, those that do not, or all.

    Raises Refused for a cursor not ours.
    """
    columns = proposals.c
    statement = select(proposals).where(columns.tenant_id == tenant_id)
    open_now = and_(columns.state == State.WAITING.value, columns.expires_at > now)
    if waiting is not None:
        statement = statement.where(open_now if waiting else ~open_now)
    if cursor is not None:
        statement = statement.where(tuple_(columns.proposed_at, columns.id) < tuple_(*decode_cursor(cursor)))
    ordered = statement.order_by(columns.proposed_at.desc(), columns.id.desc()).limit(limit + 1)
    with catalogue.transaction(tenant_id) as connection:
        found = [_proposal(row) for row in connection.execute(ordered)]
    items = tuple(found[:limit])
    return items, encode_cursor(items[-1].proposed_at, items[-1].id) if len(found) > limit else None


def waiting_for(
    catalogue: Catalogue, tenant_id: TenantId, kind: Kind, subject: str, *, now: datetime
) -> Proposal | None:
    """Return the proposal about a thing that waits, or None."""
    columns = proposals.c
    statement = select(proposals).where(
        columns.tenant_id == tenant_id,
        columns.kind == kind.value,
        columns.subject == subject,
        columns.state == State.WAITING.value,
        columns.expires_at > now,
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _proposal(row)


def seconds(catalogue: Catalogue, scope: AccessScope) -> int:
    """Return how many people beside who asks could be the second one."""
    roles = [role.value for role in Role if may_decide(AccessScope(scope.tenant_id, "", role, scope.user_id))]
    statement = select(func.count()).where(
        users.c.tenant_id == scope.tenant_id, users.c.role.in_(roles), users.c.id != (scope.user_id or "")
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return int(connection.execute(statement).scalar_one())


def _insert(
    connection: Connection, tenant_id: TenantId, actor: str, wanted: Wanted, now: datetime
) -> Proposal:
    if len(wanted.reason) > REASON_CHARS_MAX:
        raise Refused(f"A reason has at most {REASON_CHARS_MAX} characters.")
    columns = proposals.c
    waiting = (columns.tenant_id == tenant_id, columns.state == State.WAITING.value)
    if connection.execute(select(func.count()).where(*waiting)).scalar_one() >= WAITING_COUNT_MAX:
        raise Conflict(f"{WAITING_COUNT_MAX} proposals wait already; decide on some of them.")
    about = (columns.kind == wanted.kind.value, columns.subject == wanted.subject)
    same = select(columns.id).where(*waiting, *about)
    if connection.execute(same).first() is not None:
        raise ProposedAlready("The same is proposed already and waits for a second person.")
    row = {
        "id": new_id(now),
        "tenant_id": tenant_id,
        "kind": wanted.kind.value,
        "subject": wanted.subject,
        "parameters": dict(wanted.parameters),
        "reason": storable(wanted.reason),
        "proposed_by": actor,
        "proposed_at": now,
        "expires_at": now + LIFE,
        "state": State.WAITING.value,
    }
    return _proposal(connection.execute(insert(proposals).returning(proposals), row).one())


def _locked(connection: Connection, tenant_id: TenantId, proposal_id: str) -> Proposal:
    statement = select(proposals).where(_is(tenant_id, proposal_id)).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such proposal.")
    return _proposal(row)


def _settle(
    connection: Connection, proposal: Proposal, following: State, actor: str, now: datetime
) -> Proposal:
    values = {"state": following.value, "decided_by": actor, "decided_at": now}
    of_it = _is(proposal.tenant_id, proposal.id)
    changed = connection.execute(update(proposals).where(of_it).values(values).returning(proposals))
    return _proposal(changed.one())


def _proposal(row: Row[Any]) -> Proposal:
    fields = by_name(row)
    fields["kind"], fields["state"] = Kind(fields["kind"]), State(fields["state"])
    return Proposal(**fields)


def _is(tenant_id: TenantId, proposal_id: str) -> ColumnElement[bool]:
    return and_(proposals.c.tenant_id == tenant_id, proposals.c.id == proposal_id)
