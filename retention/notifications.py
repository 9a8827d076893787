"""Telling people by mail what happened that is about them, as they chose to be told.

The clock says look, a job looks. What nobody did and only time tells, a play link that ends or a
day on which others listened, is noted first. Then each notification is settled in the transaction that
queues its mail (`archive.catalogue.notifications`): of two workers one makes it. Whether its reader
still wants it, and still may know of it, is asked when the mail is made and again when it leaves
(`require_told`): a mail server that was away for hours hands out nothing that was taken back.

Rules: a mail says that something happened and where to look after signing in: no name, no number
and no word of a call. Not here: the words (`retention.letters`), sending (`retention.mail`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final

import procrastinate
import structlog

from archive import shared
from archive.access import AccessScope, may_administer, may_evaluate, may_read
from archive.allowance import ZONE
from archive.audit import AuditWriter
from archive.catalogue import accounts, evaluations, heard, notifications, people, recordings, shares
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.notifications import Kind, Notification
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.errors import CatalogueUnavailable, NotFound, Refused
from archive.model import RecordingId, TenantId, UserId
from archive.post import Letter
from retention.exports import Notices
from retention.rounds import around

log = structlog.get_logger()

DUE = "retention.notifications_due"
ACTOR = "service:worker"

PAGES: Final[Mapping[Kind, str]] = {
    Kind.REPLY: "/recordings/{recording}",
    Kind.EVALUATION: "/evaluations/{about}",
    Kind.SETTLEMENT: "/evaluations/{about}",
    Kind.OBJECTION: "/recordings/{recording}",
    Kind.HEARD: "/me/heard",
    Kind.LINK_OPENED: "/shares",
    Kind.LINK_ENDS: "/shares",
    Kind.IMPORT: "/admin/users/import/{about}",
    Kind.MINUTES: "/admin/licences",
}
"""Where it is read of each; exports have letters of their own (`retention.exports`)."""

CHOOSING = "/me"


class Notifications:
    """Queues the mails about what happened; any number of processes may."""

    def __init__(
        self, catalogue: Catalogue, audit: AuditWriter, clock: Clock, notices: Notices | None = None
    ) -> None:
        """Remember what it stands on; without `notices` nobody is told, and what is old is forgotten."""
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._notices = notices

    def queue_due(self, tenant_id: TenantId) -> int:
        """Queue the mails of a tenant that are due; return how many."""
        now = self._clock.now()
        with self._catalogue.transaction(tenant_id) as connection:
            notifications.sweep(connection, tenant_id, now=now)
        if self._notices is None:
            return 0
        self._note_what_time_tells(tenant_id, now)
        queued: list[str] = []
        organisation = people.tenant_of(self._catalogue, tenant_id).name
        with self._audit.transaction(tenant_id) as connection:
            for each in notifications.waiting(connection, tenant_id, now=now):
                queued += self._tell(connection, each, self._notices, organisation, now)
        for mail_id in queued:
            # A letter that could not be handed over is found by the workers themselves.
            with contextlib.suppress(CatalogueUnavailable):
                self._notices.post().hand_over(tenant_id, mail_id)
        return len(queued)

    def _note_what_time_tells(self, tenant_id: TenantId, now: datetime) -> None:
        with self._catalogue.transaction(tenant_id) as connection:
            for user_id in notifications.who_wants(connection, tenant_id, Kind.LINK_ENDS):
                notifications.note_ending_links(connection, tenant_id, user_id, now=now)
            notifications.note_minutes(connection, tenant_id, now=now)
            curious = notifications.who_wants(connection, tenant_id, Kind.HEARD)
        for user_id in curious:
            self._note_heard(tenant_id, user_id, now)

    def _note_heard(self, tenant_id: TenantId, user_id: UserId, now: datetime) -> None:
        """Note once of each day that is over whether others listened to somebody's recordings on it."""
        today = now.astimezone(ZONE).date()
        since, until = _beginning(today - timedelta(days=1)), _beginning(today)
        about = (today - timedelta(days=1)).isoformat()
        with self._catalogue.transaction(tenant_id) as connection:
            if notifications.is_noted(connection, tenant_id, user_id, Kind.HEARD, about):
                return
        found, _ = heard.by_others(self._catalogue, tenant_id, user_id, since=since)
        was_heard = any(entry.at < until for each in found for entry in each.entries)
        with self._catalogue.transaction(tenant_id) as connection:
            notifications.note(
                connection, tenant_id, user_id, Kind.HEARD, about, settled=not was_heard, now=now
            )

    def _tell(
        self,
        connection: Connection,
        told: Notification,
        notices: Notices,
        organisation: str,
        now: datetime,
    ) -> list[str]:
        """Queue the mail about one thing in the caller's transaction; return its id, or nothing."""
        address = notifications.address_of(connection, told.user_id)
        fresh = told.noted_at > now - notifications.WAITED_MAX
        if address is None or not fresh or not may_know(self._catalogue, told, now=now):
            notifications.settle(connection, told, mailed=False, now=now)
            return []
        if not notifications.has_room(connection, told, now=now):
            return []
        language = notifications.choices_of(connection, told.tenant_id, told.user_id).language
        page = PAGES[told.kind].format(recording=told.recording_id or "", about=told.about)
        fields = {
            "organisation": organisation,
            "link": f"{notices.url}{page}",
            "choosing": f"{notices.url}{CHOOSING}",
            "user": told.user_id,
            "about": told.about,
            "recording": told.recording_id or "",
            "startedAt": told.noted_at.isoformat(),
        }
        if told.kind is Kind.HEARD:
            fields["startedAt"] = _beginning(date.fromisoformat(told.about)).isoformat()
        # Not a mail about a recording: who sees that one's mails need not know who is told what.
        letter = Letter(told.tenant_id, told.kind.value, address, language, fields, actor=ACTOR)
        with translated_key_errors():
            mail_id = notices.post().queue(connection, letter)
        notifications.settle(connection, told, mailed=True, now=now)
        self._audit.append(
            connection,
            tenant_id=told.tenant_id,
            actor=ACTOR,
            action="notification.queued",
            object=f"user:{told.user_id}",
            at=now,
            body={"kind": told.kind.value, "mail": mail_id},
        )
        return [mail_id]


