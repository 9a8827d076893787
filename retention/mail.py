"""Sending mails: each once as far as can be known, tried again while the mail server is away.

A mail with a recording in it is judged once more when it is sent: whether its sender may
(still) send it and the tenant lets files out. Its audit entry is durable before it leaves
(invariant I9). One that tells what happened is judged by whether its reader still wants it and may
still know (`retention.notifications`). Who gets the same mail twice, because a worker died between
sending and writing it down, gets it under the same Message-ID.

Rules: blocking, for one thread of the worker. Not here: the words (`retention.letters`), how they
look (`retention.letter_paper`), the connection (`archive.mail`), when it is tried again (`retention.worker`).
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import soundfile
import structlog

from archive.access import AccessScope, may_email
from archive.audit import AuditWriter
from archive.branding import Stationery
from archive.catalogue import accounts, brandings, mails, recordings, share_policies
from archive.catalogue.engine import Catalogue
from archive.catalogue.mails import ATTEMPTS_MAX, Mail, MailState
from archive.clock import Clock
from archive.data_key import translated_key_errors
from archive.errors import (
    CatalogueUnavailable,
    Conflict,
    DependencyUnavailable,
    NotFound,
    Refused,
    VerificationFailed,
)
from archive.mail import ATTACHMENT_BYTES_MAX, Attachment, MailServer, message, send
from archive.model import ArchivedRecording, ObjectKind, TenantId, UserId
from archive.shared import Derivatives
from keys.root import Root
from retention import letter_paper, notifications, report_mails
from retention.letters import filled

ACTOR = "service:worker"
FILE = "file"
FLAC, WAV = "flac", "wav"
NOTED_WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Between tries to note that a mail left: longer than a database takes to start again, as a rule."""

OVERDUE = "It could not be sent for days."

_log = structlog.get_logger()


