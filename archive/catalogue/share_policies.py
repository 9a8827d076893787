"""What a customer decided of play links and of mail: whether there are any, how long, and who proves what.

Rules: a tenant that decided nothing has the defaults of `SharePolicy`. A stricter policy
counts for links made from then on, but for `links_allowed`: without it no link works.
Not here: who may make one at all (`archive.access.may_share`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
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


def set_policy(
    catalogue: Catalogue,
    tenant_id: TenantId,
    *,
    links_allowed: bool | None = None,
    days_max: int | None = None,
    proof_required: bool | None = None,
    files_allowed: bool | None = None,
) -> SharePolicy:
    """Change what is given and return all of it; raises Refused for days out of 1 to DAYS_MAX."""
    if days_max is not None and not 1 <= days_max <= DAYS_MAX:
        raise Refused(f"A play link lives 1 to {DAYS_MAX} days.")
    given: dict[str, object] = {
        name: value
        for name, value in (
            ("links_allowed", links_allowed),
            ("days_max", days_max),
            ("proof_required", proof_required),
            ("files_allowed", files_allowed),
        )
        if value is not None
    }
    with catalogue.transaction(tenant_id) as connection:
        if given:
            row = {"tenant_id": tenant_id, **vars(in_transaction(connection, tenant_id)), **given}
            statement = upsert(share_policies).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=given))
        return in_transaction(connection, tenant_id)


def in_transaction(connection: Connection, tenant_id: TenantId) -> SharePolicy:
    """Return the policy of the caller's tenant."""
    columns = share_policies.c
    statement = select(
        columns.links_allowed, columns.days_max, columns.proof_required, columns.files_allowed
    ).where(columns.tenant_id == tenant_id)
    row = connection.execute(statement).one_or_none()
    return SharePolicy() if row is None else SharePolicy(*row)
