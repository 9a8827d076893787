"""A round over every customer: what fails for one keeps none behind it waiting.

Rules: what is done is blocking and runs in a thread. The first fault is raised once the round is
over, so that the job fails where somebody looks. Not here: what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from archive.model import TenantId

_log = structlog.get_logger()


async def around(
    tenants: Callable[[], list[TenantId]], work: Callable[[TenantId], int]
) -> dict[TenantId, int]:
    """Do something for each tenant and return how much was done; raises the first fault at the end."""
    done: dict[TenantId, int] = {}
    first: Exception | None = None
    for tenant_id in await asyncio.to_thread(tenants):
        try:
            done[tenant_id] = await asyncio.to_thread(work, tenant_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next customer has no part in it
            _log.warning("a round leaves a customer out", tenant_id=tenant_id, reason=type(error).__name__)
            first = first or error
    if first is not None:
        raise first
    return done
