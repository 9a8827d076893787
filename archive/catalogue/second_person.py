"""Whether the second person is a second one: by their roles at this very moment, and by who let whom in.

Who adds an account, sends its link or sets its second factor anew can sign in as the person it
belongs to, and as them help the next one. So two people decide together only when nobody could be
both: not one of them, who let the other in, and not a third, by however many steps. That two of
them helped the same person makes no one of them.

Rules: asked in the transaction of the decision, under the locks of both people's rows. Not here:
who may propose and approve what (`archive.approval`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import select

from archive.access import AccessScope
from archive.approval import APPROVERS, HELP_LASTS, OPERATOR, NotYours
from archive.catalogue.engine import Connection
from archive.catalogue.invitations import LIFE_S, Kind
from archive.catalogue.tables import audit_entries, user_emails, users
from archive.model import Role, TenantId

LINKED = "identity.linked"
"""Somebody came by the customer's provider for the first time. Who set the provider could be them."""

TAKEN = frozenset(f"{kind.value}.used" for kind in Kind)
LINK = "user.invited"
LINK_LASTS = timedelta(seconds=max(LIFE_S.values()))
"""A link that waited is help on the day it is used."""

HELPING = frozenset(
    {
        "user.added",
        "user.returned",
        LINK,
        "user.password-set",
        "user.role-given",
        "second-factor.reset",
        "identity.unlinked",
        LINKED,
        "api-client.added",
        "api-client.resumed",
    }
)
"""Acts after which whoever did them might sign in as the one they were done to, or hold their key.

A role that the operator gives is one: without a second person, they make none of their own.
"""

TENANT_ADDED = "tenant.added"


def roles_of(connection: Connection, tenant_id: TenantId, actors: Collection[str]) -> dict[str, Role]:
    """Return the role of each person among the actors as it stays until this transaction ends."""
    ids = [actor.removeprefix("user:") for actor in actors if actor.startswith("user:")]
    statement = (
        select(users.c.id, users.c.role)
        .where(users.c.tenant_id == tenant_id, users.c.id.in_(ids))
        .order_by(users.c.id)
        .with_for_update(key_share=True)
    )
    return {f"user:{row.id}": Role(row.role) for row in connection.execute(statement)}


def require_own_hand(
    connection: Connection, scope: AccessScope, first: str, asked_at: datetime, now: datetime
) -> None:
    """Raise NotYours when one person might be both: who asked for something, and who is to allow it.

    `first` is the actor who asked, at `asked_at`: help counts from HELP_LASTS before that. Operators
    count as one: a machine has many accounts that are the same hand.
    """
    since = asked_at - HELP_LASTS
    both = _hands(connection, scope.tenant_id, first, since) & _hands(
        connection, scope.tenant_id, scope.actor, since
    )
    # Somebody has to let the first people of a customer in, and they need each other from the first day.
    if not first.startswith(OPERATOR) and _is_new(connection, scope.tenant_id, now):
        both.discard(OPERATOR)
    if both:
        raise NotYours(
            "One of you let the other in, or one person let both of you in (account, link, second factor, "
            f"sign-in by the organisation) within the {HELP_LASTS.days} days before it was asked for, or "
            "since, so that it can't be told from one person: somebody else decides."
        )


def witnesses(connection: Connection, tenant_id: TenantId, but: Collection[str]) -> list[str]:
    """Return the proved addresses of everybody who may be a second person, `but` those with these ids."""
    statement = (
        select(user_emails.c.email)
        .join(users, users.c.id == user_emails.c.user_id)
        .where(users.c.tenant_id == tenant_id, users.c.left_at.is_(None), users.c.id.not_in(list(but)))
        .where(users.c.role.in_(sorted(APPROVERS)), user_emails.c.verified_at.is_not(None))
        .order_by(user_emails.c.email)
    )
    return list(connection.execute(statement).scalars())


def _hands(connection: Connection, tenant_id: TenantId, actor: str, since: datetime) -> set[str]:
    """Return everybody who might act as this actor: themselves, who let them in, and who let these in."""
    found: set[str] = set()
    asked = {_hand(actor)}
    while asked:
        found |= asked
        asked = _helpers(connection, tenant_id, asked - {OPERATOR}, since) - found
    return found


def _helpers(
    connection: Connection, tenant_id: TenantId, helped: Collection[str], since: datetime
) -> set[str]:
    """Return who let any of these in since then."""
    columns = audit_entries.c
    # The operator's commands name people by their id alone.
    spelt = {spelling: each for each in helped for spelling in (each, each.partition(":")[2])}
    statement = select(columns.object, columns.actor, columns.action, columns.at).where(
        columns.tenant_id == tenant_id,
        columns.object.in_(sorted(spelt)),
        columns.action.in_(sorted(HELPING | TAKEN)),
        columns.result == "ok",
        columns.at > since - LINK_LASTS,
    )
    of_each: dict[str, list[tuple[str, str, datetime]]] = defaultdict(list)
    for row in connection.execute(statement):
        of_each[spelt[row.object]].append((row.actor, row.action, row.at))
    return {hand for acts in of_each.values() for hand in _helpers_by(acts, since)}


def _helpers_by(acts: Iterable[tuple[str, str, datetime]], since: datetime) -> set[str]:
    """Return who helped by these acts (actor, action, moment), which were done to one person."""
    acts = list(acts)
    taken = any(action in TAKEN and at > since for _, action, at in acts)
    return {
        OPERATOR if action == LINKED else _hand(actor)
        for actor, action, at in acts
        if action in HELPING and (at > since or (taken and action == LINK))
    }


def _hand(actor: str) -> str:
    return OPERATOR if actor.startswith(OPERATOR) else actor


def _is_new(connection: Connection, tenant_id: TenantId, now: datetime) -> bool:
    """Return whether the operator added the tenant itself within HELP_LASTS."""
    columns = audit_entries.c
    statement = select(columns.at).where(
        columns.tenant_id == tenant_id,
        columns.object == tenant_id,
        columns.action == TENANT_ADDED,
        columns.at > now - HELP_LASTS,
    )
    return connection.execute(statement.limit(1)).first() is not None
