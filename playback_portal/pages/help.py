"""Help: what each role can do, what the words mean, and the keys; for everyone, signed in or not."""

from __future__ import annotations

from aiohttp import web

from playback_portal.page import recognise, render
from playback_portal.route import Route


async def get_help(request: web.Request) -> web.StreamResponse:
    """Show the help, within the menu for who is signed in."""
    await recognise(request)
    return render(request, "help/page.html")


HELP_ROUTES = (Route("GET", "/help", get_help, None, None, page=True),)