def may_know(catalogue: Catalogue, told: Notification, *, now: datetime) -> bool:
    """Return whether a person wants to be told of something now, and may know of it now."""
    with catalogue.transaction(told.tenant_id) as connection:
        if not notifications.choices_of(connection, told.tenant_id, told.user_id).wanted[told.kind]:
            return False
    try:
        scope = accounts.scope_of_user(catalogue, told.tenant_id, told.user_id)
        return _may(catalogue, scope, told, now)
    except NotFound:
        return False


def require_told(
    catalogue: Catalogue,
    tenant_id: TenantId,
    kind: str,
    recipient: str,
    fields: Mapping[str, str],
    *,
    now: datetime,
) -> None:
    """Raise Refused for a mail about what its reader does not want, or may not know, any more."""
    user_id = UserId(fields["user"])
    recording_id = RecordingId(fields["recording"]) if fields["recording"] else None
    told = Notification("", tenant_id, user_id, Kind(kind), fields["about"], recording_id, now)
    with catalogue.transaction(tenant_id) as connection:
        address = notifications.address_of(connection, user_id)
    if address != recipient or not may_know(catalogue, told, now=now):
        raise Refused("Its reader wants this no more, or may know of it no more.")


def _may(catalogue: Catalogue, scope: AccessScope, told: Notification, now: datetime) -> bool:
    if told.kind in {Kind.EVALUATION, Kind.SETTLEMENT}:
        # Whom it is about sees it without hearing the recording.
        return evaluations.concerns(catalogue, told.tenant_id, told.about, told.user_id)
    if told.kind in {Kind.IMPORT, Kind.MINUTES}:
        return may_administer(scope)
    if told.kind in {Kind.HEARD, Kind.EXPORT}:
        return True
    if told.kind in {Kind.LINK_OPENED, Kind.LINK_ENDS}:
        share = shares.get(catalogue, scope, told.about)
        shared.standing(catalogue, share, now=now)
        return True
    recording = recordings.get(catalogue, scope, told.recording_id or RecordingId("")).recording
    if told.kind is Kind.OBJECTION:
        return may_evaluate(scope, recording)
    return may_read(scope, recording)


def _beginning(day: date) -> datetime:
    """Return when a local day begins."""
    return datetime.combine(day, time(), ZONE)


def add_notifications(
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], queue_due: Callable[[TenantId], int]
) -> None:
    """Add the job."""

    @app.task(name=DUE, lock=DUE, queueing_lock=DUE)
    async def notifications_due(timestamp: int) -> None:
        """Queue the mails of every tenant about what happened."""
        done = await around(tenants, queue_due)
        log.debug("people are told what happened", due_at=timestamp, queued=sum(done.values()))
