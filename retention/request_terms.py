"""The job that forgets privacy requests when their own term is over.

A request holds a name, an address and what was answered. It is kept for as long as somebody may ask
whether it was answered rightly, `EARWITNESS_REQUESTS_DAYS` from its closing, or from its answer where nobody
closed it, and then deleted with everything that was sought for it. The log keeps that there was one.

Rules: forgetting and its entries are one transaction; the time is the one recordings are judged by.
Not here: the calls of a request, which end by their own terms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import procrastinate
import structlog

from archive.audit import AuditWriter
from archive.catalogue import data_subjects
from archive.errors import DependencyUnavailable
from archive.model import TenantId

ACTOR = "service:worker"
REQUESTS_SWEEP = "retention.data_subjects_forget"

log = structlog.get_logger()


def forget_over(
    audit: AuditWriter, due_time: Callable[[], datetime], kept_days: int, tenant_id: TenantId
) -> int:
    """Forget what is over in a tenant, a page of it, and return how many requests that were.

    Raises DependencyUnavailable, also where the clock is not believed; nothing is forgotten then.
    """
    now = due_time()
    with audit.transaction(tenant_id) as connection:
        forgotten = data_subjects.forget(connection, tenant_id, now - timedelta(days=kept_days))
        for request_id in forgotten:
            audit.append(
                connection,
                tenant_id=tenant_id,
                actor=ACTOR,
                action="data-subject.forgotten",
                object=f"data-subject-request:{request_id}",
                at=now,
                body={"keptDays": kept_days},
            )
    return len(forgotten)


def add_request_terms(
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], forget: Callable[[TenantId], int]
) -> None:
    """Add the job; by a clock that is not believed nothing is forgotten, and the next day asks again."""

    @app.task(name=REQUESTS_SWEEP, lock=REQUESTS_SWEEP, queueing_lock=REQUESTS_SWEEP)
    async def sweep(timestamp: int) -> None:
        """Forget privacy requests of every tenant whose term is over."""
        try:
            for tenant_id in await asyncio.to_thread(tenants):
                count = 0
                while forgotten := await asyncio.to_thread(forget, tenant_id):
                    count += forgotten
                log.debug("privacy requests forgotten", due_at=timestamp, tenant_id=tenant_id, count=count)
        except DependencyUnavailable as error:
            log.warning("privacy requests were not forgotten", due_at=timestamp, reason=str(error))
