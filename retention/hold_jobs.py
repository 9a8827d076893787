"""The jobs by which bucket and keys follow the cases: copies, the store's holds, longer terms.

Rules: one worker at a time follows the cases of a tenant. Without a retry, as a batch of what
expired: the next sweep takes up what failed. Not here: what is done (`retention.case_copies`,
`retention.store_holds`, `retention.terms`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import procrastinate
import structlog
from procrastinate.exceptions import AlreadyEnqueued

from archive.errors import ArchiveError
from archive.jobs import STORE_HOLDS, locks_of_holds
from archive.model import TenantId

HOLDS_SWEEP = "retention.holds_sweep"

log = structlog.get_logger()


class Progress(Protocol):
    """What a step did, and what waits still."""

    @property
    def done(self) -> int:
        """How many it brought to where they should be."""

    @property
    def remaining(self) -> int:
        """How many wait still."""


Step = Callable[[TenantId], Progress]


def add_holds(app: procrastinate.App, tenants: Callable[[], list[TenantId]], steps: Sequence[Step]) -> None:
    """Add the sweep of all tenants, and the job that takes each step for one of them."""

    @app.task(name=HOLDS_SWEEP)
    async def sweep(timestamp: int) -> None:
        """Let what was decided on cases be followed, of every tenant."""
        log.debug("holds are looked after", due_at=timestamp)
        for tenant_id in await asyncio.to_thread(tenants):
            await _defer(app, tenant_id)

    @app.task(name=STORE_HOLDS)
    async def follow(tenant_id: str) -> None:
        """Take a batch of each step; what fails with one keeps the others from nothing."""
        taken: list[Progress] = []
        failures: list[ArchiveError] = []
        for step in steps:
            try:
                taken.append(await asyncio.to_thread(step, TenantId(tenant_id)))
            except ArchiveError as error:
                failures.append(error)
        if any(each.done for each in taken):
            done, remaining = [each.done for each in taken], [each.remaining for each in taken]
            log.info("cases are followed", tenant_id=tenant_id, done=done, remaining=remaining)
        if failures:
            raise failures[0]  # the rest is left to the next sweep: something is away
        if any(each.done and each.remaining for each in taken):
            await _defer(app, tenant_id)


async def _defer(app: procrastinate.App, tenant_id: str) -> None:
    """Enqueue the job of a tenant, unless it waits already."""
    deferrer = app.configure_task(STORE_HOLDS, **locks_of_holds(tenant_id))
    with contextlib.suppress(AlreadyEnqueued):
        await deferrer.defer_async(tenant_id=tenant_id)
