"""People who leave and come back, through the API and for the pages that do the same.

Rules: for administrators, and nobody lets themselves go. A key takes no power from an
administrator or auditor, by this way no more than by another. What was done is durable
together with its entry in the audit log. Not here: what ends with a departure
(`archive.catalogue.departures`).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import departures, directory, people
from archive.catalogue.departures import Return
from archive.model import Role, User, UserId
from playback_portal.entity_tag import tagged_response
from playback_portal.language import mark
from playback_portal.parameters import Parameters
from playback_portal.people import check_role, user_document
from playback_portal.problems import Problem
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

OWN = mark("Nobody lets themselves go. Ask another administrator.")


async def delete_user(request: web.Request) -> web.StreamResponse:
    """Let a person leave; their recordings stay."""
    Parameters(request.query).check()
    await asyncio.to_thread(leave, request)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def post_return(request: web.Request) -> web.StreamResponse:
    """Take a departure back and answer with the person, as far as what they had is free."""
    Parameters(request.query).check()
    back = await asyncio.to_thread(come_back, request)
    tenant = await asyncio.to_thread(
        people.tenant_of, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
    return tagged_response(user_document(back.user, tenant))


def leave(request: web.Request) -> User:
    """Let the person the path names leave; return them as they were. Blocks.

    Raises the 403 Problem for oneself and for a key that takes power, and as
    `archive.catalogue.departures.leave`.
    """
    services, scope, user_id = request.app[SERVICES], request[SCOPE], UserId(recording_id_of(request))
    if user_id == scope.user_id:
        raise Problem(HTTPStatus.FORBIDDEN, "own-departure", OWN)
    with request[ENTRY].transaction() as connection:
        known = directory.lock_user(connection, scope.tenant_id, user_id, {"numbers"})
        check_role(request, known.role, {"role": Role.USER})
        user = departures.leave(connection, scope.tenant_id, user_id, now=services.clock.now())
        request[DETAILS] = {
            "licence": None if user.licence is None else user.licence.value,
            "role": user.role.value,
            "numbers": len(user.numbers),
        }
    return user


def come_back(request: web.Request) -> Return:
    """Take the departure of the person the path names back; blocks. Raises NotFound, Conflict."""
    services, scope, user_id = request.app[SERVICES], request[SCOPE], UserId(recording_id_of(request))
    with request[ENTRY].transaction() as connection:
        back = departures.come_back(connection, scope.tenant_id, user_id, now=services.clock.now())
        licence = back.user.licence
        request[DETAILS] = {
            "licence": None if licence is None else licence.value,
            "numbers": len(back.user.numbers),
            "numbersTaken": len(back.taken),
        }
    return back
