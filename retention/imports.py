"""Importing files of people, one row after the other, each in a transaction of its own.

A row is settled in the transaction that writes its person and its entry in the audit log: a worker that
dies in the middle leaves that row as if nobody had begun it, and the next worker goes on there. Whoever
asked for the import must still be an administrator at each row; the rows after that are refused.

Rules: blocking, for threads of the worker. Not here: what a row may do (`archive.roll`), the page
(`playback_portal.pages.imports`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import procrastinate
import structlog
from procrastinate.exceptions import AlreadyEnqueued

from archive import roll, roster
from archive.access import may_administer
from archive.audit import AuditWriter
from archive.catalogue import accounts, notifications, people, roster_imports
from archive.catalogue.engine import Catalogue, Connection, savepoint
from archive.catalogue.roster_imports import Import, WaitingRow
from archive.clock import Clock
from archive.errors import ArchiveError, DependencyUnavailable, NotFound
from archive.jobs import IMPORT, lock_of_import
from archive.model import TenantId
from archive.roll import Enrolment, Roll
from archive.roster import RosterResult
from retention.standing import UntilRebuilt

log = structlog.get_logger()

SWEEP = "retention.imports_sweep"
ATTEMPTS_MAX = 8
LOST = "Whoever asked for this may not administer any more."


class Imports:
    """Writes what was imported; any number of processes may, one import by one at a time."""

    def __init__(self, catalogue: Catalogue, audit: AuditWriter, clock: Clock) -> None:
        """Remember what it stands on."""
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    def write(self, tenant_id: TenantId, import_id: str) -> None:
        """Write the rows of an import that wait; raises DependencyUnavailable when it is to go on later."""
        try:
            found = roster_imports.get(self._catalogue, tenant_id, import_id)
        except NotFound:
            return
        enrolling = Roll(people.tenant_of(self._catalogue, tenant_id), found.user_id)
        while self._write_next(found, enrolling):
            pass

    def unfinished(self, tenant_id: TenantId) -> list[str]:
        """Return the imports of a tenant that go on; what ended long ago is forgotten."""
        roster_imports.sweep(self._catalogue, tenant_id, now=self._clock.now())
        return roster_imports.unfinished(self._catalogue, tenant_id)

    def _write_next(self, found: Import, enrolling: Roll) -> bool:
        """Write one row; False when there is none left."""
        permitted = self._permitted(found)
        with self._audit.transaction(found.tenant_id) as connection:
            waiting = roster_imports.next_row(connection, found.tenant_id, found.id)
            if waiting is None:
                self._end(connection, found)
                return False
            made, reason = None, LOST
            if permitted:
                made, reason = self._written(connection, enrolling, waiting)
            result = roster.REFUSED if made is None else made.result
            settled = RosterResult(waiting.row.line, waiting.row.login, result, "" if made else reason)
            roster_imports.settle(connection, found, waiting.place, settled)
            if made is not None:
                now = self._clock.now()
                roll.enter(self._audit, connection, made, f"user:{found.user_id}", now=now)
        return True

    def _written(
        self, connection: Connection, enrolling: Roll, waiting: WaitingRow
    ) -> tuple[Enrolment | None, str]:
        """Write one person, or return why not; what failed undid itself alone."""
        try:
            with savepoint(connection):
                fields = roster.fields_of_row(waiting.row)
                return enrolling.write(connection, waiting.row.login, fields, now=self._clock.now()), ""
        except DependencyUnavailable:
            raise
        except ArchiveError as error:
            return None, str(error)

    def _permitted(self, found: Import) -> bool:
        try:
            scope = accounts.scope_of_user(self._catalogue, found.tenant_id, found.user_id)
        except NotFound:
            return False
        return may_administer(scope)

    def _end(self, connection: Connection, found: Import) -> None:
        now = self._clock.now()
        if not roster_imports.end(connection, found.tenant_id, found.id, now=now):
            return
        counts = roster_imports.counts_within(connection, found.tenant_id, found.id)
        self._audit.append(
            connection,
            tenant_id=found.tenant_id,
            actor=f"user:{found.user_id}",
            action="users.imported",
            object="users",
            body={"import": found.id, "rows": dict(counts)},
            at=now,
        )
        notifications.note(
            connection, found.tenant_id, found.user_id, notifications.Kind.IMPORT, found.id, now=now
        )


def add_imports(app: procrastinate.App, tenants: Callable[[], list[TenantId]], imports: Imports) -> None:
    """Add the jobs."""
    retry = UntilRebuilt(
        procrastinate.RetryStrategy(
            max_attempts=ATTEMPTS_MAX, exponential_wait=4, retry_exceptions=[DependencyUnavailable]
        )
    )

    @app.task(name=IMPORT, retry=retry)
    async def write(tenant_id: str, import_id: str) -> None:
        """Write the rows of an import."""
        await asyncio.to_thread(imports.write, TenantId(tenant_id), import_id)

    @app.task(name=SWEEP)
    async def sweep(timestamp: int) -> None:
        """Have written what nobody took up, and forget what is over."""
        for tenant_id in await asyncio.to_thread(tenants):
            for import_id in await asyncio.to_thread(imports.unfinished, tenant_id):
                lock = lock_of_import(import_id)
                task = app.configure_task(IMPORT, lock=lock, queueing_lock=f"{IMPORT}/{import_id}")
                with contextlib.suppress(AlreadyEnqueued):
                    await task.defer_async(tenant_id=tenant_id, import_id=import_id)
        log.debug("imports looked after", due_at=timestamp)
