"""Recordings of nobody we know: listed, assigned to a person or destroyed by an administrator.

Both take minutes where the bucket is slow, so that the answer is 202 as soon as the
task is enqueued; whether it can be done at all is told at once. What became of it stands
in the recording and its history.

Rules: only recordings in quarantine; every other one stays until its time is over. Who
decides must see the recording: besides administration, a key needs recordings:read.
Not here: the work itself (`retention.quarantine`).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from archive import jobs
from archive.audit import Json
from archive.catalogue import directory, quarantine, recordings
from archive.catalogue.recordings import RecordingQuery
from archive.errors import NotFound, Refused
from archive.model import RecordingId, RecordingState, UserId
from playback_portal import documents
from playback_portal.parameters import Parameters, cursor, limit, read_body, text
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.route import DETAILS
from playback_portal.services import SCOPE, SERVICES, recording_id_of


async def list_quarantine(request: web.Request) -> web.StreamResponse:
    """Answer with a page of what is in quarantine, newest first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    query = RecordingQuery(state=RecordingState.QUARANTINED)
    page = await asyncio.to_thread(
        recordings.find, request.app[SERVICES].catalogue, request[SCOPE], query, size, after
    )
    return documents.list_response(
        request, documents.recording_documents(page.items, request.app[SERVICES].clock.now()), page.next
    )


async def post_assignment(request: web.Request) -> web.StreamResponse:
    """Begin to give a recording to a person."""
    Parameters(request.query).check()
    recording_id = recording_id_of(request)
    body = await read_body(request)
    user_id = body.need("userId", _user_id, UserId(""))
    body.check()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def begin() -> None:
        try:
            directory.user_by_id(catalogue, tenant_id, user_id)
        except NotFound as error:
            raise wrong_parameters(ParameterFault("/userId", str(error))) from error
        try:
            begin_assignment(request, recording_id, user_id)
        except Refused as error:
            raise _not_possible(error) from error

    await asyncio.to_thread(begin)
    return _begun({"recordingId": recording_id, "task": "assign", "userId": user_id})


async def delete_recording(request: web.Request) -> web.StreamResponse:
    """Begin to destroy a recording."""
    Parameters(request.query).check()
    recording_id = recording_id_of(request)

    def begin() -> None:
        try:
            begin_destruction(request, recording_id)
        except Refused as error:
            raise _not_possible(error) from error

    await asyncio.to_thread(begin)
    return _begun({"recordingId": recording_id, "task": "destroy", "userId": None})


def begin_assignment(request: web.Request, recording_id: RecordingId, user_id: UserId) -> None:
    """Hand over the task that gives a recording to a person. Blocks; raises as `check_assignable`."""
    services, scope = request.app[SERVICES], request[SCOPE]
    quarantine.check_assignable(services.catalogue, scope, recording_id, user_id)
    jobs.assign(services.database_url, scope.tenant_id, recording_id, user_id, actor=scope.actor)
    request[DETAILS] = {"userId": user_id}


def begin_destruction(request: web.Request, recording_id: RecordingId) -> None:
    """Hand over the task that destroys a recording. Blocks; raises as `check_destroyable`."""
    services, scope = request.app[SERVICES], request[SCOPE]
    quarantine.check_destroyable(services.catalogue, scope, recording_id)
    jobs.destroy(services.database_url, scope.tenant_id, recording_id, actor=scope.actor)


def _begun(document: dict[str, Json]) -> web.Response:
    location = f"/v1/recordings/{document['recordingId']}"
    response = documents.json_response(document, {"Location": location})
    response.set_status(HTTPStatus.ACCEPTED)
    return response


def _not_possible(error: Refused) -> Problem:
    """Return the 409 of what the state of things forbids: no licence then, or a legal hold."""
    return Problem(HTTPStatus.CONFLICT, "not-possible", str(error))


def _user_id(value: Json) -> UserId:
    try:
        return UserId(str(UUID(text(value))))
    except ValueError:
        raise ValueError("It is the id of a user.") from None
