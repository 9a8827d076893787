"""Where a person stopped listening, over the API: a player asks for it and keeps it while it plays.

Rules: only who may hear a recording has a position in it, and each person their own. The
audit log has it as `position:<id>`, apart from the recording's own history, where it would
hide what was really done.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from archive.access import Scope, may_play
from archive.audit import Json
from archive.catalogue import positions
from archive.errors import Refused
from archive.model import PLAYABLE_STATES, Recording
from playback_portal import documents
from playback_portal.operations import Operation
from playback_portal.parameters import DURATION_S_MAX, Parameters, read_body
from playback_portal.recordings import archived_recording, not_playable
from playback_portal.route import Route
from playback_portal.schemas import Schema, object_of
from playback_portal.services import SCOPE, SERVICES

POSITION_MS_MAX = DURATION_S_MAX * 1000


async def get_position(request: web.Request) -> web.StreamResponse:
    """Answer with where the person stopped."""
    Parameters(request.query).check()
    recording = await _heard(request)
    found = await asyncio.to_thread(
        positions.kept, request.app[SERVICES].catalogue, request[SCOPE], recording
    )
    return documents.json_response({"positionMs": found})


async def put_position(request: web.Request) -> web.StreamResponse:
    """Keep where the person is now."""
    Parameters(request.query).check()
    body = await read_body(request)
    position_ms = body.need("positionMs", _milliseconds, 0)
    body.check()
    recording, services = await _heard(request), request.app[SERVICES]
    kept = await asyncio.to_thread(
        positions.keep,
        services.catalogue,
        request[SCOPE],
        recording,
        position_ms,
        now=services.clock.now(),
    )
    return documents.json_response({"positionMs": kept})


async def _heard(request: web.Request) -> Recording:
    """Return the recording of the path when it may be heard; raises NotFound, Refused or the 409 Problem."""
    recording = (await archived_recording(request)).recording
    if recording.state not in PLAYABLE_STATES:
        raise not_playable(recording.state)
    if not may_play(request[SCOPE], recording):
        raise Refused("This recording may not be heard: ask the administrator for the right.")
    return recording


def _milliseconds(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= POSITION_MS_MAX:
        raise ValueError(f"It is a whole number of milliseconds from 0 to {POSITION_MS_MAX}.")
    return value


_POSITION_MS: Final[Schema] = {
    "type": "integer",
    "minimum": 0,
    "maximum": POSITION_MS_MAX,
    "description": "milliseconds from the beginning of the recording",
}
POSITION_SCHEMAS: Final[dict[str, Schema]] = {"Position": object_of(positionMs=_POSITION_MS)}
POSITION_OPERATIONS: Final = {
    "get_position": Operation(
        "Where the person stopped listening", ("id",), "Position", refusals=(400, 404, 409)
    ),
    "put_position": Operation(
        "Keep where the person is", ("id",), "Position", body="Position", refusals=(400, 404, 409)
    ),
}
POSITION_ROUTES = (
    Route(
        "GET",
        "/v1/recordings/{id}/position",
        get_position,
        Scope.RECORDINGS_PLAY,
        "position.viewed",
        "position",
    ),
    Route(
        "PUT",
        "/v1/recordings/{id}/position",
        put_position,
        Scope.RECORDINGS_PLAY,
        "position.kept",
        "position",
    ),
)
