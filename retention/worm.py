"""The job that tries the bucket's lock out, once a week.

Rules: what it found is an entry of the audit log and, when the lock is not proved, an error in
the log of the worker. A store that is away is tried out the week after.

Not here: what is tried (`archive.store.worm`), and the command (`archive.cli.worm`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import procrastinate
import structlog

from archive.errors import ArchiveError
from archive.store.worm import LockReport

log = structlog.get_logger()

VERIFY_WORM = "retention.verify_worm"


def add_worm(app: procrastinate.App, prove: Callable[[], LockReport]) -> None:
    """Add the job."""

    @app.task(name=VERIFY_WORM)
    async def verify_worm(timestamp: int) -> None:
        """Try out whether the bucket locks what it is told to."""
        try:
            report = await asyncio.to_thread(prove)
        except ArchiveError as error:
            log.warning("the lock of the bucket was not tried out", due_at=timestamp, reason=str(error))
            return
        if report.is_proved:
            log.info("the lock of the bucket is proved", due_at=timestamp)
            return
        faults = [f"{found.client} {found.probe}: {found.fault}" for found in report.faults]
        log.error("the lock of the bucket is not proved: it is not WORM", due_at=timestamp, faults=faults)
