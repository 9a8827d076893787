"""The worker's clock and queue, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive import jobs as archive_jobs
from archive.catalogue import call_events
from archive.catalogue.call_events import CallEvent
from archive.catalogue.engine import Catalogue
from archive.errors import Conflict, StoreUnavailable
from archive.jobs import STORE_HOLDS
from archive.mail import MailUnavailable
from archive.model import RecordingId, Tenant, TenantId, UserId, new_id
from archive.settings import Settings
from retention import worker as worker_module
from retention.case_copies import CaseCopies, CopyProgress
from retention.due_time import ClockDisbelieved
from retention.expiry import Expiry, Progress
from retention.exports import Exports
from retention.mail import Mailer
from retention.quarantine import Quarantine
from retention.schedule import SCHEDULES, Schedule
from retention.scrub import Batch, Scrub
from retention.store_holds import HoldProgress, StoreHolds
from retention.terms import TermProgress, Terms
from retention.worker import Work, Worker, defer_batch, defer_due, make_app, take_up_stalled

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@dataclass
class StillClock:
    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


class Pages(Scrub):
    """Three pages for every tenant, noted as they are asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def batch(self, tenant_id: TenantId, cursor: str | None, recordings_max: int = 50) -> Batch:
        self.asked.append((tenant_id, cursor))
        following = {None: "2", "2": "3", "3": None}
        return Batch(recordings_max, (), following[cursor])


class Decisions(Quarantine):
    """Notes what is decided, and raises what it is told to."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.errors: list[Exception] = []
        self.broken_off: list[tuple[RecordingId, UserId]] = []
        self.over: list[RecordingId] = []
        self.believed = True

    def assign(self, *arguments: str) -> Any:
        self._note("assign", *arguments)

    def destroy(self, *arguments: str) -> None:
        self._note("destroy", *arguments)

    def _note(self, *words: str) -> None:
        if self.errors:
            raise self.errors.pop()
        self.done.append(words)

    def due(self, tenant_id: TenantId) -> list[RecordingId]:
        if not self.believed:
            raise ClockDisbelieved("It is the year 2034.")
        return self.over

    def unfinished(self, tenant_id: TenantId) -> list[tuple[RecordingId, UserId]]:
        return self.broken_off


class Letters(Mailer):
    """Notes which mails are sent, and raises what it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self.found: list[str] = []

    def send(self, tenant_id: TenantId, mail_id: str) -> None:
        self.sent.append((tenant_id, mail_id))
        if self.errors:
            raise self.errors.pop()

    def forgotten(self, tenant_id: TenantId) -> list[str]:
        return self.found


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def decisions() -> Decisions:
    return Decisions()


@pytest.fixture
def swept() -> list[int]:
    return []


class Ends(Expiry):
    """Notes whose recordings are swept: three batches, by clocks that are believed or not."""

    def __init__(self) -> None:
        self.swept: list[str] = []
        self.believed = True
        self.failure: StoreUnavailable | None = None

    def begin(self) -> datetime:
        if not self.believed:
            raise ClockDisbelieved("It is the year 2034.")
        return NOW

    def attempt(self, tenant_id: TenantId, recordings_max: int = 50) -> Progress:
        self.swept.append(tenant_id)
        left = max(0, 3 - len(self.swept))
        return Progress(destroyed=50, certificates=0, remaining=left, failure=self.failure)


class Keeping(StoreHolds):
    """Notes whose holds are followed: two batches."""

    def __init__(self) -> None:
        self.followed: list[str] = []
        self.failure: StoreUnavailable | None = None

    def batch(self, tenant_id: TenantId, recordings_max: int = 100) -> HoldProgress:
        self.followed.append(tenant_id)
        if self.failure is not None:
            raise self.failure
        return HoldProgress(done=100, remaining=max(0, 2 - len(self.followed)))


class Copying(CaseCopies):
    """Has nothing to copy."""

    def __init__(self) -> None:
        pass

    def batch(self, tenant_id: TenantId, cases_max: int = 100) -> CopyProgress:
        return CopyProgress(done=0, remaining=0)


@pytest.fixture
def keeping() -> Keeping:
    return Keeping()


