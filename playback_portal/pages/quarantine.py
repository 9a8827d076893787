"""Calls of somebody we don't know, for administrators: given to a person, or let go before their time.

Rules: every button does what the API does, with the same entry in the log; the work is done
by a worker, and the row goes when it is done. Nobody hears a recording here.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from archive.catalogue import people, recordings
from archive.catalogue.recordings import PAGE_ROWS_MAX, Page, RecordingQuery
from archive.errors import Conflict, NotFound, Refused
from archive.model import Recording, RecordingState
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.pages.teams import row
from playback_portal.quarantine import begin_assignment, begin_destruction
from playback_portal.rows import remaining
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

PAGE = "/admin/quarantine"
ROWS_COUNT = 50
IN_QUARANTINE = RecordingQuery(state=RecordingState.QUARANTINED)

NOBODY = mark("Nobody here is called like that.")
NO_LICENCE = mark("This person had no recording licence when the call was made, so it can't become theirs.")
ON_HOLD = mark("A legal hold keeps this recording. It can be given to a person, not destroyed.")
GONE = mark("It is not in quarantine any more.")


async def list_quarantine(request: web.Request) -> web.StreamResponse:
    """Show what is in quarantine."""
    return await _page(request)


async def post_assignment(request: web.Request) -> web.StreamResponse:
    """Begin to give a recording to the person whose login was typed."""
    login = (await fields_of(request)).get("login", "").strip().lower()
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    recording_id = recording_id_of(request)
    user = await asyncio.to_thread(people.of_login, catalogue, tenant_id, login.partition("@")[0])
    if user is None:
        return await _refused(request, NOBODY, login)
    try:
        await asyncio.to_thread(begin_assignment, request, recording_id, user.id)
    except (Conflict, NotFound):
        return await _refused(request, GONE)
    except Refused:
        return await _refused(request, NO_LICENCE, login)
    return see_other(request, f"{PAGE}?assigned={recording_id}")


async def post_destruction(request: web.Request) -> web.StreamResponse:
    """Begin to destroy a recording, once it was confirmed."""
    recording_id = recording_id_of(request)
    try:
        await asyncio.to_thread(begin_destruction, request, recording_id)
    except (Conflict, NotFound):
        return await _refused(request, GONE)
    except Refused:
        return await _refused(request, ON_HOLD)
    return see_other(request, f"{PAGE}?destroyed={recording_id}")


async def _refused(request: web.Request, fault: str, login: str = "") -> web.Response:
    await request[ENTRY].make("refused")
    return await _page(request, fault, login)


async def _page(request: web.Request, fault: str = "", login: str = "") -> web.Response:
    services, scope = request.app[SERVICES], request[SCOPE]
    after = request.query.get("cursor") if request.method == "GET" else None

    def read() -> tuple[Page, list[str]]:
        try:
            found = recordings.find(services.catalogue, scope, IN_QUARANTINE, ROWS_COUNT, after)
        except Refused:
            found = recordings.find(services.catalogue, scope, IN_QUARANTINE, ROWS_COUNT)
        offered = people.page(services.catalogue, scope.tenant_id, limit=PAGE_ROWS_MAX).items
        return found, [each.login for each in offered if each.licence is not None]

    found, offered = await asyncio.to_thread(read)
    now = services.clock.now()
    return render(
        request,
        "quarantine/page.html",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        items=found.items,
        numbers={each.id: _numbers(each) for each in found.items},
        days={each.id: remaining(each.retain_until, now).days for each in found.items},
        offered=offered,
        begun={name: _id(request.query.get(name, "")) for name in ("assigned", "destroyed")},
        next=found.next,
        cursor=after,
        fault=fault,
        fault_at=request.match_info.get("id", ""),
        login=login,
    )


def _numbers(recording: Recording) -> list[tuple[str, str]]:
    """Return number and name of everybody on the call, each once."""
    return list(dict.fromkeys((each.number, each.name) for each in recording.parties))


def _id(text: str) -> str:
    """Return an id of an address, '' for what is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


QUARANTINE_PAGE_ROUTES = (
    row("GET", PAGE, list_quarantine, "quarantine.listed", ""),
    row("POST", f"{PAGE}/{{id}}/assignment", post_assignment, "quarantine.assignment-asked", "recording"),
    row("POST", f"{PAGE}/{{id}}/destruction", post_destruction, "quarantine.destruction-asked", "recording"),
)
