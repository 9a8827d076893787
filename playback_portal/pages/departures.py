"""Somebody leaves, or comes back after all: two buttons on the page of a person.

Rules: what is about to end is told before it does; that it can be taken back is told too.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from playback_portal import departures
from playback_portal.page import see_other
from playback_portal.pages.teams import row
from playback_portal.services import recording_id_of


async def post_departure(request: web.Request) -> web.StreamResponse:
    """Let a person leave and show them as they are now."""
    await asyncio.to_thread(departures.leave, request)
    return _to_person(request)


async def post_return(request: web.Request) -> web.StreamResponse:
    """Take a departure back and show the person with what they have again."""
    await asyncio.to_thread(departures.come_back, request)
    return _to_person(request)


def _to_person(request: web.Request) -> web.Response:
    return see_other(request, f"/admin/users/{recording_id_of(request)}")


DEPARTURE_ROUTES = (
    row("POST", "/admin/users/{id}/departures", post_departure, "user.left", "user"),
    row("POST", "/admin/users/{id}/returns", post_return, "user.returned", "user"),
)
