"""What a customer decided for all of its people: unkept calls, the cap, exports, the trash, idle browsers.

Rules: a tenant that decided nothing has the defaults of `TenantPolicy`; what is not given
stays. Not here: how a policy is followed (`archive.decision`, `recorder.srs`, `retention`),
and what of it takes two people (`archive.approval`).
"""

from __future__ import annotations

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import directory
from archive.catalogue.directory_rows import tenants_where
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import tenant_policies, tenants
from archive.errors import NotFound, Refused
from archive.model import (
    EXPORTS_ALONE_MAX,
    IDLE_MINUTES_MAX,
    IDLE_MINUTES_MIN,
    KEEP_GRACE_H_MAX,
    TRASH_DAYS_MAX,
    AboveCap,
    TenantId,
    TenantPolicy,
)

LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))


def policy_of(catalogue: Catalogue, tenant_id: TenantId) -> TenantPolicy:
    """Return the policy of a tenant, decided or default; raises NotFound for no tenant."""
    with catalogue.transaction(tenant_id) as connection:
        return policy_within(connection, tenant_id)


def set_policy(
    catalogue: Catalogue,
    tenant_id: TenantId,
    *,
    keep_grace_h: int | None = None,
    above_cap: AboveCap | None = None,
    purpose_required: bool | None = None,
    exports_alone_max: int | None = None,
    trash_days: int | None = None,
    idle_minutes: int | None = None,
) -> TenantPolicy:
    """Change what is given and return all of it.

    Raises Refused for what is out of its bounds, NotFound for no tenant.
    """
    with catalogue.transaction(tenant_id) as connection:
        return set_within(
            connection,
            tenant_id,
            keep_grace_h=keep_grace_h,
            above_cap=above_cap,
            purpose_required=purpose_required,
            exports_alone_max=exports_alone_max,
            trash_days=trash_days,
            idle_minutes=idle_minutes,
        )


def set_within(
    connection: Connection,
    tenant_id: TenantId,
    *,
    keep_grace_h: int | None = None,
    above_cap: AboveCap | None = None,
    purpose_required: bool | None = None,
    exports_alone_max: int | None = None,
    trash_days: int | None = None,
    idle_minutes: int | None = None,
) -> TenantPolicy:
    """Do as `set_policy` in the caller's transaction."""
    if keep_grace_h is not None and not 0 <= keep_grace_h <= KEEP_GRACE_H_MAX:
        raise Refused(f"A call nobody kept may wait 0 to {KEEP_GRACE_H_MAX} hours.")
    if exports_alone_max is not None and not 0 <= exports_alone_max <= EXPORTS_ALONE_MAX:
        raise Refused(f"One person alone exports 0 to {EXPORTS_ALONE_MAX} recordings a day.")
    if trash_days is not None and not 0 <= trash_days <= TRASH_DAYS_MAX:
        raise Refused(f"What is let go early waits in the trash for 0 to {TRASH_DAYS_MAX} days.")
    if idle_minutes is not None and not IDLE_MINUTES_MIN <= idle_minutes <= IDLE_MINUTES_MAX:
        raise Refused(f"A browser is signed out after {IDLE_MINUTES_MIN} to {IDLE_MINUTES_MAX} minutes.")
    given = {
        name: value
        for name, value in (
            ("keep_grace_h", keep_grace_h),
            ("above_cap", above_cap),
            ("purpose_required", purpose_required),
            ("exports_alone_max", exports_alone_max),
            ("trash_days", trash_days),
            ("idle_minutes", idle_minutes),
        )
        if value is not None
    }
    before = locked(connection, tenant_id)
    if given:
        row = {"tenant_id": tenant_id, **vars(before), **given}
        statement = upsert(tenant_policies).values(row)
        # Only what is given, so that two who change one thing each at once do not undo each other.
        connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=given))
        directory.announce(connection)
    return policy_within(connection, tenant_id)


def policy_within(connection: Connection, tenant_id: TenantId) -> TenantPolicy:
    """Do as `policy_of` in the caller's transaction."""
    found = tenants_where(connection, tenants.c.id == tenant_id)
    if not found:
        raise NotFound("There is no such tenant.")
    return found[0].policy


def locked(connection: Connection, tenant_id: TenantId) -> TenantPolicy:
    """Do as `policy_within`; who else changes the policy waits until the caller's transaction is over."""
    # A policy that was never decided has no row that could be locked.
    connection.execute(LOCK, {"name": f"policy/{tenant_id}"})
    return policy_within(connection, tenant_id)
