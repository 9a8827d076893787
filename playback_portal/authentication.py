"""From the Authorization header to an `AccessScope`, afresh for each request.

Rules: whoever fails learns only that the key is not valid. What a key may do is
asked before a handler runs; what it may do with one recording is decided by
`archive.access`, in the archive.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.catalogue import accounts
from playback_portal.problems import Problem, missing_scope
from playback_portal.services import SERVICES

KEY_CHARS_MAX = 512
"""A key has about 85 characters; what is longer is not looked for."""

_SCHEME = "bearer"


async def authenticate(request: web.Request) -> AccessScope:
    """Return who asks; raises the 401 Problem, or what the archive raises when it is away."""
    services = request.app[SERVICES]
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    scope = None
    if scheme.lower() == _SCHEME and 0 < len(key) <= KEY_CHARS_MAX:
        scope = await asyncio.to_thread(accounts.authenticate_key, services.catalogue, key.strip())
    if scope is None:
        services.metrics.keys_refused.inc()
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
