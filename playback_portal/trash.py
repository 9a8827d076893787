"""The trash, over the API: what two people let go before its term, and putting it back.

A recording waits in it until the moment told, and is destroyed then; meanwhile an administrator
puts it back alone, for that loses nothing.

Rules: for administrators and keys with the scope administration. Not here: how a recording comes
there (`playback_portal.approvals`), and the page (`playback_portal.pages.trash`).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import trash
from archive.catalogue.trash import Trashed
from playback_portal import documents
from playback_portal.administration import administrators_only
from playback_portal.documents import time_of
from playback_portal.operations import Operation
from playback_portal.parameters import Parameters, cursor, limit
from playback_portal.route import Route
from playback_portal.schemas import COUNT, ID, MAYBE_TEXT, TEXT, TIME, Schema, object_of, page_of
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

PATH = "/v1/trash"


async def list_trash(request: web.Request) -> web.StreamResponse:
    """Answer with what is in the trash, what goes first before the others."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    found, following = await page(request, size, after)
    return documents.list_response(request, map(document, found), following)


async def delete_from_trash(request: web.Request) -> web.StreamResponse:
    """Put a recording back."""
    Parameters(request.query).check()
    await put_back(request)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def page(request: web.Request, size: int, after: str | None) -> tuple[tuple[Trashed, ...], str | None]:
    """Return a page of the trash and the cursor of the next one."""
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    return await asyncio.to_thread(trash.page, services.catalogue, scope, limit=size, cursor=after, now=now)


async def put_back(request: web.Request) -> None:
    """Put the recording of the path back; raises NotFound, BeingDestroyed when it is too late."""
    scope, recording_id = request[SCOPE], recording_id_of(request)
    now = request.app[SERVICES].clock.now()

    def make() -> None:
        with request[ENTRY].transaction() as connection:
            trash.put_back(connection, scope, recording_id, now=now)

    await asyncio.to_thread(make)


def document(each: Trashed) -> dict[str, Json]:
    """Return a recording in the trash as the API shows it."""
    return {
        "recordingId": each.recording_id,
        "startedAt": time_of(each.started_at),
        "durationMs": each.duration_ms,
        "owner": each.owner,
        "retainUntil": time_of(each.retain_until),
        "onHold": each.on_hold,
        "trashedAt": time_of(each.put_at),
        "destroyedFrom": time_of(each.until),
        "reason": each.reason,
        "approvalId": each.proposal_id,
        "proposedBy": each.proposed_by,
        "approvedBy": each.approved_by,
    }


TRASH_SCHEMAS: Final[dict[str, Schema]] = {
    "TrashedRecording": object_of(
        recordingId=ID,
        startedAt=TIME,
        durationMs=COUNT,
        owner=MAYBE_TEXT,
        retainUntil=TIME,
        onHold={"type": "boolean", "description": "a hold keeps it, in the trash or not"},
        trashedAt=TIME,
        destroyedFrom={**TIME, "description": "until then it can be put back; never after retainUntil"},
        reason=TEXT,
        approvalId=ID,
        proposedBy=TEXT,
        approvedBy=TEXT,
    ),
    "TrashedRecordingPage": page_of("TrashedRecording"),
}
TRASH_OPERATIONS: Final[dict[str, Operation]] = {
    "list_trash": Operation(
        "What two people let go before its term and can be put back, what goes first before the others",
        ("limit", "cursor"),
        "TrashedRecordingPage",
        refusals=(400,),
    ),
    "delete_from_trash": Operation(
        "Put a recording back: it is kept until its term; 409 when its destruction has begun",
        ("id",),
        refusals=(400, 404, 409),
        status=204,
    ),
}
TRASH_ROUTES = (
    Route("GET", PATH, administrators_only(list_trash), Scope.ADMINISTRATION, "trash.listed"),
    Route(
        "DELETE",
        f"{PATH}/{{id}}",
        administrators_only(delete_from_trash),
        Scope.ADMINISTRATION,
        "recording.put-back",
    ),
)
