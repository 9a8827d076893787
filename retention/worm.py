"""The job that tries the bucket's lock out, at every start of a worker and once a week.

Rules: what it found is kept where locks are chosen by it, an entry of the audit log and, when the
lock is not proved, an error in the log of the worker. A store that is away proves nothing and
takes no proof away; it is tried out at the next start, or the week after. Nothing waits for it: without
a proof recordings are archived under GOVERNANCE.

Not here: what is tried (`archive.store.worm`), and the command (`archive.cli.worm`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import procrastinate
import structlog
from procrastinate.exceptions import AlreadyEnqueued

from archive.errors import ArchiveError
from archive.store.worm import LockReport

log = structlog.get_logger()

VERIFY_WORM = "retention.verify_worm"


def add_worm(app: procrastinate.App, prove: Callable[[], LockReport]) -> None:
    """Add the job."""

    # Twice at once would prove no more, and many workers start together.
    @app.task(name=VERIFY_WORM, lock=VERIFY_WORM, queueing_lock=VERIFY_WORM)
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


async def prove_at_start(app: procrastinate.App, now: datetime) -> None:
    """Have the bucket tried out, unless that waits to be done already."""
    with contextlib.suppress(AlreadyEnqueued):
        await app.configure_task(VERIFY_WORM).defer_async(timestamp=int(now.timestamp()))
