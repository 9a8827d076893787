"""Help: what each role can do, what the words mean, and the keys; for everyone, signed in or not."""

from __future__ import annotations

from aiohttp import web

from playback_portal.page import is_htmx, partial, recognise, render, see_other
from playback_portal.route import Route


async def get_help(request: web.Request) -> web.StreamResponse:
    """Show the help, within the menu for who is signed in."""
    await recognise(request)
    return render(request, "help/page.html")


async def get_keys(request: web.Request) -> web.StreamResponse:
    """Show the keys over the page somebody is on; without a script they stand in the help."""
    if not is_htmx(request):
        return see_other(request, "/help#keys")
    await recognise(request)
    return partial(request, "help/keys.html")


HELP_ROUTES = (
    Route("GET", "/help", get_help, None, None, page=True),
    Route("GET", "/help/keys", get_keys, None, None, page=True),
)
