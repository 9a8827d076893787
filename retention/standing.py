"""Work that stands still while the database is that of yesterday: restored, and the catalogue not rebuilt.

What was decided since the backup is in the bucket alone: a hold that a job would take off the store, a
recording in quarantine that has its owner by now, a figure that is not the one of today. So sweeps that
act on what the database says pass by, and what somebody hands over waits; both go on by themselves
when `earwitness storage rebuild-catalogue` came to its end. Scrubbing, sealing the audit log, counting and
mail that is asked for now go on: the worker has to be heard of.

Rules: a middleware of procrastinate's worker, which asks the database at each such job. What deletes by
the clock asks once more (`retention.timekeeper`). Not here: what of the jobs in a backup is
dropped (`archive.backup.taking_away`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import procrastinate
import structlog
from procrastinate.jobs import Job
from procrastinate.worker import Worker as JobWorker

from archive.jobs import EXPIRY_BATCH, EXPORT, IMPORT, QUARANTINE_ASSIGN, QUARANTINE_DESTROY, STORE_HOLDS
from retention.due_time import NotRebuilt

PASSING_BY = frozenset(
    {
        EXPIRY_BATCH,
        STORE_HOLDS,
        "retention.expiry_sweep",
        "retention.exports_sweep",
        "retention.holds_sweep",
        "retention.imports_sweep",
        "retention.keys_sweep",
        "retention.notifications_due",
        "retention.proposals_sweep",
        "retention.quarantine_sweep",
        "retention.reports_due",
        "retention.shares_sweep",
    }
)
"""Jobs the clock makes anew; the next one does what this one left."""

WAITING = frozenset({EXPORT, IMPORT, QUARANTINE_ASSIGN, QUARANTINE_DESTROY})
"""Jobs somebody handed over: they are tried again each minute."""

TRIED_AGAIN_S = 60

_log = structlog.get_logger()

CallNext = Callable[[], Awaitable[Any]]
Middleware = Callable[[CallNext, procrastinate.JobContext, JobWorker], Awaitable[Any]]


def standing_still(not_rebuilt: Callable[[], datetime | None]) -> Middleware:
    """Return the middleware; `not_rebuilt` tells of when the backup is that was restored and not rebuilt.

    It raises NotRebuilt out of a job of `WAITING`, for `UntilRebuilt` to try it again.
    """

    async def middleware(call_next: CallNext, context: procrastinate.JobContext, worker: JobWorker) -> Any:
        del worker
        task = context.job.task_name
        if task in PASSING_BY | WAITING:
            made_at = await asyncio.to_thread(not_rebuilt)
            if made_at is not None:
                _log.warning("restored and not rebuilt: a job stands still", task=task)
                if task in WAITING:
                    raise NotRebuilt(
                        f"The database is that of the backup of {made_at:%Y-%m-%d %H:%M} UTC: run "
                        "`earwitness storage rebuild-catalogue`, this job waits for it."
                    )
                return None
        return await call_next()

    return middleware


class UntilRebuilt(procrastinate.BaseRetryStrategy):
    """Tries a job again each minute while it stands still; else as another strategy says."""

    def __init__(self, otherwise: procrastinate.BaseRetryStrategy) -> None:
        """Remember what is done with every other failure."""
        self._otherwise = otherwise

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        """Return when a job is tried again, None for never."""
        if isinstance(exception, NotRebuilt):
            return procrastinate.RetryDecision(retry_in={"seconds": TRIED_AGAIN_S})
        return self._otherwise.get_retry_decision(exception=exception, job=job)
