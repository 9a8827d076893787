"""Where people say what they open a recording of somebody else for; the page of the recording asks."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.catalogue import purposes
from playback_portal.browser_session import SESSION
from playback_portal.page import see_other
from playback_portal.problems import Problem
from playback_portal.purposes import HEADER, purpose_from
from playback_portal.recordings import archived_recording
from playback_portal.route import DETAILS, Route
from playback_portal.services import SERVICES

FIELD = "purpose"


async def post_purpose(request: web.Request) -> web.StreamResponse:
    """Remember what a recording is opened for, as long as the session lasts, and lead to it."""
    recording = (await archived_recording(request)).recording
    if SESSION not in request:
        raise Problem(HTTPStatus.FORBIDDEN, "no-session", f"A key says it in the header {HEADER}.")
    purpose = purpose_from(FIELD, str((await request.post()).get(FIELD, "")))
    services, session = request.app[SERVICES], request[SESSION]
    request[DETAILS] = {"purpose": purpose}
    now = services.clock.now()
    await asyncio.to_thread(purposes.remember, services.catalogue, session, recording.id, purpose, now=now)
    return see_other(request, f"/recordings/{recording.id}")


PURPOSE_ROUTES = (
    Route(
        "POST",
        "/recordings/{id}/purpose",
        post_purpose,
        Scope.RECORDINGS_READ,
        "recording.purpose-stated",
        page=True,
    ),
)
