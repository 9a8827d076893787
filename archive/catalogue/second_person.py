"""Whether the second person is a second one: by their roles at this very moment, and by who let whom in.

Who adds an account, sends its link or sets its second factor anew can sign in as the person it
belongs to. So for as long as a proposal lives nobody approves what the one who let them in wants.

Rules: asked in the transaction of the decision, under the locks of both people's rows. Not here:
who may propose and approve what (`archive.approval`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select

from archive.access import AccessScope
from archive.approval import HELP_LASTS, OPERATOR, NotYours
from archive.catalogue.engine import Connection
from archive.catalogue.tables import audit_entries, users
from archive.model import Role, TenantId

HELPING = frozenset({"user.added", "user.invited", "user.password-set", "second-factor.reset"})
"""Acts after which somebody else might sign in as the person they were done to."""

HELPING_BY_OPERATOR = HELPING | {"user.changed", "identity.unlinked"}
"""An operator gives roles without a second person, and so makes none of their own."""


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


def require_own_hand(connection: Connection, scope: AccessScope, first: str, now: datetime) -> None:
    """Raise NotYours when the first person lately let the second one in, and so might be both of them.

    `first` is their actor. Operators count as one: a machine has many accounts that are the same hand.
    """
    columns = audit_entries.c
    of_operator = first.startswith(OPERATOR)
    statement = select(columns.at).where(
        columns.tenant_id == scope.tenant_id,
        or_(columns.object == scope.actor, columns.object == scope.user_id),
        columns.actor.startswith(OPERATOR, autoescape=True) if of_operator else columns.actor == first,
        columns.action.in_(sorted(HELPING_BY_OPERATOR if of_operator else HELPING)),
        columns.result == "ok",
        columns.at > now - HELP_LASTS,
    )
    if connection.execute(statement.limit(1)).first() is not None:
        raise NotYours(
            f"Who wants it let you in within the last {HELP_LASTS.days} days (account, link or second "
            "factor), so that it can't be told from one person: somebody else decides."
        )
