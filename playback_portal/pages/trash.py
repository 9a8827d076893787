"""The trash, for administrators: what two people let go before its term, how long it waits yet, put it back.

Rules: every button does what the API does, with the same entry in the log. The page tells no
number and no name but those of colleagues. Not here: proposing a destruction
(`playback_portal.pages.approvals`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import people, policies
from archive.catalogue.trash import Trashed
from archive.errors import Conflict, NotFound
from archive.model import UserId
from playback_portal import trash
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.teams import row
from playback_portal.rows import remaining
from playback_portal.services import ENTRY, SCOPE, SERVICES

PAGE = "/admin/trash"
ROWS_COUNT = 50

TOO_LATE = mark("It is too late: this recording is being destroyed.")
NOT_THERE = mark("This recording is not in the trash (any more).")


async def list_trash(request: web.Request) -> web.StreamResponse:
    """Show what is in the trash."""
    return await _page(request)


async def post_put_back(request: web.Request) -> web.StreamResponse:
    """Put a recording back."""
    try:
        await trash.put_back(request)
    except (NotFound, Conflict) as error:
        await request[ENTRY].make("refused")
        return await _page(request, TOO_LATE if isinstance(error, Conflict) else NOT_THERE)
    return see_other(request, PAGE)


async def _page(request: web.Request, fault: str = "") -> web.Response:
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    after = request.query.get("cursor") if request.method == "GET" else None
    found, following = await trash.page(request, ROWS_COUNT, after)
    names = await asyncio.to_thread(_names, request, found)
    policy = await asyncio.to_thread(policies.policy_of, services.catalogue, tenant_id)
    now = services.clock.now()
    return render(
        request,
        "trash/page.html",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        items=found,
        left={each.recording_id: remaining(each.until, now).days for each in found},
        names=names,
        days=policy.trash_days,
        fault=fault,
        next=following,
        cursor=after,
    )


def _names(request: web.Request, found: Iterable[Trashed]) -> dict[str, str]:
    """Return the logins of all the people told of, by the words the log has for them."""
    actors = {actor for each in found for actor in (each.proposed_by, each.approved_by)}
    actors |= {f"user:{each.owner}" for each in found if each.owner is not None}
    ids = {actor: UserId(actor.removeprefix("user:")) for actor in actors if actor.startswith("user:")}
    known = people.of_ids(request.app[SERVICES].catalogue, request[SCOPE].tenant_id, ids.values())
    return {actor: known[user_id].login for actor, user_id in ids.items() if user_id in known}


TRASH_PAGE_ROUTES = (
    row("GET", PAGE, list_trash, "trash.listed", ""),
    row("POST", f"{PAGE}/{{id}}/return", post_put_back, "recording.put-back", "recording"),
)
