"""Reminding of privacy requests before their last day, and again when that is over.

Each is reminded of once a week before and once when it is overdue: an entry in the audit log, a
warning of this process, and where mail is sent a letter to every administrator and auditor of the
organisation whose address was proved. The letter names nobody: it says how many days and
where to look.

Rules: done again and again without harm; what is noted and what is told stand in one transaction.
Not here: the clock of a request (`archive.data_subject`), when this runs (`retention.schedule`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, time

import procrastinate
import structlog

from archive.allowance import ZONE
from archive.audit import AuditWriter
from archive.catalogue import data_subjects, people
from archive.catalogue.data_subjects import Request
from archive.catalogue.engine import Catalogue, Connection
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.data_subject import today
from archive.errors import CatalogueUnavailable
from archive.model import TenantId
from archive.post import Letter
from retention.exports import ACTOR, Notices
from retention.rounds import around

log = structlog.get_logger()

REMIND = "retention.data_subjects_remind"
PAGE = "/data-subjects"
LANGUAGE = "nl"
"""Of those who are reminded no language is known; it is that of the country the law is of."""


class Reminders:
    """Reminds of requests that have to be answered; any number of processes may."""

    def __init__(
        self, catalogue: Catalogue, audit: AuditWriter, clock: Clock, notices: Notices | None = None
    ) -> None:
        """Remember what it stands on; without `notices` nobody is sent a mail."""
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._notices = notices

    def remind(self, tenant_id: TenantId) -> int:
        """Remind of the requests of a tenant that need it now; return of how many."""
        now = self._clock.now()
        queued: list[str] = []
        with self._audit.transaction(tenant_id) as connection:
            found = data_subjects.to_remind(connection, tenant_id, today(now))
            for request, stage in found:
                data_subjects.reminded(connection, request, stage)
                queued += self._letters(connection, request, stage)
                self._audit.append(
                    connection,
                    tenant_id=tenant_id,
                    actor=ACTOR,
                    action=f"data-subject.{stage}",
                    object=f"data-subject-request:{request.id}",
                    at=now,
                    body={"dueOn": request.due_on.isoformat()},
                )
        for request, stage in found:
            tell = log.error if stage == data_subjects.OVERDUE else log.warning
            tell("a privacy request has to be answered", request_id=request.id, stage=stage)
        for mail_id in queued:
            # A letter that could not be handed over is found by the workers themselves.
            with contextlib.suppress(CatalogueUnavailable):
                if self._notices is not None:
                    self._notices.post().hand_over(tenant_id, mail_id)
        return len(found)

    def _letters(self, connection: Connection, request: Request, stage: str) -> list[str]:
        """Queue the letters about a request in the caller's transaction; return their ids."""
        if self._notices is None:
            return []
        tenant = people.tenant_of(self._catalogue, request.tenant_id)
        fields = {
            "organisation": tenant.name,
            "link": f"{self._notices.url}{PAGE}/{request.id}",
            "endsAt": datetime.combine(request.due_on, time(12), ZONE).isoformat(),
        }
        made = []
        for address in data_subjects.supervisors(connection):
            letter = Letter(
                request.tenant_id, f"privacy-{stage}", address, LANGUAGE, fields, actor=f"service:{ACTOR}"
            )
            with translated_key_errors():
                made.append(self._notices.post().queue(connection, letter))
        return made


def add_reminders(
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], remind: Callable[[TenantId], int]
) -> None:
    """Add the job."""

    @app.task(name=REMIND, lock=REMIND, queueing_lock=REMIND)
    async def reminders(timestamp: int) -> None:
        """Remind of the privacy requests of every tenant that have to be answered."""
        done = await around(tenants, remind)
        log.debug("privacy requests looked after", due_at=timestamp, reminded=sum(done.values()))
