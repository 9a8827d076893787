"""The worker process: background jobs of procrastinate, and a clock that makes them due.

APScheduler is only the clock: it says "look" once a minute on every worker. Looking
asks procrastinate to defer what is due under its unique key (task, schedule, due
time), in the transaction that defers it, so that any number of workers makes one job
of one due time, and takes up the jobs of workers that died. Jobs carry ids and nothing
else, and may run twice.

Not here: what jobs do (`retention.scrub`, `retention.quarantine`, `retention.expiry`, `retention.mail`),
what is due when (`retention.schedule`), and what stands still after a restore (`retention.standing`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import procrastinate
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Status

from archive.audit import AuditWriter
from archive.catalogue import call_events, commands, live_calls, recorder_nodes, restores
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.catalogue.mails import ATTEMPTS_MAX
from archive.cli.vault import open_keyring, open_signatory, open_signing_key, open_store, open_vault
from archive.cli.worm import prove_lock
from archive.clock import Clock
from archive.errors import Conflict, DependencyUnavailable, NotFound, Refused
from archive.jobs import (
    EXPIRY_BATCH,
    EXPORT,
    MAIL,
    QUARANTINE_ASSIGN,
    QUARANTINE_DESTROY,
    connection_arguments,
    connection_string,
    lock_of,
    lock_of_export,
    lock_of_mail,
)
from archive.mail import server_of
from archive.model import KEEP_GRACE_H_MAX, RecordingId, TenantId, UserId
from archive.post import MailPost
from archive.settings import Settings
from archive.shared import Derivatives
from retention.audit_bodies import AuditBodies, add_audit_bodies
from retention.audit_log import add_audit_log, check_log, custody_of, sealed, sequencer_of
from retention.case_copies import CaseCopies
from retention.clock_gate import by_believed_clock
from retention.destruction import ACTOR
from retention.due_time import ClockDisbelieved
from retention.expiry import Expiry
from retention.exports import Exports, Notices, stamping_of
from retention.figures import Figures, add_figures
from retention.hold_jobs import add_holds
from retention.idle_keys import add_idle_keys
from retention.imports import Imports, add_imports
from retention.mail import Mailer
from retention.moments import tell_moments
from retention.notifications import Notifications, add_notifications
from retention.proposals import add_proposals, end_over
from retention.quarantine import Quarantine
from retention.reminders import Reminders, add_reminders
from retention.report_mails import ReportMails, add_report_mails
from retention.request_terms import add_request_terms, forget_over
from retention.schedule import SCHEDULES, Schedule
from retention.scrub import Scrub
from retention.shares import Shares
from retention.standing import UntilRebuilt, standing_still
from retention.store_holds import StoreHolds
from retention.terms import Terms
from retention.timekeeper import LockClock, Timekeeper
from retention.worm import add_worm, prove_at_start

log = structlog.get_logger()

LOOK_INTERVAL_S = 60
JOBS_AT_ONCE_MAX = 4  # each holds one recording's object in memory, 100 MB at worst
POOL_CONNECTIONS_MAX = 4
STOP_GRACE_S = 20.0  # a batch that takes longer is abandoned and repeated by another worker
RETRY_ATTEMPTS_MAX = 8  # with doubling waits, a store may be away for some four hours
CALLS_KEPT = timedelta(hours=24)
"""How long commands and events of calls are kept: whoever was away for longer reads the recordings."""

CALL_LONGEST = timedelta(hours=12 + KEEP_GRACE_H_MAX + 24)
"""A session lasts 12 hours at most and its grace three days; a day more for a clock that is wrong."""

SCRUB_ALL = "retention.scrub_all"
SCRUB_BATCH = "retention.scrub_batch"
SCRUB_TALLY = "retention.scrub_tally"
QUARANTINE_SWEEP = "retention.quarantine_sweep"
EXPIRY_SWEEP = "retention.expiry_sweep"
CALLS_SWEEP = "retention.calls_sweep"
MAIL_SWEEP = "retention.mail_sweep"
SHARES_SWEEP = "retention.shares_sweep"
EXPORTS_SWEEP = "retention.exports_sweep"


@dataclass(frozen=True)
class Work:
    """What the tasks do, each a blocking call."""

    tenants: Callable[[], list[TenantId]]
    scrub: Scrub
    quarantine: Quarantine
    sweep_calls: Callable[[], int]
    mailer: Mailer
    sweep_shares: Callable[[TenantId], int]
    expiry: Expiry
    exports: Exports
    store_holds: StoreHolds
    terms: Terms
    case_copies: CaseCopies


def make_app(database_url: str, work: Work) -> procrastinate.App:
    """Return the application with its tasks; `database_url` is the one of the worker's role."""
    connector = procrastinate.PsycopgConnector(
        conninfo=connection_string(database_url),
        kwargs=connection_arguments(),
        max_size=POOL_CONNECTIONS_MAX,
    )
    app = procrastinate.App(connector=connector)
    _add_scrub(app, work)
    _add_quarantine(app, work)
    _add_mail(app, work)
    _add_exports(app, work)
    _add_expiry(app, work)
    add_holds(app, work.tenants, (work.case_copies.batch, work.store_holds.batch, work.terms.batch))

    @app.task(name=CALLS_SWEEP)
    async def calls_sweep(timestamp: int) -> None:
        """Forget commands and events of calls that are over for long."""
        rows = await asyncio.to_thread(work.sweep_calls)
        log.info("commands and events of calls swept", due_at=timestamp, rows=rows)

    return app


