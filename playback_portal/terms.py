"""Keeping a recording for longer, over the API.

In force with the answer; the key of the later day and the store's locks follow by a job.

Rules: for administrators and keys with the scope administration; never shorter. Not here: the
job (`retention.terms`), and what is destroyed before its term.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import terms
from playback_portal import documents
from playback_portal.cases import follow
from playback_portal.documents import time_of
from playback_portal.operations import Operation
from playback_portal.parameters import Body, Parameters, bounded_text, json_moment, read_body
from playback_portal.route import DETAILS, Route
from playback_portal.schemas import ID, TIME, Schema, object_of
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

REASON_CHARS_MAX = 1000


async def post_term(request: web.Request) -> web.StreamResponse:
    """Keep a recording until a later moment."""
    Parameters(request.query).check()
    body: Body = await read_body(request)
    services, scope, recording_id = request.app[SERVICES], request[SCOPE], recording_id_of(request)
    now = services.clock.now()
    until = body.need("retainUntil", json_moment, now)
    reason = body.need("reason", bounded_text(REASON_CHARS_MAX, chars_min=1), "")
    body.check()
    if until.microsecond:
        until = until.replace(microsecond=0) + timedelta(seconds=1)

    def make() -> terms.Lengthened:
        with request[ENTRY].transaction() as connection:
            was = terms.lengthen(connection, scope, recording_id, until, now=now)
            told: dict[str, Json] = {"from": time_of(was.former), "until": time_of(until), "reason": reason}
            request[DETAILS] = told | {"out_of_trash": was.out_of_trash}
            return was

    was = await asyncio.to_thread(make)
    await follow(request)
    told: dict[str, Json] = {"recordingId": recording_id, "retainUntil": time_of(until)}
    told |= {"formerly": time_of(was.former), "outOfTrash": was.out_of_trash}
    response = documents.json_response(told)
    response.set_status(HTTPStatus.CREATED)
    return response


TERM_SCHEMAS: Final[dict[str, Schema]] = {
    "Term": object_of(
        recordingId=ID,
        retainUntil=TIME,
        formerly={**TIME, "description": "until when it was kept before"},
        outOfTrash={"type": "boolean", "description": "whether it waited to be destroyed, and does no more"},
    ),
    "NewTerm": object_of(
        retainUntil={**TIME, "description": "later than now; a term is never made shorter"},
        reason={"type": "string", "minLength": 1, "maxLength": REASON_CHARS_MAX},
    ),
}
TERM_OPERATIONS: Final[dict[str, Operation]] = {
    "post_term": Operation(
        "Keep a recording for longer; 409 with the time when its destruction has begun",
        ("id",),
        "Term",
        refusals=(404, 409),
        status=201,
        body="NewTerm",
    ),
}
TERM_ROUTES = (
    Route("POST", "/v1/recordings/{id}/retention", post_term, Scope.ADMINISTRATION, "recording.lengthened"),
)
