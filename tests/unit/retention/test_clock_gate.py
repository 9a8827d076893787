"""While no clock is believed, jobs that forget, end or send by it pass by (promise R3)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from archive import jobs as archive_jobs
from archive.catalogue import retention_clocks
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_clocks import GoodTime
from retention.clock_gate import JUDGED, by_believed_clock
from retention.due_time import ClockDisbelieved
from retention.schedule import SCHEDULES
from retention.timekeeper import machine_uptime
from tests.unit.retention.test_standing import worker_of


def test_every_job_that_is_judged_is_one_there_is() -> None:
    assert {each.task for each in SCHEDULES} >= JUDGED


async def done(gates: Any, *tasks: str) -> list[str]:
    """Return which of these jobs are done behind the gates, the first outermost."""
    passed: list[str] = []

    async def through(task: str, left: list[Any]) -> None:
        if not left:
            passed.append(task)
            return

        async def call_next() -> None:
            await through(task, left[1:])

        await left[0](call_next, SimpleNamespace(job=SimpleNamespace(task_name=task)), None)

    for task in tasks:
        await through(task, list(gates))
    return passed


async def test_a_judged_job_passes_by_and_is_told_of_and_every_other_goes_on() -> None:
    def disbelieved() -> None:
        raise ClockDisbelieved("it moved")

    with capture_logs() as told:
        passed = await done([by_believed_clock(disbelieved)], *sorted(JUDGED), archive_jobs.MAIL)
    assert passed == [archive_jobs.MAIL]
    assert {(line["log_level"], line["task"]) for line in told} == {("error", task) for task in JUDGED}
    assert await done([by_believed_clock(lambda: None)], *sorted(JUDGED)) == sorted(JUDGED)


@pytest.mark.parametrize("days", [0, 8 * 365])
async def test_the_worker_asks_for_its_clock_before_such_jobs(
    database: Any, worker: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    passed: list[str] = []

    async def run(**options: Any) -> None:
        passed.extend(await done(options["worker_middleware"], "retention.calls_sweep"))

    running, up = worker_of(database, tmp_path), machine_uptime()
    known = running._clock.now() - timedelta(days=days)
    retention_clocks.keep(worker, GoodTime("worker/one", known, up.boot_id, up.seconds))
    monkeypatch.setattr(running.app, "run_worker_async", run)
    await running.run(lambda: None)
    assert passed == ([] if days else ["retention.calls_sweep"])
