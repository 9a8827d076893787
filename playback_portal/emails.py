"""Mail about a recording over the API: a play link, or the recording as a file.

Answered as soon as the mail is written down; a worker sends it, and the list tells what
became of it.

Rules: a link takes the right to share as well as the right to mail. A file leaves only
where the tenant lets files out, and only one a mail can carry.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope, may_email, needs_purpose
from archive.audit import Json
from archive.catalogue import mails, people, share_policies
from archive.catalogue.mails import Mail
from archive.catalogue.share_policies import DAYS_MAX
from archive.catalogue.shares import Proof
from archive.errors import PurposeRequired, Refused
from archive.ingest import object_of
from archive.mail import ATTACHMENT_BYTES_MAX
from archive.model import PLAYABLE_STATES, ArchivedRecording, ObjectKind, Recording
from archive.post import Letter
from playback_portal import documents, outbox, shares
from playback_portal.language import Language, language_of, mark
from playback_portal.parameters import (
    Parameters,
    bounded_text,
    json_whole_number,
    json_word_of,
    read_body,
)
from playback_portal.purposes import purpose_of
from playback_portal.recordings import archived_recording, not_playable
from playback_portal.route import DETAILS, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES
from playback_portal.shares import MESSAGE_CHARS_MAX, Wish, email_address, title_text

NO_FILES = mark("Your organisation sends no recordings as files. Share a play link instead.")
TOO_LONG = mark("This recording is too long for a mail. Share a play link instead.")


class Form(StrEnum):
    """What a mail brings."""

    LINK = "link"
    FILE = "file"


class FileFormat(StrEnum):
    """The form of a recording as a file."""

    FLAC = "flac"
    WAV = "wav"


async def list_emails(request: web.Request) -> web.StreamResponse:
    """Answer with the mails about a recording, newest first."""
    Parameters(request.query).check()
    services, recording = request.app[SERVICES], (await archived_recording(request)).recording
    found = await asyncio.to_thread(mails.of_recording, services.catalogue, recording.tenant_id, recording.id)
    return documents.list_response(request, [document(each) for each in found], None)


async def post_email(request: web.Request) -> web.StreamResponse:
    """Write a mail about a recording down."""
    Parameters(request.query).check()
    body = await read_body(request)
    to = body.need("to", email_address, "")
    form = body.read("form", json_word_of(Form), Form.LINK)
    file_format = body.read("format", json_word_of(FileFormat), FileFormat.FLAC)
    title = body.read("title", title_text, "")
    days = body.read("days", json_whole_number(1, DAYS_MAX), None)
    text = body.read("message", bounded_text(MESSAGE_CHARS_MAX), "")
    body.check()
    archived, language = await archived_recording(request), language_of(request)
    if form is Form.FILE:
        await send_file(request, archived, to=to, file_format=file_format, text=text, language=language)
    else:
        # A PIN would be told to nobody: the answer is that a mail was asked for.
        wish = Wish(title=title, days=days, to=to, message=text, proof_of_policy=Proof.EMAIL)
        await shares.make(request, archived, wish, language)
    response = documents.json_response({"to": to, "form": form.value})
    response.set_status(HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/v1/recordings/{archived.recording.id}/emails"
    return response


async def send_file(
    request: web.Request,
    archived: ArchivedRecording,
    *,
    to: str,
    file_format: FileFormat,
    text: str,
    language: Language,
) -> None:
    """Have a recording sent as a file; raises Refused, PurposeRequired or the 409 Problem."""
    services, scope, recording = request.app[SERVICES], request[SCOPE], archived.recording
    if recording.state not in PLAYABLE_STATES:
        raise not_playable(recording.state)
    if not may_email(scope, recording):
        raise Refused("You may not send this recording by mail: ask the administrator for the right.")
    policy = await asyncio.to_thread(share_policies.policy_of, services.catalogue, scope.tenant_id)
    if not policy.files_allowed:
        raise Refused(NO_FILES)
    if _file_bytes(archived, file_format) > ATTACHMENT_BYTES_MAX:
        raise Refused(TOO_LONG)
    purpose = await purpose_of(request, recording.id)
    if purpose is None and needs_purpose(scope, recording):
        raise PurposeRequired("This recording is somebody else's: say what you send it for.")
    told: dict[str, Json] = {"to": to, "form": Form.FILE.value, "format": file_format.value}
    request[DETAILS] = {**told, **({} if purpose is None else {"purpose": purpose})}
    fields = {"format": file_format.value, "message": text}
    mail_id = await asyncio.to_thread(_write_down, request, recording, to, fields, language)
    await outbox.hand_over(services, scope.tenant_id, mail_id)


def document(mail: Mail) -> dict[str, Json]:
    """Return a mail as the API shows it, without what it says."""
    return {
        "id": mail.id,
        "to": mail.recipient,
        "form": Form.FILE.value if mail.kind == Form.FILE else Form.LINK.value,
        "state": mail.state.value,
        "reason": mail.reason,
        "attempts": mail.attempts,
        "queuedAt": documents.time_of(mail.queued_at),
        "settledAt": None if mail.settled_at is None else documents.time_of(mail.settled_at),
        "sender": mail.actor,
    }


def _file_bytes(archived: ArchivedRecording, file_format: FileFormat) -> int:
    """Return how large the file is: of FLAC as archived, of WAV as its samples are many."""
    recording = archived.recording
    if file_format is FileFormat.FLAC:
        return object_of(archived, ObjectKind.AUDIO).plaintext_bytes
    samples = recording.duration_ms * recording.sample_rate_hz // 1000
    return samples * 2 * max(len(recording.channels), 1)


def _write_down(
    request: web.Request, recording: Recording, to: str, fields: dict[str, str], language: Language
) -> str:
    """Queue the letter that carries a file, with its audit entry; return the letter's id."""
    services, scope = request.app[SERVICES], request[SCOPE]
    organisation = people.tenant_of(services.catalogue, scope.tenant_id).name
    said = {**fields, "organisation": organisation, "startedAt": documents.time_of(recording.started_at)}
    letter = Letter(scope.tenant_id, "file", to, language.value, said, recording.id, scope.actor)
    with request[ENTRY].transaction() as connection:
        return outbox.queue(services, connection, letter)


EMAIL_ROUTES = (
    Route("GET", "/v1/recordings/{id}/emails", list_emails, Scope.RECORDINGS_READ, "mails.listed"),
    Route("POST", "/v1/recordings/{id}/emails", post_email, Scope.RECORDINGS_EMAIL, "mail.queued"),
)
