"""How long somebody's session lasts still, as their page asks, and that they are still there.

A page warns before a session ends by itself (`web/session.ts`; WCAG 2.2.1). It asks how
long there is first, for listening and other windows are activity that it does not see.

Rules: asking is no activity and keeps nothing open; saying that one is there is a change
like others, with the session's token. Neither tells anything of anybody, so that both are
open: without a session there are no seconds left.
"""

from __future__ import annotations

from aiohttp import web

from archive.catalogue.portal_sessions import Visit
from playback_portal import browser_session
from playback_portal.authentication import is_complete
from playback_portal.page import PAGE_HEADERS
from playback_portal.route import Route
from playback_portal.services import SERVICES

HERE = "/me/session"


async def get_session(request: web.Request) -> web.StreamResponse:
    """Answer with the seconds that are left, as if nobody had asked."""
    return _told(request, await browser_session.visit_now(request))


async def post_session(request: web.Request) -> web.StreamResponse:
    """Take somebody's word that they are still there, and answer with the seconds they have now."""
    visit = await browser_session.visit_of(request)
    if visit is not None:
        await browser_session.require_token(request)
    return _told(request, visit)


def _told(request: web.Request, visit: Visit | None) -> web.Response:
    left_s, lasts = 0, False
    if visit is not None and is_complete(visit):
        left_s = visit.session.left_s(request.app[SERVICES].clock.now())
        # One at the end of its working day gets no longer by any word.
        lasts = visit.session.idle_ends_at < visit.session.ends_at
    return web.json_response({"seconds": left_s, "lasts": lasts}, headers=PAGE_HEADERS)


SESSION_ROUTES = (
    Route("GET", HERE, get_session, None, None, page=True),
    Route("POST", HERE, post_session, None, None, page=True),
)