def _add_scrub(app: procrastinate.App, work: Work) -> None:
    retry = procrastinate.RetryStrategy(max_attempts=RETRY_ATTEMPTS_MAX, exponential_wait=4)

    @app.task(name=SCRUB_ALL)
    async def scrub_all(timestamp: int) -> None:
        """Begin a pass over every tenant, unless the last one is still going on."""
        log.info("a scrub begins", due_at=timestamp)
        for tenant_id in await asyncio.to_thread(work.tenants):
            await defer_batch(app, tenant_id, None)

    @app.task(name=SCRUB_BATCH, retry=retry)
    async def scrub_batch(tenant_id: str, cursor: str | None) -> None:
        """Verify a page of recordings and hand on to the next one."""
        batch = await asyncio.to_thread(work.scrub.batch, TenantId(tenant_id), cursor)
        log.info("scrubbed", tenant_id=tenant_id, objects=batch.objects, findings=len(batch.findings))
        if batch.next_cursor is not None:
            await defer_batch(app, tenant_id, batch.next_cursor)

    @app.task(name=SCRUB_TALLY)
    async def scrub_tally(timestamp: int) -> None:
        """Count how far scrubbing is, and tell when it is too late or something is damaged."""
        tenants = await asyncio.to_thread(work.tenants)
        progress = await asyncio.to_thread(work.scrub.tally, tenants)
        if progress.overdue or progress.findings:
            log.error("objects are damaged or were not read for long", due_at=timestamp, **vars(progress))


def _add_quarantine(app: procrastinate.App, work: Work) -> None:
    # What breaks a rule breaks it again; only what was away is worth another try.
    retry = procrastinate.RetryStrategy(
        max_attempts=RETRY_ATTEMPTS_MAX, exponential_wait=4, retry_exceptions=[DependencyUnavailable]
    )
    handed_over = UntilRebuilt(retry)

    @app.task(name=QUARANTINE_ASSIGN, retry=handed_over)
    async def assign(tenant_id: str, recording_id: str, user_id: str, actor: str) -> None:
        """Make a recording in quarantine that of a person."""
        ids = TenantId(tenant_id), RecordingId(recording_id)
        await _decided(recording_id, functools.partial(work.quarantine.assign, *ids, UserId(user_id), actor))

    @app.task(name=QUARANTINE_DESTROY, retry=handed_over)
    async def destroy(tenant_id: str, recording_id: str, actor: str) -> None:
        """Destroy a recording in quarantine."""
        ids = TenantId(tenant_id), RecordingId(recording_id)
        await _decided(recording_id, functools.partial(work.quarantine.destroy, *ids, actor))

    @app.task(name=QUARANTINE_SWEEP, retry=retry)
    async def sweep(timestamp: int) -> None:
        """Have destroyed what was in quarantine for its time, and finished what was broken off."""
        log.info("a sweep of the quarantine begins", due_at=timestamp)
        for tenant_id in await asyncio.to_thread(work.tenants):
            for recording_id, user_id in await asyncio.to_thread(work.quarantine.unfinished, tenant_id):
                await _defer_decision(app, QUARANTINE_ASSIGN, tenant_id, recording_id, user_id=user_id)
        for tenant_id in await asyncio.to_thread(work.tenants):
            try:
                over = await asyncio.to_thread(work.quarantine.due, tenant_id)
            except ClockDisbelieved:
                return  # told and written down where it was found
            for recording_id in over:
                await _defer_decision(app, QUARANTINE_DESTROY, tenant_id, recording_id)