class Mailer:
    """Sends what is queued; any number of processes may."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by its one caller
        self,
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        server: MailServer | None,
        root: Callable[[], Root],
        audio: Callable[[], Derivatives],
        hand_over: Callable[[MailServer, EmailMessage], Awaitable[None]] = send,
    ) -> None:
        """Remember what it stands on; `root` and `audio` are asked for when a mail needs them."""
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._server = server
        self._root = root
        self._audio = audio
        self._hand_over = hand_over

    def send(self, tenant_id: TenantId, mail_id: str) -> None:
        """Send a mail, once; raises DependencyUnavailable when it is to be tried again.

        One that can't be sent is given up, with the reason, and nothing is raised.
        """
        mail = mails.begin(self._catalogue, tenant_id, mail_id)
        if mail is None:
            return
        try:
            self._send(mail)
        except DependencyUnavailable as error:
            if mail.attempts < ATTEMPTS_MAX:
                mails.note(self._catalogue, mail, str(error))
                raise
            self._settle(mail, MailState.FAILED, str(error))
        except (Refused, NotFound, Conflict, VerificationFailed) as error:
            self._settle(mail, MailState.FAILED, str(error))
        except Exception as error:
            # Our own fault: nothing would try it again, and what it says would stay for ever.
            self._settle(mail, MailState.FAILED, f"It could not be made ({type(error).__name__}).")
            raise
        else:
            self._note_sent(mail)

    def _note_sent(self, mail: Mail) -> None:
        """Note that a mail left; a database that is away for a moment must not make it leave twice."""
        for wait_s in NOTED_WAITS_S:
            try:
                self._settle(mail, MailState.SENT)
            except CatalogueUnavailable:
                time.sleep(wait_s)
            else:
                return
        self._settle(mail, MailState.SENT)

    def forgotten(self, tenant_id: TenantId) -> list[str]:
        """Return the mails of a tenant nobody took up; what waits for days is given up, what is old goes."""
        now = self._clock.now()
        for mail in mails.overdue(self._catalogue, tenant_id, now=now):
            self._settle(mail, MailState.FAILED, OVERDUE)
        mails.sweep(self._catalogue, tenant_id, now=now)
        return mails.forgotten(self._catalogue, tenant_id, now=now)

    def _send(self, mail: Mail) -> None:
        if self._server is None:
            raise Refused("No mail is sent from here: set EARWITNESS_SMTP_URL.")
        with translated_key_errors():
            fields = mails.fields_of(self._root(), mail)
        if mail.kind in notifications.PAGES:
            notifications.require_told(
                self._catalogue,
                mail.tenant_id,
                mail.kind,
                mail.recipient,
                fields,
                now=self._clock.now(),
            )
        paper = brandings.stationery_of(self._catalogue, mail.tenant_id)
        if "organisation" in fields:
            # As it calls itself when the mail leaves; what was written down may be of another name.
            fields["organisation"] = paper.organisation
        said = filled(mail.kind, mail.language, fields)
        attachments: tuple[Attachment, ...] = ()
        if mail.kind == FILE:
            attachments = (self._attachment(mail, fields),)
        if mail.kind == report_mails.KIND:
            attachments = (self._report(mail, fields, paper),)
        written = message(
            self._server,
            mail.recipient,
            said.subject,
            letter_paper.text(said, paper, mail.language),
            mail_id=mail.id,
            language=mail.language,
            at=self._clock.now(),
            markup=letter_paper.page(said, paper, mail.language),
            attachments=attachments,
        )
        asyncio.run(self._handed_over(self._server, written))

    async def _handed_over(self, server: MailServer, written: EmailMessage) -> None:
        await self._hand_over(server, written)

    def _attachment(self, mail: Mail, fields: dict[str, str]) -> Attachment:
        """Return the recording as a file once its audit entry is durable; raises Refused, NotFound."""
        scope, form = self._sender(mail), fields.get("format", FLAC)
        if mail.recording_id is None:
            raise Refused("This mail names no recording.")
        archived = recordings.get(self._catalogue, scope, mail.recording_id)
        policy = share_policies.policy_of(self._catalogue, mail.tenant_id)
        if not policy.files_allowed or not may_email(scope, archived.recording):
            self._enter(mail, "recording.mailed", "refused")
            raise Refused("Its sender may send this recording no longer.")
        content = self._content(archived, form)
        self._enter(mail, "recording.mailed", "ok")
        return Attachment(f"{archived.recording.id}.{form}", f"audio/{form}", content)

    def _report(self, mail: Mail, fields: dict[str, str], paper: Stationery) -> Attachment:
        """Return the report a mail carries once its audit entry is durable; raises Refused, NotFound."""
        report_mails.require_wanted(self._catalogue, mail, fields)
        made = report_mails.attachment(self._catalogue, mail.tenant_id, fields, paper, now=self._clock.now())
        self._enter(mail, "report.mailed", "ok")
        return made

    def _content(self, archived: ArchivedRecording, form: str) -> bytes:
        reader = self._audio().source(archived, ObjectKind.AUDIO)
        if reader.length > ATTACHMENT_BYTES_MAX:
            raise Refused("The recording is too long for a mail: share a play link.")
        content = b"".join(reader.chunks(0, reader.length))
        return content if form == FLAC else wav_of(content)

    def _sender(self, mail: Mail) -> AccessScope:
        kind, _, name = mail.actor.partition(":")
        if kind == "user":
            return accounts.scope_of_user(self._catalogue, mail.tenant_id, UserId(name))
        return accounts.scope_of_client(self._catalogue, mail.tenant_id, name)

    def _settle(self, mail: Mail, state: MailState, reason: str = "") -> None:
        """Note what became of a mail, with its audit entry."""
        with self._audit.transaction(mail.tenant_id) as connection:
            mails.settle(connection, mail, state, now=self._clock.now(), reason=reason)
            self._audit.append(
                connection,
                tenant_id=mail.tenant_id,
                actor=ACTOR,
                action=f"mail.{state.value}",
                object=_object(mail),
                at=self._clock.now(),
                body={"mail": mail.id, "kind": mail.kind, "attempts": mail.attempts, "reason": reason},
            )
        _log.info("mail settled", mail_id=mail.id, kind=mail.kind, state=state.value, reason=reason)

    def _enter(self, mail: Mail, action: str, result: str) -> None:
        with self._audit.transaction(mail.tenant_id) as connection:
            self._audit.append(
                connection,
                tenant_id=mail.tenant_id,
                actor=mail.actor,
                action=action,
                object=_object(mail),
                result=result,
                at=self._clock.now(),
                body={"mail": mail.id, "to": mail.recipient},
            )


def wav_of(flac: bytes) -> bytes:
    """Return a FLAC as WAV; raises Refused when it is too long for a mail, VerificationFailed for no FLAC."""
    content = io.BytesIO()
    try:
        with soundfile.SoundFile(io.BytesIO(flac)) as sound:
            if sound.frames * sound.channels * 2 > ATTACHMENT_BYTES_MAX:
                raise Refused("The recording is too long for a mail as WAV: send FLAC or share a play link.")
            samples = sound.read(dtype="int16", always_2d=True)
            soundfile.write(content, samples, sound.samplerate, format="WAV", subtype="PCM_16")
    except soundfile.SoundFileError:
        raise VerificationFailed(
            "The recording can't be decoded for a WAV: send FLAC, and report it."
        ) from None
    return content.getvalue()


def _object(mail: Mail) -> str:
    return f"mail:{mail.id}" if mail.recording_id is None else f"recording:{mail.recording_id}"
