"""What audit entries say in detail is erased when its term is over; the entries stay, and still verify.

Who did what, when and with which result stands in an entry for ever. Its body says the rest: purposes,
addresses, what was looked for. It is personal, and lives

- as long as any recording it tells of, and a year at least;
- where it tells of no recording, `EARWITNESS_AUDIT_BODIES_DAYS`: as long as recordings are kept at most.

It stays beyond that while it tells of a recording that is there (one on hold always is), of a case
whose recordings were not let go, of an open request of a data subject, or of a recording that went
since the oldest open one was taken in. It tells of what its entry is about and of whatever id stands in it.

Rules: bounded batches, oldest first; erasing and the entry that names what was erased are one
transaction, and `archive.audit.verify_bodies` finds a body that is gone unnamed. The time is the one
recordings are judged by: by a clock that is not believed nothing goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import procrastinate
import structlog
from procrastinate.exceptions import AlreadyEnqueued

from archive.audit import AuditWriter
from archive.audit_chain import AuditEntry, canonical_json
from archive.catalogue import audit_bodies
from archive.catalogue.audit_bodies import Told
from archive.clock import Clock
from archive.erased_bodies import ERASED, Numbers
from archive.errors import DependencyUnavailable
from archive.model import TenantId
from retention.due_time import ClockDisbelieved

ACTOR = "service:worker"
BODIES_SWEEP = "retention.audit_bodies_sweep"
BODIES_BATCH = "retention.audit_bodies_batch"
BODY_DAYS_MIN = 365
"""For a year one can ask what was done with a recording that went, and why."""

RETRY_ATTEMPTS_MAX = 5
"""From seconds to some minutes apart; the next day's pass begins anew anyway."""

NOTHING = Told(frozenset(), frozenset())
_RECORDING = "recording:"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

log = structlog.get_logger()


@dataclass(frozen=True)
class Batch:
    """How many bodies a batch looked at and erased, and where the next begins, None at the end."""

    looked_at: int
    erased: int
    next_cursor: str | None


class AuditBodies:
    """Erases bodies, a batch at a time; any number of processes may.

    `due_time` tells the time by which terms are judged; raises ClockDisbelieved.
    """

    def __init__(
        self, audit: AuditWriter, clock: Clock, due_time: Callable[[], datetime], kept_days: int
    ) -> None:
        """Remember what it stands on; bodies that tell of no recording are kept for `kept_days`."""
        self._audit = audit
        self._clock = clock
        self._due_time = due_time
        self._kept = timedelta(days=max(kept_days, BODY_DAYS_MIN))

    def batch(self, tenant_id: TenantId | None, cursor: str | None) -> Batch:
        """Look at a page of bodies of a tenant, or of the instance itself, and erase those that are over.

        Raises ClockDisbelieved, DependencyUnavailable; nothing of the batch is done then.
        """
        until = self._due_time()
        with self._audit.transaction(tenant_id) as connection:
            before = until - timedelta(days=BODY_DAYS_MIN)
            found, following = audit_bodies.page(connection, tenant_id, before, cursor)
            told = [ids_in(entry) for entry in found]
            known = (
                NOTHING if tenant_id is None else audit_bodies.told(connection, tenant_id, set().union(*told))
            )
            over = [
                entry
                for entry, ids in zip(found, told, strict=True)
                if self._is_over(entry, ids, known, until)
            ]
            erased = Numbers(audit_bodies.erase(connection, over))
            if tenant_id is not None:
                audit_bodies.keep_progress(
                    connection,
                    tenant_id,
                    begins=cursor is None,
                    looked_at=len(found),
                    erased=len(erased),
                    until=found[-1].at if found else None,
                    finished_at=self._clock.now() if following is None else None,
                )
            if len(erased):
                self._audit.append(
                    connection,
                    tenant_id=tenant_id,
                    actor=ACTOR,
                    action=ERASED,
                    object="log",
                    at=self._clock.now(),
                    body=erased.body(),
                )
        return Batch(len(found), len(erased), following)

    def _is_over(self, entry: AuditEntry, ids: frozenset[str], known: Told, until: datetime) -> bool:
        if ids & known.staying:
            return False
        of_recordings = entry.object.startswith(_RECORDING) or bool(ids & known.recordings)
        return of_recordings or until - entry.at >= self._kept


def ids_in(entry: AuditEntry) -> frozenset[str]:
    """Return every id an entry tells of: what it is about, and what stands in its body."""
    body = "" if entry.body is None else canonical_json(entry.body).decode()
    return frozenset(_ID.findall(f"{entry.object} {body}"))


def add_audit_bodies(
    app: procrastinate.App,
    tenants: Callable[[], list[TenantId]],
    batch: Callable[[TenantId | None, str | None], Batch],
) -> None:
    """Add the job that begins a pass over every tenant and the instance, and the one that does a batch."""
    retry = procrastinate.RetryStrategy(
        max_attempts=RETRY_ATTEMPTS_MAX, exponential_wait=4, retry_exceptions=[DependencyUnavailable]
    )

    @app.task(name=BODIES_SWEEP)
    async def sweep(timestamp: int) -> None:
        """Begin a pass, unless the last one is still going on."""
        log.info("a pass over the bodies of the audit log begins", due_at=timestamp)
        for tenant_id in (None, *await asyncio.to_thread(tenants)):
            await _defer(app, tenant_id, None)

    @app.task(name=BODIES_BATCH, retry=retry)
    async def erase(tenant_id: str | None, cursor: str | None) -> None:
        """Erase what is over of a page, and hand on to the next one."""
        try:
            done = await asyncio.to_thread(batch, None if tenant_id is None else TenantId(tenant_id), cursor)
        except ClockDisbelieved:
            return  # told and written down where it was found; the next pass begins anew
        counts = {"looked_at": done.looked_at, "erased": done.erased}
        log.info("bodies of the audit log erased", tenant_id=tenant_id, **counts)
        if done.next_cursor is not None:
            await _defer(app, tenant_id, done.next_cursor)


async def _defer(app: procrastinate.App, tenant_id: str | None, cursor: str | None) -> None:
    """Enqueue a page, unless one of the same whose waits already."""
    name = f"audit-bodies/{tenant_id or ''}"
    with contextlib.suppress(AlreadyEnqueued):
        await app.configure_task(BODIES_BATCH, queueing_lock=name).defer_async(
            tenant_id=tenant_id, cursor=cursor
        )
