"""The cookie of a session, and proof that a change was asked for by a page of ours.

The cookie is `__Host-ew_session` wherever browsers reach us by TLS: they then take it
from nobody but us, send it to nobody else, and no script reads it (RFC 6265bis section
4.1.3). They keep it back where a page of another site led to us (`SameSite=Strict`), until a
page of ours leads on. A change asked with a cookie needs two things more: the token of the session,
which only our own pages have, and that the browser does not call the request
cross-site (Fetch Metadata; RFC 6454 for those that only send Origin).

Rules: the token is derived from the session's own, so that it changes with it and is
stored nowhere. Not here: what a session allows (`authentication`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from archive.catalogue import portal_sessions
from archive.catalogue.portal_sessions import PortalSession, Visit
from playback_portal.exposure import Exposure
from playback_portal.language import mark
from playback_portal.parameters import read_form
from playback_portal.person import CSRF, ME, Person
from playback_portal.problems import Problem
from playback_portal.services import SERVICES

COOKIE = "ew_session"
COOKIE_UNDER_TLS = "__Host-ew_session"
COOKIE_CHARS_MAX = 200
"""A token has 80 characters; what is longer is not looked for."""

HEADER = "X-CSRF-Token"
FIELD = "csrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
"""What browsers call a request of our own page, or of a person's own doing."""

SESSION = web.RequestKey("SESSION", PortalSession)
"""The session a request came with; requests with a key have none."""

_VISIT = web.RequestKey[Visit | None]("_VISIT", object)  # type: ignore[arg-type]
_CONTEXT = b"earwitness-csrf/1"


def is_secure(exposure: Exposure) -> bool:
    """Return whether browsers reach us by TLS: our own, or that of the proxy."""
    return exposure.tls or exposure.proxy is not None


def cookie_name(exposure: Exposure) -> str:
    """Return under which name the session stands."""
    return COOKIE_UNDER_TLS if is_secure(exposure) else COOKIE


def token_of(request: web.Request) -> str:
    """Return the session's token of a request, '' without one."""
    token = request.cookies.get(cookie_name(request.app[SERVICES].exposure), "")
    return token if len(token) <= COOKIE_CHARS_MAX else ""


def csrf_of(token: str) -> str:
    """Return the token the forms of a session carry."""
    return (
        base64.urlsafe_b64encode(hmac.digest(token.encode(), _CONTEXT, hashlib.sha256)).decode().rstrip("=")
    )


def is_kept_back(request: web.Request) -> bool:
    """Return whether a link of another site led here, so that a browser with a session kept it back."""
    told = request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-Mode")
    return request.method == "GET" and told == ("cross-site", "navigate") and not token_of(request)


async def visit_of(request: web.Request) -> Visit | None:
    """Return the session a request came with, whatever its stage, and let pages know of it.

    Raises CatalogueUnavailable.
    """
    if _VISIT in request:
        return request[_VISIT]
    return await _visit(request, noting=True)


async def visit_now(request: web.Request) -> Visit | None:
    """Return the session a request came with as it is now, without taking the request for activity.

    It is read afresh at each call: a request may last longer than its session. Raises CatalogueUnavailable.
    """
    return await _visit(request, noting=False)


async def _visit(request: web.Request, *, noting: bool) -> Visit | None:
    services, token = request.app[SERVICES], token_of(request)
    visit = None
    if token:
        now = services.clock.now()
        visit = await asyncio.to_thread(
            portal_sessions.find, services.catalogue, token, now=now, noting=noting
        )
    request[_VISIT] = visit
    if visit is not None:
        request[SESSION] = visit.session
        request[CSRF] = csrf_of(token)
    return visit


def introduce(request: web.Request, visit: Visit) -> None:
    """Let pages greet whose session this is."""
    login = f"{visit.login}@{visit.domain}"
    request[ME] = Person(visit.login, login, visit.role.value, visit.tenant_name, visit.look)


def require_own_site(request: web.Request) -> None:
    """Raise the 403 Problem of a change that a page of another site asked for."""
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    own = site is None or site in OWN_SITES
    if site is None and origin is not None:
        told = urlsplit(request.app[SERVICES].url).netloc
        own = urlsplit(origin).netloc in {request.host, told}
    if not own:
        raise Problem(HTTPStatus.FORBIDDEN, "cross-site", mark("This form came from another site."))


async def require_token(request: web.Request) -> None:
    """Raise the 403 Problem of a change without the token of its session."""
    if request.method in SAFE_METHODS:
        return
    require_own_site(request)
    given = request.headers.get(HEADER)
    if given is None:
        form = await read_form(request) if _is_form(request) else {}
        given = str(form.get(FIELD, ""))
    wanted = request.get(CSRF, "")
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "csrf",
            mark("This page is from before you signed in last. Nothing was changed. Load it again."),
        )


def keep(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Give a browser its session; it forgets it when it is closed."""
    exposure = request.app[SERVICES].exposure
    response.set_cookie(
        cookie_name(exposure), token, path="/", httponly=True, secure=is_secure(exposure), samesite="Strict"
    )


def forget(request: web.Request, response: web.StreamResponse) -> None:
    """Take the session from a browser, and what it kept of our pages."""
    exposure = request.app[SERVICES].exposure
    response.del_cookie(
        cookie_name(exposure), path="/", httponly=True, secure=is_secure(exposure), samesite="Strict"
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def _is_form(request: web.Request) -> bool:
    return request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}
