"""What people set for themselves: their own mode where they may choose, and "keep my next call".

Rules: only for a person, signed in or by a key of theirs; of nobody else. What the
administrator allows is asked when it is changed, not before. A change of mode is durable
together with its audit entry.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from archive.access import may_change_own_settings
from archive.audit import Json
from archive.catalogue import directory, keep_next
from archive.catalogue.keep_next import DAYS_MAX
from archive.model import RecordingMode, User, UserId
from playback_portal import documents
from playback_portal.documents import time_of
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.parameters import (
    Body,
    Parameters,
    json_moment,
    json_whole_number,
    json_word_of,
    read_body,
)
from playback_portal.problems import Problem
from playback_portal.route import DETAILS, EVENT, SUBJECT
from playback_portal.services import ENTRY, SCOPE, SERVICES

KEEP_NEXT_MIN_DEFAULT = 60
"""Long enough to be called back, short enough that nobody has forgotten it."""

KEEP_NEXT_MIN_MAX = DAYS_MAX * 24 * 60


async def get_settings(request: web.Request) -> web.StreamResponse:
    """Answer with how the caller is recorded, and what of it they may choose."""
    Parameters(request.query).check()
    return tagged_response(await asyncio.to_thread(_settings, request, own_id(request)))


async def patch_settings(request: web.Request) -> web.StreamResponse:
    """Change the caller's mode to one of theirs to choose, and answer with all settings."""
    Parameters(request.query).check()
    user_id = own_id(request)
    body = await read_body(request)
    # In a merge patch null would take the mode away (RFC 7396), and everybody has one.
    wanted = body.read("mode", json_word_of(RecordingMode), None)
    body.check()
    tenant_id, now = request[SCOPE].tenant_id, request.app[SERVICES].clock.now()

    def change() -> dict[str, Json]:
        with request[ENTRY].transaction() as connection:
            # Compared behind the lock: what somebody else is changing at this moment counts.
            user = directory.lock_user(connection, tenant_id, user_id)
            until = keep_next.until_within(connection, tenant_id, user_id, now=now)
            require_match(request.headers.get("If-Match"), settings_document(user, until))
            if wanted is None or wanted == user.mode:
                return settings_document(user, until)
            after = directory.set_own_mode(connection, user, wanted, now=now)
            request[DETAILS] = {"mode": {"from": user.mode.value, "to": after.mode.value}}
            return settings_document(after, until)

    return tagged_response(await asyncio.to_thread(change))


async def put_keep_next(request: web.Request) -> web.StreamResponse:
    """Promise to keep the caller's next on-demand call, and answer until when the promise holds."""
    Parameters(request.query).check()
    user_id = own_id(request)
    until = _until(await read_body(request), request.app[SERVICES].clock.now())
    await asyncio.to_thread(promise, request, user_id, until)
    return documents.json_response({"until": time_of(until)})


async def delete_keep_next(request: web.Request) -> web.StreamResponse:
    """Take the promise back; without one, nothing happens."""
    Parameters(request.query).check()
    user_id = own_id(request)
    await asyncio.to_thread(promise, request, user_id, None)
    return web.Response(status=HTTPStatus.NO_CONTENT)


def promise(request: web.Request, user_id: UserId, until: datetime | None) -> None:
    """Promise to keep somebody's next call, or with None take it back, with the entry in the log; blocks."""
    tenant_id, now = request[SCOPE].tenant_id, request.app[SERVICES].clock.now()
    with request[ENTRY].transaction() as connection:
        if until is None:
            request[EVENT] = "keep-next.cleared"
            keep_next.clear_within(connection, tenant_id, user_id)
            return
        request[DETAILS] = {"until": time_of(until)}
        keep_next.set_within(connection, tenant_id, user_id, until, now=now)


def settings_document(user: User, until: datetime | None) -> dict[str, Json]:
    """Return how a person is recorded, as they see it themselves."""
    return {
        "mode": user.mode.value,
        "ownModes": [mode.value for mode in user.own_modes],
        "licence": None if user.licence is None else user.licence.value,
        "keepNext": None if until is None else {"until": time_of(until)},
    }


def _until(body: Body, now: datetime) -> datetime:
    """Return the end of the promise a body asks for; raises the 400 Problem."""
    minutes = body.read("minutes", json_whole_number(1, KEEP_NEXT_MIN_MAX), KEEP_NEXT_MIN_DEFAULT)
    until = body.read("until", json_moment, None)
    if until is None:
        until = now + timedelta(minutes=minutes)
    elif "minutes" in body.names:
        body.fault("minutes", "Either `until` or `minutes`, not both.")
    elif not now < until <= now + timedelta(days=DAYS_MAX):
        body.fault("until", f"It is a moment within the next {DAYS_MAX} days.")
    body.check()
    return until


def _settings(request: web.Request, user_id: UserId) -> dict[str, Json]:
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    user = directory.user_by_id(services.catalogue, tenant_id, user_id)
    until = keep_next.until_of(services.catalogue, tenant_id, user_id, now=services.clock.now())
    return settings_document(user, until)


def own_id(request: web.Request) -> UserId:
    """Return who the caller is; raises the 403 Problem for a program that is nobody."""
    scope = request[SCOPE]
    if scope.user_id is None or not may_change_own_settings(scope):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "nobody",
            "These are a person's own settings: use a key that acts as that person.",
        )
    request[SUBJECT] = f"user:{scope.user_id}"
    return scope.user_id
