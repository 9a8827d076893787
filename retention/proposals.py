"""The job that ends proposals nobody decided on in time, each with its entry in the audit log.

Rules: a proposal that is over is refused whether it was ended here or not; this makes it seen.
Not here: what takes two people (`archive.approval`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import procrastinate
import structlog

from archive.audit import AuditWriter
from archive.catalogue import proposals
from archive.clock import Clock
from archive.errors import DependencyUnavailable
from archive.model import TenantId

log = structlog.get_logger()

PROPOSALS_SWEEP = "retention.proposals_sweep"


def end_over(audit: AuditWriter, clock: Clock, tenant_id: TenantId) -> int:
    """End what is over in a tenant and return how many there were."""
    now = clock.now()
    with audit.transaction(tenant_id) as connection:
        ended = proposals.expire(connection, tenant_id, now=now)
        for each in ended:
            audit.append(
                connection,
                tenant_id=tenant_id,
                actor=proposals.CLOCK,
                action="proposal.expired",
                object=f"proposal:{each.id}",
                body={"kind": each.kind.value, "about": each.subject},
                at=now,
            )
    return len(ended)


def add_proposals(
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], end: Callable[[TenantId], int]
) -> None:
    """Add the job; a database that is away is asked again at the next hour."""

    @app.task(name=PROPOSALS_SWEEP)
    async def sweep(timestamp: int) -> None:
        """End what nobody decided on, of every tenant."""
        try:
            for tenant_id in await asyncio.to_thread(tenants):
                ended = await asyncio.to_thread(end, tenant_id)
                log.debug("proposals looked after", due_at=timestamp, tenant_id=tenant_id, ended=ended)
        except DependencyUnavailable as error:
            log.warning("proposals were not looked after", due_at=timestamp, reason=str(error))
