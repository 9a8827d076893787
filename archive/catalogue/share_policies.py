"""What a customer decided of play links and of mail: whether there are any, how long, and who proves what.

Rules: a tenant that decided nothing has the defaults of `SharePolicy`. A stricter policy
counts for links made from then on, but for `links_allowed`: without it no link works.
Not here: who may make one at all (`archive.access.may_share`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, Unpack

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import share_policies
from archive.errors import Refused
from archive.model import TenantId

DAYS_MAX = 30
"""A link is for somebody who waits for it; what is to be heard for longer belongs in a case."""


@dataclass(frozen=True)
class SharePolicy:
    """`days_max` is the longest life of a link; with `proof_required` each asks for a PIN or a code.

    `files_allowed` lets recordings leave as files by mail, for who has that right.
    """

    links_allowed: bool = True
    days_max: int = DAYS_MAX
    proof_required: bool = False
    files_allowed: bool = False


def policy_of(catalogue: Catalogue, tenant_id: TenantId) -> SharePolicy:
    """Return the policy of a tenant, decided or default."""
    with catalogue.transaction(tenant_id) as connection:
        return in_transaction(connection, tenant_id)


class Changes(TypedDict, total=False):
    """What of a policy is to change."""

    links_allowed: bool
    days_max: int
    proof_required: bool
    files_allowed: bool


def set_policy(catalogue: Catalogue, tenant_id: TenantId, **changes: Unpack[Changes]) -> SharePolicy:
    """Change what is given and return all of it; raises Refused for days out of 1 to DAYS_MAX."""
    with catalogue.transaction(tenant_id) as connection:
        return change(connection, tenant_id, changes)


def change(connection: Connection, tenant_id: TenantId, changes: Changes) -> SharePolicy:
    """Change what is given, and nothing else, in the caller's transaction; raises as `set_policy`."""
    if not 1 <= changes.get("days_max", DAYS_MAX) <= DAYS_MAX:
        raise Refused(f"A play link lives 1 to {DAYS_MAX} days.")
    locked(connection, tenant_id)
    if changes:
        statement = update(share_policies).where(share_policies.c.tenant_id == tenant_id)
        connection.execute(statement.values(**changes))
    return in_transaction(connection, tenant_id)


def locked(connection: Connection, tenant_id: TenantId) -> SharePolicy:
    """Return the policy of the caller's tenant; who else changes it waits until the transaction ends."""
    # A policy that was never decided has no row yet that could be locked.
    defaults = upsert(share_policies).values({"tenant_id": tenant_id, **vars(SharePolicy())})
    connection.execute(defaults.on_conflict_do_nothing())
    own = share_policies.c.tenant_id == tenant_id
    connection.execute(select(share_policies.c.tenant_id).where(own).with_for_update())
    return in_transaction(connection, tenant_id)


def in_transaction(connection: Connection, tenant_id: TenantId) -> SharePolicy:
    """Return the policy of the caller's tenant."""
    columns = share_policies.c
    statement = select(
        columns.links_allowed, columns.days_max, columns.proof_required, columns.files_allowed
    ).where(columns.tenant_id == tenant_id)
    row = connection.execute(statement).one_or_none()
    return SharePolicy() if row is None else SharePolicy(*row)