def _add_mail(app: procrastinate.App, work: Work) -> None:
    retry = procrastinate.RetryStrategy(
        max_attempts=ATTEMPTS_MAX, exponential_wait=4, retry_exceptions=[DependencyUnavailable]
    )

    @app.task(name=MAIL, retry=retry)
    async def mail(tenant_id: str, mail_id: str) -> None:
        """Send a mail."""
        await asyncio.to_thread(work.mailer.send, TenantId(tenant_id), mail_id)

    @app.task(name=MAIL_SWEEP)
    async def sweep(timestamp: int) -> None:
        """Have sent what nobody took up, and forget what was settled long ago."""
        for tenant_id in await asyncio.to_thread(work.tenants):
            for mail_id in await asyncio.to_thread(work.mailer.forgotten, tenant_id):
                await _defer_mail(app, tenant_id, mail_id)
        log.debug("mails looked after", due_at=timestamp)

    @app.task(name=SHARES_SWEEP)
    async def sweep_shares(timestamp: int) -> None:
        """Delete the audio of play links that work no longer."""
        for tenant_id in await asyncio.to_thread(work.tenants):
            deleted = await asyncio.to_thread(work.sweep_shares, tenant_id)
            log.info("play links swept", due_at=timestamp, tenant_id=tenant_id, deleted=deleted)


def _add_exports(app: procrastinate.App, work: Work) -> None:
    retry = procrastinate.RetryStrategy(
        max_attempts=RETRY_ATTEMPTS_MAX, exponential_wait=4, retry_exceptions=[DependencyUnavailable]
    )

    @app.task(name=EXPORT, retry=UntilRebuilt(retry))
    async def export(tenant_id: str, export_id: str) -> None:
        """Make an export of evidence."""
        await asyncio.to_thread(work.exports.make, TenantId(tenant_id), export_id)

    @app.task(name=EXPORTS_SWEEP)
    async def sweep(timestamp: int) -> None:
        """Have made what nobody took up, and delete what is over."""
        for tenant_id in await asyncio.to_thread(work.tenants):
            for export_id in await asyncio.to_thread(work.exports.waiting, tenant_id):
                lock = lock_of_export(export_id)
                task = app.configure_task(EXPORT, lock=lock, queueing_lock=f"{EXPORT}/{export_id}")
                with contextlib.suppress(AlreadyEnqueued):
                    await task.defer_async(tenant_id=tenant_id, export_id=export_id)
            try:
                deleted = await asyncio.to_thread(work.exports.sweep, tenant_id)
            except ClockDisbelieved:
                return  # told and written down where it was found
            log.debug("exports swept", due_at=timestamp, tenant_id=tenant_id, deleted=deleted)


def _add_expiry(app: procrastinate.App, work: Work) -> None:
    @app.task(name=EXPIRY_SWEEP)
    async def sweep(timestamp: int) -> None:
        """Begin to destroy what expired, of every tenant, unless no clock can be believed."""
        try:
            until = await asyncio.to_thread(work.expiry.begin)
        except ClockDisbelieved:
            return  # told and written down where it was found
        log.info("a sweep of what expired begins", due_at=timestamp, until=until.isoformat())
        for tenant_id in await asyncio.to_thread(work.tenants):
            await defer_expiry(app, tenant_id)

    # Without a retry: a job that waits to be tried again would keep the next sweep out, which is
    # a quarter of an hour away at most.
    @app.task(name=EXPIRY_BATCH)
    async def batch(tenant_id: str) -> None:
        """Destroy some recordings of a tenant and hand on to the next batch, also when one failed."""
        try:
            done = await asyncio.to_thread(work.expiry.attempt, TenantId(tenant_id))
        except ClockDisbelieved:
            return
        counts = {"destroyed": done.destroyed, "certificates": done.certificates}
        log.info("expired recordings destroyed", tenant_id=tenant_id, remaining=done.remaining, **counts)
        if done.remaining and done.destroyed:
            await defer_expiry(app, tenant_id)
        if done.failure is not None:
            raise done.failure


