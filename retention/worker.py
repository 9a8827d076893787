"""The worker process: background jobs of procrastinate, and a clock that makes them due.

APScheduler is only the clock: it says "look" once a minute on every worker. Looking
asks procrastinate to defer what is due under its unique key (task, schedule, due
time), in the transaction that defers it, so that any number of workers makes one job
of one due time. Jobs carry ids and nothing else, and may run twice.

Not here: what jobs do (`retention.scrub`), what is due when (`retention.schedule`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import procrastinate
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from archive.audit import AuditWriter
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.cli.vault import open_store
from archive.clock import Clock
from archive.model import TenantId
from archive.settings import Settings
from retention.schedule import SCHEDULES, Schedule
from retention.scrub import Scrub

log = structlog.get_logger()

LOOK_INTERVAL_S = 60
JOBS_AT_ONCE_MAX = 4  # each holds one recording's object in memory, 100 MB at worst
POOL_CONNECTIONS_MAX = 4
STOP_GRACE_S = 20.0  # a batch that takes longer is abandoned and repeated by another worker
RETRY_ATTEMPTS_MAX = 8  # with doubling waits, a store may be away for some four hours
SCRUB_ALL = "retention.scrub_all"
SCRUB_BATCH = "retention.scrub_batch"


def make_app(database_url: str, scrub: Scrub, tenants: Callable[[], list[TenantId]]) -> procrastinate.App:
    """Return the application with its tasks; `database_url` is the one of the worker's role."""
    connector = procrastinate.PsycopgConnector(
        conninfo=database_url.replace("postgresql+psycopg://", "postgresql://", 1),
        kwargs={"options": "-c search_path=jobs"},  # migration 0002 keeps its tables there
        max_size=POOL_CONNECTIONS_MAX,
    )
    app = procrastinate.App(connector=connector)
    retry = procrastinate.RetryStrategy(max_attempts=RETRY_ATTEMPTS_MAX, exponential_wait=4)

    @app.task(name=SCRUB_ALL)
    async def scrub_all(timestamp: int) -> None:
        """Begin a pass over every tenant, unless the last one is still going on."""
        log.info("a scrub begins", due_at=timestamp)
        for tenant_id in await asyncio.to_thread(tenants):
            await defer_batch(app, tenant_id, None)

    @app.task(name=SCRUB_BATCH, retry=retry)
    async def scrub_batch(tenant_id: str, cursor: str | None) -> None:
        """Verify a page of recordings and hand on to the next one."""
        batch = await asyncio.to_thread(scrub.batch, TenantId(tenant_id), cursor)
        log.info("scrubbed", tenant_id=tenant_id, objects=batch.objects, findings=len(batch.findings))
        if batch.next_cursor is not None:
            await defer_batch(app, tenant_id, batch.next_cursor)

    return app


async def defer_batch(app: procrastinate.App, tenant_id: str, cursor: str | None) -> None:
    """Enqueue a page, unless one of that tenant waits already."""
    task = app.configure_task(SCRUB_BATCH, queueing_lock=f"scrub/{tenant_id}")
    try:
        await task.defer_async(tenant_id=tenant_id, cursor=cursor)
    except AlreadyEnqueued:
        log.info("a scrub goes on already", tenant_id=tenant_id)


async def defer_due(app: procrastinate.App, schedule: Schedule, now: datetime) -> int | None:
    """Defer the task of a schedule for its last due time; return the job's id, None if another did."""
    due_at = schedule.due_at(now)
    deferrer = app.configure_task(schedule.task, task_kwargs={"timestamp": due_at})
    return await app.job_manager.defer_periodic_job(
        job=deferrer.job, periodic_id=schedule.name, defer_timestamp=due_at
    )


class Worker:
    """Runs jobs until `run` is cancelled or a signal asks procrastinate to stop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        settings.require("database_url")
        self._clock = clock
        self._catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
        self._store = open_store(settings)
        audit = AuditWriter(self._catalogue, f"worker/{settings.node_name}")
        scrub = Scrub(self._store, self._catalogue, audit, clock)
        self.app = make_app(settings.database_url, scrub, self._tenants)

    def _tenants(self) -> list[TenantId]:
        return [tenant.id for tenant in list_tenants(self._catalogue)]

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Serve until a signal; `when_ready` is called once jobs can be fetched."""
        async with self.app.open_async():
            await self.look()
            clock = AsyncIOScheduler(timezone="UTC")
            clock.add_job(self.look, "interval", seconds=LOOK_INTERVAL_S, max_instances=1, coalesce=True)
            clock.start()
            when_ready()
            try:
                await self.app.run_worker_async(
                    concurrency=JOBS_AT_ONCE_MAX,
                    shutdown_graceful_timeout=STOP_GRACE_S,
                    delete_jobs="successful",
                    install_signal_handlers=True,
                )
            finally:
                clock.shutdown(wait=False)
                self._catalogue.close()
                self._store.close()

    async def look(self) -> None:
        """Defer everything that is due now; a database that is away is asked again a minute later."""
        for schedule in SCHEDULES:
            try:
                await defer_due(self.app, schedule, self._clock.now())
            except AlreadyEnqueued:
                log.info("the last run still waits", schedule=schedule.name)
            except ConnectorException:
                log.warning("the database is away", schedule=schedule.name)
