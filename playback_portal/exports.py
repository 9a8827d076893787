"""Exports of evidence over the API: asked for, looked after while they are made, fetched as one zip.

Rules: for auditors who signed in. A key may look at what there is and take nothing. Asking
is answered once it is written down; a worker makes the package. Each download has its
entry in the log before its first octet, and each recording in it one of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

import structlog
from aiohttp import web

from archive import jobs
from archive.access import AccessScope, Scope, may_take_evidence
from archive.approval import Kind, Proposal, Wanted
from archive.audit import Json
from archive.catalogue import approved, exports, identities, policies, recordings
from archive.catalogue.exports import (
    RECORDINGS_COUNT_MAX,
    TEXT_CHARS_MAX,
    Container,
    Export,
    ExportState,
    Order,
)
from archive.catalogue.identities import Account
from archive.errors import Conflict, DependencyUnavailable, NotFound, Refused
from archive.evidence.asic import MEDIA_TYPE, SUFFIX
from archive.evidence.exports import Download
from archive.model import RecordingId, UserId, new_id
from playback_portal import documents, streaming
from playback_portal.authentication import authenticate_again
from playback_portal.language import language_of, mark
from playback_portal.parameters import Parameters, bounded_text, cursor, limit, read_body
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.proposal import propose, waiting_response
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, is_recording_id, recording_id_of

NOT_ALLOWED = mark("Only an auditor who signed in takes recordings out as evidence.")
NOT_READY = mark("The package is not ready, or its week is over. Ask for it again.")

DAY = timedelta(days=1)
"""Within it all exports of a person count together: many small ones are a large one."""

_log = structlog.get_logger()


async def list_exports(request: web.Request) -> web.StreamResponse:
    """Answer with exports, newest first."""
    parameters = Parameters(request.query)
    after, count = parameters.read("cursor", cursor, None), limit(parameters)
    parameters.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    page = await asyncio.to_thread(
        exports.page, services.catalogue, scope.tenant_id, limit=count, cursor=after
    )
    return documents.list_response(request, [document(each) for each in page.items], page.next)


async def get_export(request: web.Request) -> web.StreamResponse:
    """Answer with one export and how far it is."""
    Parameters(request.query).check()
    return documents.json_response(document(await export_of(request)))


async def post_export(request: web.Request) -> web.StreamResponse:
    """Ask for an export, of recordings or of a case."""
    Parameters(request.query).check()
    body = await read_body(request)
    reference = body.need("reference", bounded_text(TEXT_CHARS_MAX, chars_min=1), "")
    purpose = body.need("purpose", bounded_text(TEXT_CHARS_MAX, chars_min=1), "")
    container = body.read("container", _container, Container.ZIP)
    none: tuple[RecordingId, ...] = ()
    ids = body.read("recordingIds", _ids, none)
    case_id = body.read("caseId", _case_id, None)
    body.check()
    if (not ids) == (case_id is None):
        raise wrong_parameters(ParameterFault("/recordingIds", "Name recordings or a case, one of the two."))
    made = await ask(request, Order(ids, reference, purpose, container, case_id=case_id))
    if isinstance(made, Proposal):
        return waiting_response(made)
    response = documents.json_response(document(made), {"Location": f"/v1/exports/{made.id}"})
    response.set_status(HTTPStatus.ACCEPTED)
    return response


async def get_package(request: web.Request) -> web.StreamResponse:
    """Answer with the package of an export, or a range of it."""
    Parameters(request.query).check()
    export = await export_of(request)
    scope, services = request[SCOPE], request.app[SERVICES]
    if not may_take_evidence(scope):
        await request[ENTRY].make("refused")
        raise Refused(NOT_ALLOWED)
    if export.state is not ExportState.READY:
        raise Problem(HTTPStatus.CONFLICT, "not-ready", NOT_READY)

    def opened() -> Download:
        download = services.downloads.open(export)
        download.check(scope)
        return download

    try:
        download = await asyncio.to_thread(opened)
    except NotFound as error:
        raise Problem(HTTPStatus.CONFLICT, "not-ready", NOT_READY) from error
    await request[ENTRY].make("ok")
    name = hashlib.sha256(f"{export.id}/{export.size_bytes}".encode()).hexdigest()
    headers = {
        "Content-Type": media_type(export),
        "Accept-Ranges": "bytes",
        "ETag": f'"{name}"',
        "Content-Disposition": f'attachment; filename="{file_name(export)}"',
    }
    return await streaming.send(request, _Package(download, scope), headers, _check_again)


async def ask(request: web.Request, order: Order) -> Export | Proposal:
    """Write an export down with its audit entry and hand it to a worker; propose it when it is too much.

    Too much is what makes more recordings in a day than one person takes out alone.

    An order of a case gets the recordings of it that have sound, in the transaction that writes it
    down. Raises Refused for who may not or for what is out of bounds, NotFound for a recording
    the scope does not reach, Conflict for one export too many or a case without sound.
    """
    scope = request[SCOPE]
    user_id = scope.user_id
    if not may_take_evidence(scope) or user_id is None:
        raise Refused(NOT_ALLOWED)
    wanted = replace(order, language=language_of(request).value)
    made = await asyncio.to_thread(_write_down, request, user_id, wanted)
    if isinstance(made, Export):
        await hand_over(request, made)
    return made


async def hand_over(request: web.Request, export: Export) -> None:
    """Have a worker make an export that is written down; if none can be told now, one finds it by itself."""
    url, tenant_id = request.app[SERVICES].database_url, request[SCOPE].tenant_id
    try:
        await asyncio.to_thread(jobs.defer, url, jobs.EXPORT, tenant_id=tenant_id, export_id=export.id)
    except DependencyUnavailable as error:
        _log.warning("an export waits until a worker finds it", export_id=export.id, reason=str(error))


def _write_down(request: web.Request, user_id: UserId, order: Order) -> Export | Proposal:
    services, scope = request.app[SERVICES], request[SCOPE]
    if order.case_id is None:
        wanted = frozenset(order.recording_ids)
        if recordings.reached(services.catalogue, scope, wanted, playable=True) != wanted:
            raise NotFound("There is no such recording, or its sound is not there.")
    with request[ENTRY].transaction() as connection:
        if order.case_id is not None:
            ids, left_out = exports.of_case(connection, scope.tenant_id, order.case_id)
            if not ids:
                raise Conflict("The case holds no recording with sound that could be exported.")
            order = replace(order, recording_ids=ids, left_out=left_out)
        told: dict[str, Json] = {
            "reference": order.reference,
            "purpose": order.purpose,
            "recordings": len(set(order.recording_ids)),
            "container": order.container.value,
        }
        if order.case_id is not None:
            told |= {"case": order.case_id, "left_out": order.left_out}
        request[DETAILS] = told
        now = services.clock.now()
        alone_max = policies.policy_within(connection, scope.tenant_id).exports_alone_max
        taken = exports.taken_alone(connection, scope.tenant_id, user_id, since=now - DAY)
        if taken + len(set(order.recording_ids)) > alone_max:
            subject = f"export:{new_id(now)}"
            asked = Wanted(Kind.MASS_EXPORT, subject, approved.parameters_of(order), order.purpose)
            return propose(request, connection, asked)
        order = replace(order, mail_to=identities.email_of(connection, Account(scope.tenant_id, user_id)))
        made = exports.add(connection, scope.tenant_id, user_id, order, now=now)
        request[SUBJECT] = f"export:{made.id}"
    return made


async def export_of(request: web.Request) -> Export:
    """Return the export the path names; raises NotFound."""
    services, scope = request.app[SERVICES], request[SCOPE]
    return await asyncio.to_thread(exports.get, services.catalogue, scope.tenant_id, recording_id_of(request))


def file_name(export: Export) -> str:
    """Return what a downloaded package is called: its day and id, and nothing anybody typed."""
    suffix = SUFFIX if export.container is Container.ASICE else ".zip"
    return f"earwitness-{export.asked_at.date().isoformat()}-{export.id[-12:]}{suffix}"


def media_type(export: Export) -> str:
    """Return what kind of file a package is."""
    return MEDIA_TYPE if export.container is Container.ASICE else "application/zip"


def document(export: Export) -> dict[str, Json]:
    """Return an export as the API shows it."""
    return {
        "id": export.id,
        "reference": export.reference,
        "purpose": export.purpose,
        "recordingIds": list(export.recording_ids),
        "caseId": export.case_id,
        "leftOut": export.left_out,
        "container": export.container.value,
        "state": export.state.value,
        "done": export.done,
        "total": len(export.recording_ids),
        "sizeBytes": export.size_bytes,
        "reason": export.reason,
        "askedBy": export.user_id,
        "askedAt": documents.time_of(export.asked_at),
        "readyAt": None if export.ready_at is None else documents.time_of(export.ready_at),
        "endsAt": documents.time_of(export.ends_at),
    }


class _Package:
    """The zip of one export as octets that are sent."""

    def __init__(self, download: Download, scope: AccessScope) -> None:
        self._download = download
        self._scope = scope

    @property
    def length(self) -> int:
        return self._download.size_bytes

    def pieces(self, first: int, last_exclusive: int) -> Iterator[bytes]:
        # An empty piece would look like the end: a file without octets has one.
        return (piece for piece in self._download.chunks(self._scope, first, last_exclusive) if piece)


async def _check_again(request: web.Request) -> None:
    request[SCOPE] = await authenticate_again(request)
    if not may_take_evidence(request[SCOPE]):
        raise Refused(NOT_ALLOWED)


def _container(value: Json) -> Container:
    try:
        return Container(str(value))
    except ValueError:
        raise ValueError(f"It is one of {', '.join(Container)}.") from None


def _case_id(value: Json) -> str:
    text = bounded_text(36)(value)
    if not is_recording_id(text):
        raise ValueError("It is the id of a case.")
    return text


def _ids(value: Json) -> tuple[RecordingId, ...]:
    problem = f"It is a list of 1 to {RECORDINGS_COUNT_MAX} ids of recordings."
    if not isinstance(value, list) or not 1 <= len(value) <= RECORDINGS_COUNT_MAX:
        raise ValueError(problem)
    try:
        return tuple(RecordingId(str(UUID(str(each)))) for each in value)
    except ValueError:
        raise ValueError(problem) from None


EXPORT_ROUTES = (
    Route("GET", "/v1/exports", list_exports, Scope.EVIDENCE, "exports.listed"),
    Route("POST", "/v1/exports", post_export, Scope.EVIDENCE, "export.asked"),
    Route("GET", "/v1/exports/{id}", get_export, Scope.EVIDENCE, "export.viewed", "export"),
    Route("GET", "/v1/exports/{id}/package", get_package, Scope.EVIDENCE, "export.downloaded", "export"),
)
