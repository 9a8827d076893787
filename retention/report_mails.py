"""Reports by mail: each period of a subscription is sent once, whatever restarts and whoever else looks.

The clock says look, a job looks. The row of a period (`archive.catalogue.report_subscriptions`) and
its mail are made in one transaction, so that none is sent twice and none forgotten: of two who
look at the same time the second finds the row. The report itself is made when the mail is sent, with
the rights its reader has then; to who stopped it meanwhile, or has another address, none goes. Who
may see it no longer when a period is due gets none: the subscription is paused, which the
log says once, and goes on with the next period when they see it again. Sending is the business of
`retention.mail`, which says what a worker that dies in the middle of it means.

Rules: blocking, for threads of the worker. Not here: whose numbers they are (`archive.reports.making`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import date, datetime

import procrastinate
import structlog

from archive import comma_separated
from archive.audit import AuditWriter
from archive.branding import Stationery
from archive.catalogue import accounts, audit_entries, people, report_subscriptions
from archive.catalogue.engine import Catalogue
from archive.catalogue.mails import Mail
from archive.catalogue.report_subscriptions import Due, Subscription
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.errors import CatalogueUnavailable, Conflict, NotFound, Refused
from archive.mail import Attachment
from archive.model import TenantId, UserId
from archive.post import Letter
from archive.reports import making, sheet, spreadsheet, words
from archive.reports.making import Asked
from archive.reports.period import Period
from archive.reports.report import Name
from retention.exports import Notices
from retention.rounds import around

log = structlog.get_logger()

DUE = "retention.reports_due"
KIND = "report"
PAGE = "/reports"
ACTOR = "service:worker"
PAUSED = "report-mail.paused"
GONE = "gone"
"""Why nothing is mailed to who is no longer there."""


class ReportMails:
    """Queues the reports that are due; any number of processes may."""

    def __init__(
        self, catalogue: Catalogue, audit: AuditWriter, clock: Clock, notices: Notices | None = None
    ) -> None:
        """Remember what it stands on; without `notices` nothing is mailed, and nothing is claimed."""
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._notices = notices

    def queue_due(self, tenant_id: TenantId) -> int:
        """Queue the mails of a tenant that are due and nobody queued; return how many."""
        if self._notices is None:
            return 0
        now = self._clock.now()
        with self._catalogue.transaction(tenant_id) as connection:
            found = report_subscriptions.due(connection, tenant_id, now)
        made = 0
        for each in found:
            # One that was ended since it was found has no row its period could hang from.
            with contextlib.suppress(Conflict):
                made += self._queue(each, self._notices, now)
        return made

    def _queue(self, found: Due, notices: Notices, now: datetime) -> bool:
        """Claim a period and queue its mail in one transaction; False when somebody else did."""
        subscription = found.subscription
        tenant_id = subscription.tenant_id
        denial = _denied(self._catalogue, subscription)
        if denial is not None:
            self._pause(found, denial, now)
            return False
        letter = _letter(found, people.tenant_of(self._catalogue, tenant_id).name, notices.url)
        with self._audit.transaction(tenant_id) as connection:
            if not report_subscriptions.claim(connection, found, now=now):
                return False  # somebody else queued it
            with translated_key_errors():
                mail_id = notices.post().queue(connection, letter)
            self._audit.append(
                connection,
                tenant_id=tenant_id,
                actor=ACTOR,
                action="report-mail.queued",
                object=f"report-mail:{subscription.id}",
                at=now,
                body={"report": subscription.wanted.name.value, "from": found.period.first.isoformat()},
            )
        with contextlib.suppress(CatalogueUnavailable):
            # A letter that could not be handed over is found by the workers themselves.
            notices.post().hand_over(tenant_id, mail_id)
        return True

    def _pause(self, found: Due, reason: str, now: datetime) -> None:
        """Let a period go by without a mail; the log says it of the first one."""
        subscription = found.subscription
        tenant_id, name = subscription.tenant_id, f"report-mail:{subscription.id}"
        with self._audit.transaction(tenant_id) as connection:
            if not report_subscriptions.claim(connection, found, now=now):
                return  # somebody else did
            if audit_entries.newest_action(connection, tenant_id, name) == PAUSED:
                return
            self._audit.append(
                connection,
                tenant_id=tenant_id,
                actor=ACTOR,
                action=PAUSED,
                object=name,
                at=now,
                body={"report": subscription.wanted.name.value, "reason": reason},
            )


def _denied(catalogue: Catalogue, subscription: Subscription) -> str | None:
    """Return why a reader may see their report no longer, None when they may."""
    try:
        scope = accounts.scope_of_user(catalogue, subscription.tenant_id, subscription.user_id)
    except NotFound:
        return GONE
    return making.denied(scope, subscription.wanted.name, subscription.wanted.team_id)


def require_wanted(catalogue: Catalogue, mail: Mail, fields: Mapping[str, str]) -> None:
    """Raise Refused for a report its reader stopped since it was queued, or has another address."""
    with catalogue.transaction(mail.tenant_id) as connection:
        # A mail an older release queued names none: it is out within half a day.
        named = fields.get("subscription")
        if named is not None and not report_subscriptions.goes_to(
            connection, mail.tenant_id, named, mail.recipient
        ):
            raise Refused("Its reader stopped this report, or has another address now.")


def attachment(
    catalogue: Catalogue, tenant_id: TenantId, fields: Mapping[str, str], paper: Stationery, *, now: datetime
) -> Attachment:
    """Return the report a mail carries, as its reader may see it now; raises Refused, NotFound.

    What is too long for a PDF comes as XLSX.
    """
    scope = accounts.scope_of_user(catalogue, tenant_id, UserId(fields["user"]))
    period = Period(date.fromisoformat(fields["from"]), date.fromisoformat(fields["to"]))
    asked = Asked(Name(fields["report"]), period, None, fields.get("team") or None)
    report = making.make(catalogue, scope, asked, now=now)
    form, language = fields["form"], fields["language"]
    if form == "pdf" and len(report.rows) > sheet.ROWS_MAX:
        form = "xlsx"
    name = f"{report.name}-{period.first}-{period.last}.{form}"
    if form == "csv":
        content = spreadsheet.comma_separated_values(report, language)
        return Attachment(name, comma_separated.MEDIA_TYPE, content)
    if form == "pdf":
        return Attachment(name, sheet.MEDIA_TYPE, sheet.page(report, paper, language))
    return Attachment(name, spreadsheet.XLSX, spreadsheet.workbook(report, language))


def _letter(found: Due, organisation: str, url: str) -> Letter:
    wanted, period = found.subscription.wanted, found.period
    days = f"from={period.first}&to={period.last}"
    team = f"&team={wanted.team_id}" if wanted.team_id else ""
    fields = {
        "organisation": organisation,
        "report": wanted.name.value,
        "named": words.TITLES[wanted.name][wanted.language],
        "period": words.period_of(period, wanted.language),
        "link": f"{url}{PAGE}/{wanted.name}?{days}{team}",
        "ending": f"{url}{PAGE}/mails",
        "subscription": found.subscription.id,
        "user": found.subscription.user_id,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "team": wanted.team_id or "",
        "form": wanted.form,
        "language": wanted.language,
    }
    return Letter(found.subscription.tenant_id, KIND, found.address, wanted.language, fields, actor=ACTOR)


def add_report_mails(
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], queue_due: Callable[[TenantId], int]
) -> None:
    """Add the job."""

    @app.task(name=DUE, lock=DUE, queueing_lock=DUE)
    async def reports_due(timestamp: int) -> None:
        """Queue the reports of every tenant that are due."""
        done = await around(tenants, queue_due)
        log.debug("reports are mailed", due_at=timestamp, queued=sum(done.values()))
