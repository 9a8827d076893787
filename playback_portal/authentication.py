"""From an API key or a session to an `AccessScope`, afresh for each request.

A request with an Authorization header stands by its key alone; else the cookie of a
session counts (`browser_session`), and a change asked with it needs the session's token.

Rules: whoever fails learns only that what they gave is not valid. What a key may do is
asked before a handler runs; what it may do with one recording is decided by
`archive.access`, in the archive. A session that waits for a second factor is nobody yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope, may_administer
from archive.catalogue import accounts, quarantine
from archive.catalogue.portal_sessions import SECOND_FACTOR_ROLES, SECOND_FACTORS, Stage, Visit
from archive.errors import NotFound
from playback_portal import browser_session
from playback_portal.person import QUARANTINED
from playback_portal.problems import Problem, missing_scope
from playback_portal.route import PAGES
from playback_portal.services import SERVICES

KEY_CHARS_MAX = 512
"""A key has about 85 characters; what is longer is not looked for."""

Visiting = Callable[[web.Request], Awaitable[Visit | None]]

_SCHEME = "bearer"


async def authenticate(request: web.Request) -> AccessScope:
    """Return who asks; raises the 401 Problem, or what the archive raises when it is away.

    Raises the 403 Problem for a change asked with a cookie alone.
    """
    return await _scope(request, browser_session.visit_of)


async def authenticate_again(request: web.Request) -> AccessScope:
    """Return who asks as it is now, for an answer that lasts; a session does not stay open by it.

    Raises as `authenticate`.
    """
    return await _scope(request, browser_session.visit_now)


async def _scope(request: web.Request, visiting: Visiting) -> AccessScope:
    if "Authorization" in request.headers:
        scope = await _by_key(request)
    else:
        scope = await _by_session(request, visiting)
    if scope is None:
        request.app[SERVICES].metrics.keys_refused.inc()
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "unauthenticated",
            "This needs a valid API key: send `Authorization: Bearer <key>`.",
            headers={"WWW-Authenticate": 'Bearer realm="earwitness"'},
        )
    return scope


def require(scope: AccessScope, permission: Scope) -> None:
    """Raise the 403 Problem when a key lacks `permission`; who signed in as a person has a role instead."""
    if not scope.permits(permission):
        raise missing_scope(permission)


async def _by_key(request: web.Request) -> AccessScope | None:
    scheme, _, key = request.headers["Authorization"].partition(" ")
    if scheme.lower() != _SCHEME or not 0 < len(key) <= KEY_CHARS_MAX:
        return None
    catalogue = request.app[SERVICES].catalogue
    return await asyncio.to_thread(accounts.authenticate_key, catalogue, key.strip())


async def _by_session(request: web.Request, visiting: Visiting) -> AccessScope | None:
    visit = await visiting(request)
    if visit is None or not is_complete(visit):
        return None
    browser_session.introduce(request, visit)
    await browser_session.require_token(request)
    session, catalogue = visit.session, request.app[SERVICES].catalogue
    try:
        scope = await asyncio.to_thread(accounts.scope_of_user, catalogue, session.tenant_id, session.user_id)
    except NotFound:
        return None
    resource = request.match_info.route.resource
    shows_menu = resource is not None and ("GET", resource.canonical) in request.app[PAGES]
    if shows_menu and request.method == "GET" and may_administer(scope):
        request[QUARANTINED] = await asyncio.to_thread(quarantine.count, catalogue, session.tenant_id)
    return scope


def is_complete(visit: Visit) -> bool:
    """Return whether somebody is in: all that was asked was proved, by the rules of their role today."""
    session = visit.session
    # The database ends sessions when a role changes; should it not have, nobody is in without the proof.
    proved = visit.role not in SECOND_FACTOR_ROLES or bool(SECOND_FACTORS & session.proofs)
    return session.stage is Stage.SIGNED_IN and proved
