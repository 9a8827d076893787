"""The weekly job that tries the bucket out, on a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import procrastinate
import pytest
from structlog.testing import capture_logs

from archive.errors import StoreUnavailable
from archive.jobs import connection_arguments, connection_string
from archive.store.worm import Finding, LockReport
from retention.schedule import SCHEDULES
from retention.worker import defer_due
from retention.worm import VERIFY_WORM, add_worm, prove_at_start
from tests.unit.archive.sealed.conftest import NOW

PROVED = LockReport((Finding("boto3", "delete", ""), Finding("minio", "delete", "")))
FAILED = LockReport((Finding("boto3", "delete", ""), Finding("minio", "delete", "deleted")))


@pytest.mark.parametrize(("report", "level"), [(PROVED, "info"), (FAILED, "error"), (None, "warning")])
async def test_once_a_week_it_is_told_whether_the_bucket_is_worm(
    database: Any, report: LockReport | None, level: str
) -> None:
    def prove() -> LockReport:
        if report is None:
            raise StoreUnavailable("away")
        return report

    url = connection_string(database.url("earwitness_worker"))
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, kwargs=connection_arguments())
    )
    add_worm(app, prove)
    (schedule,) = (each for each in SCHEDULES if each.task == VERIFY_WORM)
    assert schedule.interval.days == 7
    with capture_logs() as told:
        async with app.open_async():
            await defer_due(app, schedule, NOW)
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
    assert [line["log_level"] for line in told if "lock of the bucket" in line["event"]] == [level]


async def test_every_start_of_a_worker_has_the_bucket_tried_out_once(database: Any) -> None:
    """However many workers start, and while the one of the week waits."""
    url = connection_string(database.url("earwitness_worker"))
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, kwargs=connection_arguments())
    )
    proofs = []

    def prove() -> LockReport:
        proofs.append(1)
        return PROVED

    add_worm(app, prove)
    (schedule,) = (each for each in SCHEDULES if each.task == VERIFY_WORM)
    async with app.open_async():
        await defer_due(app, schedule, NOW)
        for _ in range(3):
            await prove_at_start(app, NOW)
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        assert len(proofs) == 1
        await prove_at_start(app, NOW)
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
    assert len(proofs) == 2
