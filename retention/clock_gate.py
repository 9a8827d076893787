"""Jobs that pass by while no clock is believed: what they do by it is not taken back.

They forget what is old, end what was not decided on, and write to people of what is due. By a clock
that is ahead a report of years to come would count as sent, so that none is sent until then; a call
that may still be kept would be in no list. Each is made anew by the clock, so that the next one does
what this one left. The object store is not asked: a mail does not wait for it.

Rules: a middleware of procrastinate's worker. What deletes recordings, exports, keys and details of the
audit log asks for itself, by all three clocks (`retention.timekeeper`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import procrastinate
import structlog
from procrastinate.worker import Worker as JobWorker

from retention.due_time import ClockDisbelieved
from retention.standing import CallNext, Middleware

JUDGED = frozenset(
    {
        "retention.calls_sweep",
        "retention.data_subjects_remind",
        "retention.mail_sweep",
        "retention.notifications_due",
        "retention.proposals_sweep",
        "retention.reports_due",
    }
)

_log = structlog.get_logger()


def by_believed_clock(ask: Callable[[], object]) -> Middleware:
    """Return the middleware; `ask` raises ClockDisbelieved while no clock is believed."""

    async def middleware(call_next: CallNext, context: procrastinate.JobContext, worker: JobWorker) -> Any:
        del worker
        if context.job.task_name in JUDGED:
            try:
                await asyncio.to_thread(ask)
            except ClockDisbelieved as error:
                task = context.job.task_name
                _log.error("ALARM: no clock is believed, a job passes by", task=task, reason=str(error))
                return None
        return await call_next()

    return middleware