async def defer_expiry(app: procrastinate.App, tenant_id: str) -> None:
    """Enqueue a batch of what expired, unless one of that tenant waits already."""
    name = f"expiry/{tenant_id}"
    try:
        await app.configure_task(EXPIRY_BATCH, queueing_lock=name).defer_async(tenant_id=tenant_id)
    except AlreadyEnqueued:
        log.info("a sweep of what expired goes on already", tenant_id=tenant_id)


async def _defer_mail(app: procrastinate.App, tenant_id: TenantId, mail_id: str) -> None:
    """Enqueue a mail as `archive.jobs.defer` does, unless it waits already."""
    configured = app.configure_task(MAIL, lock=lock_of_mail(mail_id), queueing_lock=f"{MAIL}/{mail_id}")
    with contextlib.suppress(AlreadyEnqueued):
        await configured.defer_async(tenant_id=tenant_id, mail_id=mail_id)


async def _decided(recording_id: str, decision: Callable[[], object]) -> None:
    """Carry out a decision; a refused one stands in the audit log, and trying again would not help."""
    try:
        await asyncio.to_thread(decision)
    except (NotFound, Refused, Conflict) as error:
        log.warning("a decision on a quarantine is refused", recording_id=recording_id, reason=str(error))


async def _defer_decision(
    app: procrastinate.App, task: str, tenant_id: TenantId, recording_id: RecordingId, **more: str
) -> None:
    """Enqueue a decision as `archive.jobs.defer` does, unless it waits already."""
    configured = app.configure_task(task, lock=lock_of(recording_id), queueing_lock=f"{task}/{recording_id}")
    try:
        await configured.defer_async(tenant_id=tenant_id, recording_id=recording_id, actor=ACTOR, **more)
    except AlreadyEnqueued:
        log.info("a decision waits already", recording_id=recording_id)


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


async def take_up_stalled(app: procrastinate.App) -> int:
    """Let the jobs of workers that died run again, and return how many there were.

    Without it a job that was broken off would hold its lock for ever.
    """
    stalled = list(await app.job_manager.get_stalled_jobs())
    for job in stalled:
        log.warning("a job of a worker that died runs again", task=job.task_name, job_id=job.id)
        try:
            await app.job_manager.retry_job(job)
        except UniqueViolation:
            # The same job was handed over again and waits: for the lock this one holds.
            await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)
    return len(stalled)


