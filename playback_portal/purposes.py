"""What a recording of somebody else is opened for, where the tenant wants to know.

Programs say it with each request, in the header `X-Purpose` (percent-encoded where it
is not ASCII). Browsers can't give players a header: people say it once, on the page of
the recording, and it counts for that recording as long as their session lasts.

Rules: it is the archive that refuses without one (`archive.playback`), and that puts it
into the audit entry. Not here: when one is needed (`archive.access.needs_purpose`).
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

from aiohttp import web

from archive.access import needs_purpose
from archive.catalogue import purposes
from archive.errors import Refused
from archive.model import Recording, RecordingId
from playback_portal.browser_session import SESSION
from playback_portal.language import mark
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.services import SCOPE, SERVICES

HEADER = "X-Purpose"
SUGGESTIONS = (
    mark("Quality or coaching"),
    mark("Complaint or dispute"),
    mark("Check of an agreement"),
    mark("Request of the person concerned"),
)
"""What people open recordings of others for most; anything else can be written."""


async def purpose_of(request: web.Request, recording_id: RecordingId) -> str | None:
    """Return the purpose a request states or its session remembers; raises the 400 Problem for a bad one."""
    text = request.headers.get(HEADER)
    if text is not None:
        return purpose_from(HEADER, unquote(text))
    if not request[SCOPE].asks_purpose or SESSION not in request:
        return None
    catalogue = request.app[SERVICES].catalogue
    return await asyncio.to_thread(purposes.remembered, catalogue, request[SESSION], recording_id)


async def is_missing(request: web.Request, recording: Recording) -> bool:
    """Return whether the page of a recording must ask what it is opened for before anything else."""
    return needs_purpose(request[SCOPE], recording) and await purpose_of(request, recording.id) is None


def purpose_from(name: str, text: str) -> str:
    """Return the purpose `text` states; raises the 400 Problem that names where it stood."""
    try:
        return purposes.stated(text)
    except Refused as error:
        detail = f"{error} A header has it percent-encoded where it is not ASCII."
        raise wrong_parameters(ParameterFault(name, detail)) from None