class Longer(Terms):
    """Notes whose longer terms are followed: three batches."""

    def __init__(self) -> None:
        self.followed: list[str] = []

    def batch(self, tenant_id: TenantId, recordings_max: int = 50) -> TermProgress:
        self.followed.append(tenant_id)
        return TermProgress(done=50, remaining=max(0, 3 - len(self.followed)))


@pytest.fixture
def longer() -> Longer:
    return Longer()


@pytest.fixture
def ends() -> Ends:
    return Ends()


class Packages(Exports):
    """Notes which exports are made, and raises what it is told to."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.errors: list[Exception] = []
        self.asked: list[str] = []

    def make(self, tenant_id: TenantId, export_id: str) -> None:
        self.made.append(export_id)
        if self.errors:
            raise self.errors.pop()

    def waiting(self, tenant_id: TenantId) -> list[str]:
        return self.asked

    def sweep(self, tenant_id: TenantId) -> int:
        return 0


@pytest.fixture
def packages() -> Packages:
    return Packages()


@pytest.fixture
def app(
    database: Any,
    pages: Pages,
    decisions: Decisions,
    swept: list[int],
    letters: Letters,
    bakery: Tenant,
    ends: Ends,
    packages: Packages,
    keeping: Keeping,
    longer: Longer,
) -> Any:
    def sweep_calls() -> int:
        swept.append(1)
        return 1

    work = Work(
        lambda: [bakery.id],
        pages,
        decisions,
        sweep_calls,
        letters,
        lambda tenant_id: 0,
        ends,
        packages,
        keeping,
        longer,
        Copying(),
    )
    return make_app(database.url("earwitness_worker"), work)


def schedule(name: str) -> Schedule:
    return next(each for each in SCHEDULES if each.name == name)


def jobs(database: Any) -> list[tuple[Any, ...]]:
    statement = "SELECT task_name, status, attempts, lock FROM jobs.procrastinate_jobs ORDER BY id"
    return database.connect().execute(statement).fetchall()


def abandon_jobs(database: Any) -> None:
    """Let all jobs be those of a worker that took them and died."""
    admin = database.connect()
    admin.execute("SET search_path TO jobs")
    admin.execute("UPDATE procrastinate_jobs SET status = 'doing'")


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


@pytest.mark.parametrize("believed", [True, False])
async def test_what_expired_is_swept_batch_by_batch_by_clocks_that_are_believed(
    app: Any, ends: Ends, bakery: Tenant, *, believed: bool
) -> None:
    ends.believed = believed
    async with app.open_async():
        await defer_due(app, schedule("expiry"), NOW)
        await app.run_worker_async(wait=False)
    assert ends.swept == ([bakery.id] * 3 if believed else [])


async def test_a_recording_that_fails_keeps_no_batch_from_being_followed_by_the_next(
    app: Any, ends: Ends, bakery: Tenant, database: Any
) -> None:
    """The job itself has failed, and is seen to have."""
    ends.failure = StoreUnavailable("one volume is away")
    async with app.open_async():
        await defer_due(app, schedule("expiry"), NOW)
        await app.run_worker_async(wait=False)
    assert ends.swept == [bakery.id] * 3
    assert [job[1] for job in jobs(database) if job[0] == "retention.expiry_batch"] == ["failed"] * 3


async def test_what_fails_keeps_no_later_sweep_out(
    app: Any, ends: Ends, keeping: Keeping, database: Any, bakery: Tenant
) -> None:
    """A job that waits hours to be tried again would hold the place of the next one in the queue."""
    ends.failure = keeping.failure = StoreUnavailable("the store is away")
    ends.swept = [bakery.id] * 2
    async with app.open_async():
        for quarter in range(2):
            for name in ("expiry", "holds"):
                await defer_due(app, schedule(name), NOW + timedelta(minutes=15 * quarter))
            await app.run_worker_async(wait=False)
        ends.failure = keeping.failure = None
        for name in ("expiry", "holds"):
            await defer_due(app, schedule(name), NOW + timedelta(minutes=30))
        await app.run_worker_async(wait=False)
    assert (len(ends.swept), len(keeping.followed)) == (5, 3)
    assert "todo" not in {job[1] for job in jobs(database)}


async def test_holds_of_the_store_follow_batch_by_batch(
    app: Any, keeping: Keeping, longer: Longer, database: Any, bakery: Tenant
) -> None:
    """Handed over by the portal at once, and found by the clock when that got lost; longer terms too."""
    url = database.url("earwitness_portal")
    assert await asyncio.to_thread(archive_jobs.defer, url, STORE_HOLDS, tenant_id=bakery.id)
    assert not await asyncio.to_thread(archive_jobs.defer, url, STORE_HOLDS, tenant_id=bakery.id)
    async with app.open_async():
        await app.run_worker_async(wait=False)
        assert keeping.followed == longer.followed == [bakery.id] * 3
        await defer_due(app, schedule("holds"), NOW)
        await app.run_worker_async(wait=False)
    assert keeping.followed == longer.followed == [bakery.id] * 4


async def test_commands_and_events_of_calls_are_swept_every_hour(app: Any, swept: list[int]) -> None:
    """They are news; what lasts is the recording."""
    assert schedule("calls").interval == timedelta(hours=1)
    async with app.open_async():
        await defer_due(app, schedule("calls"), NOW)
        await drain(app)
    assert swept == [1]


def test_what_is_younger_than_a_day_is_not_swept(
    database: Any, worker: Catalogue, recorder: Catalogue, bakery: Tenant, tmp_path: Path
) -> None:
    """The worker of a real service, on rows of both kinds around the border."""
    clock = StillClock(NOW)
    running = Worker(
        Settings(
            database_url=database.url("earwitness_worker"),
            s3_endpoint="http://127.0.0.1:9",
            s3_access_key="access",
            s3_secret_key="secret",
        ),
        clock,
    )
    for hours in (23, 24, 25):
        at = NOW - timedelta(hours=hours)
        with recorder.transaction(bakery.id) as connection:
            call_events.append(connection, [CallEvent(bakery.id, at, "call.ended", None, None, {})])
        database.connect().execute(
            "INSERT INTO commands VALUES (%s, %s, 'r', 'n', 'stop', 'user:x', %s, 'expired', '', NULL)",
            (new_id(at), bakery.id, at),
        )
    assert running._sweep_calls() == 2
    assert running._sweep_calls() == 0
    running._catalogue.close()
    running._store.close()


async def test_decisions_on_a_quarantine_are_carried_out_as_they_were_handed_over(
    app: Any, decisions: Decisions, database: Any
) -> None:
    """From the role of the portal, without the code of the worker; the same one waits once."""
    url = database.url("earwitness_portal")
    ids = TenantId("t"), RecordingId("r")
    assert await asyncio.to_thread(archive_jobs.assign, url, *ids, UserId("u"), actor="user:x")
    assert not await asyncio.to_thread(archive_jobs.assign, url, *ids, UserId("v"), actor="user:y")
    assert await asyncio.to_thread(archive_jobs.destroy, url, *ids, actor="user:x")
    assert {lock for *_, lock in jobs(database)} == {"recording/r"}
    async with app.open_async():
        await drain(app)
    assert decisions.done == [("assign", "t", "r", "u", "user:x"), ("destroy", "t", "r", "user:x")]


async def test_the_sweep_has_destroyed_what_is_over_and_finished_what_was_broken_off(
    app: Any, decisions: Decisions, bakery: Tenant
) -> None:
    """As jobs of their own, so that one that fails holds up no other."""
    assert schedule("quarantine").interval == timedelta(hours=1)
    decisions.over = [RecordingId("r1"), RecordingId("r2")]
    decisions.broken_off = [(RecordingId("r3"), UserId("u"))]
    async with app.open_async():
        await defer_due(app, schedule("quarantine"), NOW)
        await defer_due(app, schedule("quarantine"), NOW + timedelta(hours=1))
        await drain(app)
    assert min(decisions.done) == ("assign", bakery.id, "r3", "u", "service:worker")
    assert {words[2] for words in decisions.done if words[0] == "destroy"} == {"r1", "r2"}


async def test_r3_by_a_clock_that_is_not_believed_no_quarantine_ends_and_what_was_begun_goes_on(
    app: Any, decisions: Decisions, bakery: Tenant
) -> None:
    decisions.believed = False
    decisions.over = [RecordingId("r1")]
    decisions.broken_off = [(RecordingId("r3"), UserId("u"))]
    async with app.open_async():
        await defer_due(app, schedule("quarantine"), NOW)
        await drain(app)
    assert decisions.done == [("assign", bakery.id, "r3", "u", "service:worker")]


async def test_a_refused_decision_is_over_and_one_that_meets_an_outage_is_tried_again(
    app: Any, decisions: Decisions, database: Any
) -> None:
    url = database.url("earwitness_worker")
    decisions.errors = [StoreUnavailable("away"), Conflict("it was decided otherwise")]
    for name in ("r1", "r2"):
        archive_jobs.destroy(url, TenantId("t"), RecordingId(name), actor="user:x")
    async with app.open_async():
        await app.run_worker_async(
            wait=False, install_signal_handlers=False, listen_notify=False, concurrency=1,
            delete_jobs="successful",
        )  # fmt: skip
    assert jobs(database) == [("retention.quarantine_destroy", "todo", 1, "recording/r2")]
    assert decisions.done == []


async def test_the_job_of_a_worker_that_died_runs_again(
    app: Any, decisions: Decisions, database: Any
) -> None:
    """Else its lock would keep every other job of that recording waiting for ever."""
    url = database.url("earwitness_worker")
    archive_jobs.destroy(url, TenantId("t"), RecordingId("r"), actor="user:x")
    abandon_jobs(database)
    async with app.open_async():
        await drain(app)
        assert decisions.done == []
        assert await take_up_stalled(app) == 1
        assert await take_up_stalled(app) == 0
        await drain(app)
    assert decisions.done == [("destroy", "t", "r", "user:x")]


async def test_of_a_job_that_died_and_one_that_waits_for_its_lock_one_is_left(
    app: Any, decisions: Decisions, database: Any
) -> None:
    """Neither could ever run: each waits for the other."""
    url = database.url("earwitness_worker")
    ids = TenantId("t"), RecordingId("r")
    archive_jobs.destroy(url, *ids, actor="user:x")
    abandon_jobs(database)
    assert archive_jobs.destroy(url, *ids, actor="user:y")
    async with app.open_async():
        assert await take_up_stalled(app) == 1
        await drain(app)
    assert decisions.done == [("destroy", "t", "r", "user:y")]


def test_the_limits_of_a_worker_are_what_a_machine_can_bear() -> None:
    """Four objects of 100 MB at once, and a pool that serves them."""
    assert worker_module.JOBS_AT_ONCE_MAX <= worker_module.POOL_CONNECTIONS_MAX


async def test_a_mail_is_sent_by_the_job_that_was_handed_over_and_by_no_second(
    database: Any, app: Any, letters: Letters, bakery: Tenant
) -> None:
    url = database.url("earwitness_portal")
    assert archive_jobs.defer(url, archive_jobs.MAIL, tenant_id=bakery.id, mail_id="one")
    assert not archive_jobs.defer(url, archive_jobs.MAIL, tenant_id=bakery.id, mail_id="one")
    letters.found = ["two"]
    async with app.open_async():
        await defer_due(app, schedule("mails"), NOW)
        await drain(app)
    assert sorted(letters.sent) == [(bakery.id, "one"), (bakery.id, "two")]


async def test_a_mail_is_tried_again_while_its_server_is_away(
    database: Any, app: Any, letters: Letters, bakery: Tenant
) -> None:
    letters.errors = [MailUnavailable("Busy.")]
    async with app.open_async():
        archive_jobs.defer(
            database.url("earwitness_portal"), archive_jobs.MAIL, tenant_id=bakery.id, mail_id="one"
        )
        await drain(app)
    assert [job[:3] for job in jobs(database)] == [(archive_jobs.MAIL, "todo", 1)]
    assert letters.sent == [(bakery.id, "one")]


async def test_an_export_nobody_took_up_is_made_and_tried_again_while_the_store_is_away(
    database: Any, app: Any, packages: Packages
) -> None:
    packages.asked, packages.errors = ["export-1"], [StoreUnavailable("The store is away.")]
    async with app.open_async():
        await defer_due(app, schedule("exports"), NOW)
        await drain(app)
    assert packages.made == ["export-1"]
    waiting = [job for job in jobs(database) if job[0] == archive_jobs.EXPORT]
    assert [(job[1], job[3]) for job in waiting] == [("todo", "export/export-1")]
