"""Exports of evidence over the API: asked for, looked after while they are made, fetched as one zip.

Rules: for auditors who signed in. A key may look at what there is and take nothing. Asking
is answered once it is written down; a worker makes the package. Each download has its
entry in the log before its first octet, and each recording in it one of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from uuid import UUID

import structlog
from aiohttp import web

from archive import jobs
from archive.access import AccessScope, Scope, may_take_evidence
from archive.audit import Json
from archive.catalogue import exports, recordings
from archive.catalogue.exports import RECORDINGS_COUNT_MAX, TEXT_CHARS_MAX, Export, ExportState
from archive.errors import DependencyUnavailable, NotFound, Refused
from archive.evidence.exports import Download
from archive.model import RecordingId
from playback_portal import documents, streaming
from playback_portal.authentication import authenticate
from playback_portal.language import mark
from playback_portal.parameters import Parameters, bounded_text, cursor, limit, read_body
from playback_portal.problems import Problem
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

NOT_ALLOWED = mark("Only an auditor who signed in takes recordings out as evidence.")
NOT_READY = mark("The package is not ready, or its week is over. Ask for it again.")

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
    """Ask for an export."""
    Parameters(request.query).check()
    body = await read_body(request)
    reference = body.need("reference", bounded_text(TEXT_CHARS_MAX, chars_min=1), "")
    purpose = body.need("purpose", bounded_text(TEXT_CHARS_MAX, chars_min=1), "")
    none: list[RecordingId] = []
    ids = body.need("recordingIds", _ids, none)
    body.check()
    made = await ask(request, reference, purpose, ids)
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
        "Content-Type": "application/zip",
        "Accept-Ranges": "bytes",
        "ETag": f'"{name}"',
        "Content-Disposition": f'attachment; filename="{file_name(export)}"',
    }
    return await streaming.send(request, _Package(download, scope), headers, _check_again)


async def ask(request: web.Request, reference: str, purpose: str, ids: Sequence[RecordingId]) -> Export:
    """Write an export down with its audit entry and hand it to a worker.

    Raises Refused for who may not or for what is out of bounds, NotFound for a recording
    the scope does not reach, Conflict for one export too many.
    """
    services, scope = request.app[SERVICES], request[SCOPE]
    user_id = scope.user_id
    if not may_take_evidence(scope) or user_id is None:
        raise Refused(NOT_ALLOWED)

    def write() -> Export:
        wanted = frozenset(ids)
        if recordings.reached(services.catalogue, scope, wanted, playable=True) != wanted:
            raise NotFound("There is no such recording, or its sound is not there.")
        told: dict[str, Json] = {"reference": reference, "purpose": purpose, "recordings": len(set(ids))}
        request[DETAILS] = told
        with request[ENTRY].transaction() as connection:
            made = exports.add(
                connection,
                scope.tenant_id,
                user_id,
                ids,
                reference=reference,
                purpose=purpose,
                now=services.clock.now(),
            )
            request[SUBJECT] = f"export:{made.id}"
        return made

    made = await asyncio.to_thread(write)
    try:
        await asyncio.to_thread(
            jobs.defer, services.database_url, jobs.EXPORT, tenant_id=scope.tenant_id, export_id=made.id
        )
    except DependencyUnavailable as error:
        # It is written down: the workers look for such exports by themselves.
        _log.warning("an export waits until a worker finds it", export_id=made.id, reason=str(error))
    return made


async def export_of(request: web.Request) -> Export:
    """Return the export the path names; raises NotFound."""
    services, scope = request.app[SERVICES], request[SCOPE]
    return await asyncio.to_thread(exports.get, services.catalogue, scope.tenant_id, recording_id_of(request))


def file_name(export: Export) -> str:
    """Return what a downloaded package is called: its day and id, and nothing anybody typed."""
    return f"earwitness-{export.asked_at.date().isoformat()}-{export.id[-12:]}.zip"


def document(export: Export) -> dict[str, Json]:
    """Return an export as the API shows it."""
    return {
        "id": export.id,
        "reference": export.reference,
        "purpose": export.purpose,
        "recordingIds": list(export.recording_ids),
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
    request[SCOPE] = await authenticate(request)
    if not may_take_evidence(request[SCOPE]):
        raise Refused(NOT_ALLOWED)


def _ids(value: Json) -> list[RecordingId]:
    problem = f"It is a list of 1 to {RECORDINGS_COUNT_MAX} ids of recordings."
    if not isinstance(value, list) or not 1 <= len(value) <= RECORDINGS_COUNT_MAX:
        raise ValueError(problem)
    try:
        return [RecordingId(str(UUID(str(each)))) for each in value]
    except ValueError:
        raise ValueError(problem) from None


EXPORT_ROUTES = (
    Route("GET", "/v1/exports", list_exports, Scope.EVIDENCE, "exports.listed"),
    Route("POST", "/v1/exports", post_export, Scope.EVIDENCE, "export.asked"),
    Route("GET", "/v1/exports/{id}", get_export, Scope.EVIDENCE, "export.viewed", "export"),
    Route("GET", "/v1/exports/{id}/package", get_package, Scope.EVIDENCE, "export.downloaded", "export"),
)
