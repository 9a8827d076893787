"""Numbers and ranges of a person, one by one: added, taken away, and whose they are if not theirs.

Rules: for administrators. A number belongs to one person of the organisation; who has it
already is told by name. What was done can be undone by the notice that tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import directory, people
from archive.catalogue.snapshot import NumberRange
from archive.errors import Conflict, Refused
from archive.model import User, UserId
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, see_other
from playback_portal.pages.teams import row
from playback_portal.people import NUMBER_CHARS_MAX
from playback_portal.problems import Problem
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

NOT_A_NUMBER = mark("That can be nobody's number. Write it with country code, a range as +31201234500-599.")
TAKEN = mark("%(number)s belongs to %(login)s already.")
OWN_ALREADY = mark("%(number)s is among these numbers already.")


async def post_number(request: web.Request) -> web.StreamResponse:
    """Give a person another number or range."""
    typed = str((await request.post()).get("number", "")).strip()[:NUMBER_CHARS_MAX]
    try:
        number = NumberRange.parse(typed)
        user = await asyncio.to_thread(_change, request, lambda numbers: [*numbers, str(number)])
    except Conflict:
        return await _taken(request, typed)
    except Refused:
        await request[ENTRY].make("refused")
        return await _refused(request, HTTPStatus.BAD_REQUEST, NOT_A_NUMBER, typed)
    return _done(request, user, added=str(number))


async def post_removal(request: web.Request) -> web.StreamResponse:
    """Take a number or range away from a person; it is free at once."""
    number = str((await request.post()).get("number", ""))
    user = await asyncio.to_thread(
        _change, request, lambda numbers: [each for each in numbers if each != number]
    )
    return _done(request, user, removed=number)


def _change(request: web.Request, edit: Callable[[Sequence[str]], list[str]]) -> User:
    """Change the numbers as they are behind the lock, with the entry in the log; blocks."""
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    user_id, now = UserId(recording_id_of(request)), services.clock.now()
    with request[ENTRY].transaction() as connection:
        before = directory.lock_user(connection, tenant_id, user_id, {"numbers"})
        numbers = edit(before.numbers)
        request[DETAILS] = {"changed": {"numbers": "changed"}}
        return directory.update_user(connection, tenant_id, before.login, now=now, numbers=numbers)


async def _taken(request: web.Request, typed: str) -> web.Response:
    """Tell whose a number is, or that it is there already."""
    await request[ENTRY].make("refused")
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    number = NumberRange.parse(typed)
    holder = await asyncio.to_thread(people.holder_of, catalogue, tenant_id, number)
    other = holder is not None and holder.id != UserId(recording_id_of(request))
    told = TAKEN if other else OWN_ALREADY
    login = holder.login if holder is not None else ""
    return await _refused(request, HTTPStatus.CONFLICT, told, typed, login=login)


async def _refused(
    request: web.Request, status: HTTPStatus, error: str, typed: str, login: str = ""
) -> web.Response:
    if not is_htmx(request):
        raise Problem(status, "not-a-free-number", error % {"number": typed, "login": login})
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    user = await asyncio.to_thread(
        directory.user_by_id, catalogue, tenant_id, UserId(recording_id_of(request))
    )
    context = {"error": error, "typed": typed, "holder": login}
    return partial(request, "people/_numbers.html", status=status, user=user, **context)


def _done(request: web.Request, user: User, added: str = "", removed: str = "") -> web.Response:
    if not is_htmx(request):
        return see_other(request, f"/admin/users/{user.id}")
    return partial(request, "people/numbers_changed.html", user=user, added=added, removed=removed)


NUMBER_ROUTES = (
    row("POST", "/admin/users/{id}/numbers", post_number, "user.changed", "user"),
    row("POST", "/admin/users/{id}/numbers/removals", post_removal, "user.changed", "user"),
)
