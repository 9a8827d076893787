"""The worker's clock and queue, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.model import Tenant, TenantId
from retention import worker as worker_module
from retention.schedule import SCHEDULES
from retention.scrub import Batch, Scrub
from retention.worker import defer_batch, defer_due, make_app

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


class Pages(Scrub):
    """Three pages for every tenant, noted as they are asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def batch(self, tenant_id: TenantId, cursor: str | None, recordings_max: int = 50) -> Batch:
        self.asked.append((tenant_id, cursor))
        following = {None: "2", "2": "3", "3": None}
        return Batch(recordings_max, (), following[cursor])


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def app(database: Any, pages: Pages, bakery: Tenant) -> Any:
    return make_app(database.url("earwitness_worker"), pages, lambda: [bakery.id])


async def drain(app: Any) -> None:
    """Run every job that waits, and those they enqueue."""
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def test_many_workers_make_one_job_of_one_due_time(app: Any) -> None:
    """Two schedulers that ran on one job store ran jobs twice: measured."""
    async with app.open_async():
        made = await asyncio.gather(*(defer_due(app, SCHEDULES[0], NOW) for _ in range(8)))
    assert len([job for job in made if job is not None]) == 1


async def test_the_next_due_time_is_a_new_job(app: Any, database: Any) -> None:
    """A day later it is due again."""
    async with app.open_async():
        first = await defer_due(app, SCHEDULES[0], NOW + timedelta(days=30))
        second = await defer_due(app, SCHEDULES[0], NOW + timedelta(days=31))
    assert None not in {first, second}
    assert first != second


async def test_a_scrub_walks_every_page_of_every_tenant(app: Any, pages: Pages, bakery: Tenant) -> None:
    """Each page enqueues the next one, so that a worker that dies loses one page at most."""
    async with app.open_async():
        await defer_due(app, SCHEDULES[0], NOW + timedelta(days=60))
        await drain(app)
    assert pages.asked == [(bakery.id, None), (bakery.id, "2"), (bakery.id, "3")]


async def test_a_tenant_is_scrubbed_by_one_chain_at_a_time(app: Any, pages: Pages, bakery: Tenant) -> None:
    """A pass that takes longer than a day is not overtaken."""
    async with app.open_async():
        await defer_batch(app, bakery.id, "2")
        await defer_batch(app, bakery.id, None)
        await drain(app)
    assert pages.asked == [(bakery.id, "2"), (bakery.id, "3")]


def test_the_limits_of_a_worker_are_what_a_machine_can_bear() -> None:
    """Four objects of 100 MB at once, and a pool that serves them."""
    assert worker_module.JOBS_AT_ONCE_MAX <= worker_module.POOL_CONNECTIONS_MAX