class Worker:
    """Runs jobs until `run` is cancelled or a signal asks procrastinate to stop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        settings.require("database_url")
        self._clock = clock
        self._catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
        self._store = open_store(settings)
        audit = AuditWriter(self._catalogue, f"worker/{settings.node_name}")
        # Only assigning needs keys: a worker without them still verifies and destroys.
        vault = functools.cache(functools.partial(open_vault, settings))
        interval = timedelta(days=settings.scrub_days)
        scrub = Scrub(self._store, self._catalogue, audit, clock, interval)
        keyring = functools.cache(functools.partial(open_keyring, settings))
        mailer = Mailer(
            self._catalogue,
            audit,
            clock,
            server_of(settings),
            keyring,
            lambda: Derivatives(self._store, vault(), self._catalogue),
        )
        signatory = functools.cache(lambda: open_signatory(settings, clock.now()))
        post = functools.cache(lambda: MailPost(keyring(), clock, settings.database_url))
        notices = Notices(post, settings.portal_address_shown) if server_of(settings) else None
        self._due_times = LockClock(self._catalogue, clock, f"worker/{settings.node_name}").due_times
        keeper = Timekeeper(self._catalogue, self._store, audit, clock, settings.node_name)
        expiry = Expiry(self._store, vault, self._catalogue, audit, clock, keeper, signatory)
        making = Exports(
            self._store,
            vault,
            self._catalogue,
            audit,
            clock,
            expiry.check_clocks,
            signatory,
            stamping_of(settings),
            functools.cache(lambda: open_signing_key(settings, keyring())),
            notices,
        )
        quarantine = Quarantine(
            self._store, vault, self._catalogue, audit, clock, expiry.check_clocks, signatory
        )
        following = (
            StoreHolds(self._store, self._catalogue, clock),
            Terms(self._store, vault, self._catalogue, audit, clock),
            CaseCopies(self._store, vault, self._catalogue, audit, clock),
        )
        shares = Shares(self._store, self._catalogue, expiry.check_clocks).sweep
        asked = (scrub, quarantine, self._sweep_calls, mailer, shares, expiry, making)
        self.app = make_app(settings.database_url, Work(self._tenants, *asked, *following))
        sealing = (self._catalogue, self._store, keyring, audit, clock, keeper.believed_time)
        sequencer = sequencer_of(settings, *sealing)
        custody = custody_of(settings, self._catalogue, self._store, clock)
        check = functools.partial(check_log, self._catalogue, self._store, audit, clock, custody)
        add_audit_log(self.app, functools.partial(sealed, sequencer), check)
        self._add_letters(audit, notices)
        add_proposals(self.app, self._tenants, functools.partial(end_over, audit, clock))
        self._add_figures(expiry, functools.partial(tell_moments, self._catalogue, settings, signatory))
        self._add_terms_of_words(audit, expiry, settings)
        add_worm(self.app, lambda: prove_lock(settings, audit, actor=ACTOR, now=clock.now()))

    def _add_terms_of_words(self, audit: AuditWriter, expiry: Expiry, settings: Settings) -> None:
        """Add what erases details of the audit log and privacy requests at the end of their terms."""
        bodies = AuditBodies(audit, self._clock, expiry.check_clocks, settings.audit_bodies_days)
        add_audit_bodies(self.app, self._tenants, bodies.batch)
        forget = functools.partial(forget_over, audit, expiry.check_clocks, settings.requests_days)
        add_request_terms(self.app, self._tenants, forget)

    def _add_letters(self, audit: AuditWriter, notices: Notices | None) -> None:
        """Add the jobs that write to people by themselves, and the one that writes people."""
        stands_on = self._catalogue, audit, self._clock, notices
        add_reminders(self.app, self._tenants, Reminders(*stands_on).remind)
        add_report_mails(self.app, self._tenants, ReportMails(*stands_on).queue_due)
        add_notifications(self.app, self._tenants, Notifications(*stands_on).queue_due)
        add_imports(self.app, self._tenants, Imports(self._catalogue, audit, self._clock))

    def _add_figures(self, expiry: Expiry, tell: Callable[[datetime], None]) -> None:
        """Add what counts, and what of it is counted where it is done; beside it `tell` tells its moments."""
        figures = Figures(self._catalogue, self._clock, expiry.check_clocks, locks=self._store.locks)

        def count(tenants: list[TenantId]) -> object:
            tell(self._clock.now())
            return figures.tally(tenants)

        add_figures(self.app, self._tenants, count)
        add_idle_keys(self.app, self._tenants, expiry.sweep_idle_keys, figures.keys_swept)

    def _tenants(self) -> list[TenantId]:
        return [tenant.id for tenant in list_tenants(self._catalogue)]

    def _sweep_calls(self) -> int:
        _, until, _ = self._due_times()
        before = until - CALLS_KEPT
        swept = live_calls.sweep(self._catalogue, until - CALL_LONGEST)
        swept += recorder_nodes.sweep(self._catalogue, before)
        return swept + commands.sweep(self._catalogue, before) + call_events.sweep(self._catalogue, before)

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Serve until a signal; `when_ready` is called once jobs can be fetched."""
        async with self.app.open_async():
            await self.look()
            with contextlib.suppress(ConnectorException):
                await prove_at_start(self.app, self._clock.now())
            clock = AsyncIOScheduler(timezone="UTC")
            clock.add_job(self.look, "interval", seconds=LOOK_INTERVAL_S, max_instances=1, coalesce=True)
            clock.start()
            not_rebuilt = functools.partial(restores.not_rebuilt, self._catalogue)
            when_ready()
            try:
                await self.app.run_worker_async(
                    concurrency=JOBS_AT_ONCE_MAX,
                    shutdown_graceful_timeout=STOP_GRACE_S,
                    delete_jobs="successful",
                    install_signal_handlers=True,
                    worker_middleware=[standing_still(not_rebuilt), by_believed_clock(self._due_times)],
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
        try:
            await take_up_stalled(self.app)
        except ConnectorException:
            log.warning("the database is away; jobs of other workers wait")
