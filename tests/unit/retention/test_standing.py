"""While the database is that of yesterday, jobs that would act on what it says pass by, or wait."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archive import jobs as archive_jobs
from archive.catalogue import restores
from archive.catalogue.engine import Catalogue
from archive.model import RecordingId, Tenant, TenantId, UserId
from archive.settings import Settings
from retention.imports import add_imports
from retention.schedule import SCHEDULES
from retention.standing import PASSING_BY, WAITING, standing_still
from retention.worker import Worker, defer_due
from tests.unit.retention.test_worker import (
    NOW,
    Decisions,
    Keeping,
    Letters,
    StillClock,
    app,
    decisions,
    ends,
    jobs,
    keeping,
    letters,
    longer,
    packages,
    pages,
    schedule,
    swept,
)

__all__ = [
    "app",
    "decisions",
    "ends",
    "keeping",
    "letters",
    "longer",
    "packages",
    "pages",
    "swept",
]


@pytest.fixture
def restored(database: Any) -> None:
    """A backup of yesterday was restored just now."""
    statement = "INSERT INTO restores (restored_at, made_at) VALUES (%s, %s)"
    database.connect().execute(statement, (NOW, NOW - timedelta(days=1)))


async def drain(app: Any, catalogue: Catalogue) -> None:
    """Run every job that waits, as `Worker.run` does."""
    await app.run_worker_async(
        wait=False,
        install_signal_handlers=False,
        listen_notify=False,
        delete_jobs="successful",
        worker_middleware=[standing_still(functools.partial(restores.not_rebuilt, catalogue))],
    )


async def test_a_decision_waits_for_the_rebuilding_and_a_sweep_passes_by(
    app: Any,
    decisions: Decisions,
    keeping: Keeping,
    database: Any,
    worker: Catalogue,
    operator: Catalogue,
    restored: None,
) -> None:
    """A hold would be taken off that the database knows nothing of; a recording goes that has an owner by now."""
    decisions.broken_off = [(RecordingId("r2"), UserId("u"))]
    archive_jobs.destroy(database.url("earwitness_portal"), TenantId("t"), RecordingId("r1"), actor="user:x")
    async with app.open_async():
        for name in ("quarantine", "holds", "exports", "shares"):
            await defer_due(app, schedule(name), NOW)
        await drain(app, worker)
        assert decisions.done == []
        assert [(task, status) for task, status, *_ in jobs(database)] == [
            ("retention.quarantine_destroy", "todo")
        ]
        await asyncio.to_thread(restores.settle, operator, now=NOW)
        database.connect().execute("UPDATE jobs.procrastinate_jobs SET scheduled_at = NULL")
        await defer_due(app, schedule("quarantine"), NOW + timedelta(hours=1))
        await drain(app, worker)
    assert sorted(words[0] for words in decisions.done) == ["assign", "destroy"]


async def test_mail_that_is_asked_for_now_is_sent_by_a_database_of_yesterday_too(
    app: Any, letters: Letters, database: Any, worker: Catalogue, bakery: Tenant, restored: None
) -> None:
    """Somebody has to sign in to look after the rest."""
    url = database.url("earwitness_portal")
    archive_jobs.defer(url, archive_jobs.MAIL, tenant_id=bakery.id, mail_id="m1")
    async with app.open_async():
        await drain(app, worker)
    assert [mail_id for _, mail_id in letters.sent] == ["m1"]


def test_every_job_that_stands_still_is_one_there_is(app: Any) -> None:
    """A name that was changed would let its job go on."""
    nothing: Any = None
    add_imports(app, list, nothing)
    known = set(app.tasks) | {each.task for each in SCHEDULES}
    assert known >= PASSING_BY | WAITING


async def test_the_worker_itself_asks_before_such_jobs(
    database: Any, worker: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    done: list[str] = []

    async def call_next() -> None:
        done.append("done")

    async def run(**options: Any) -> None:
        asking, *_ = options["worker_middleware"]
        for task in (archive_jobs.STORE_HOLDS, archive_jobs.MAIL):
            await asking(call_next, SimpleNamespace(job=SimpleNamespace(task_name=task)), None)

    running = worker_of(database, tmp_path)
    monkeypatch.setattr(running.app, "run_worker_async", run)
    await running.run(lambda: None)
    assert done == ["done"], "the mail, and not what follows the holds"


def worker_of(database: Any, tmp_path: Path) -> Worker:
    settings = Settings(
        database_url=database.url("earwitness_worker"),
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="x",
        s3_secret_key="x",
        key_store=f"dir:{tmp_path}",
        keyring=f"file:{tmp_path}/keyring",
    )
    return Worker(settings, StillClock(datetime(2026, 11, 22, tzinfo=UTC)))
