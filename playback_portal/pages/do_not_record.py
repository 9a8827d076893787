"""Numbers that are not recorded, for administrators: put one on the list, take it off, see what is exempt.

Rules: what is done stands in the audit log without the number. Taking off works at once and
can be undone by the notice that tells it. The page tells of no call: of an exempt number
there is none to tell of. Not here: the API (`playback_portal.lists`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import directory, do_not_record, exempt_numbers, people
from archive.catalogue.directory import NAME_CHARS_MAX
from archive.catalogue.do_not_record import DoNotRecordEntry
from archive.catalogue.recordings import PAGE_ROWS_MAX
from archive.catalogue.snapshot import NumberRange
from archive.errors import Conflict, NotFound, Refused
from archive.model import UserId
from archive.numbers import FLOOR, FLOOR_SERVICES, is_exempt_number
from playback_portal.language import mark
from playback_portal.lists import add_entry, add_exempt, remove_entry, remove_exempt
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.pages.teams import row
from playback_portal.people import NUMBER_CHARS_MAX
from playback_portal.problems import Problem
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

PAGE = "/admin/do-not-record"

FLOOR_WORDS = {
    "112": mark("Emergency number"),
    "113": mark("Suicide prevention"),
    "+318000113": mark("Suicide prevention, free of charge"),
    "+319000113": mark("Suicide prevention, the old number"),
    "urn:service:sos": mark("Every emergency service the network names"),
    "urn:service:counseling": mark("Every help line the network names"),
}


@dataclass(frozen=True)
class Excluded:
    """A number of which nothing is kept; `origin` is floor, operator or tenant."""

    number: str
    words: str
    origin: str
    id: str = ""


@dataclass(frozen=True)
class Lists:
    """All that the page shows: the entries, whose they are by id, who may be chosen, and what is exempt."""

    entries: list[DoNotRecordEntry]
    logins: Mapping[UserId, str]
    offered: list[str]
    excluded: list[Excluded]


class WrongEntryError(Exception):
    """What was typed can't be put on a list: which field, and the message about it."""

    def __init__(self, field: str, told: str) -> None:
        super().__init__(told)
        self.field = field
        self.told = told


async def list_numbers(request: web.Request) -> web.StreamResponse:
    """Show what is not recorded."""
    return await _page(request)


async def post_number(request: web.Request) -> web.StreamResponse:
    """Put a number or range on the list of everybody, or of one person."""
    form = await fields_of(request)
    try:
        await asyncio.to_thread(_add, request, form)
    except WrongEntryError as wrong:
        if is_htmx(request):
            # The way back of a notice, when somebody else was faster.
            raise Problem(HTTPStatus.CONFLICT, "not-possible", wrong.told) from wrong
        await request[ENTRY].make("refused")
        return await _page(request, form, wrong)
    if not is_htmx(request):
        return see_other(request, PAGE)
    return partial(request, "do_not_record/_listed.html", lists=await _lists(request))


async def post_removal(request: web.Request) -> web.StreamResponse:
    """Take a number off its list; the notice puts it back."""
    removed = await asyncio.to_thread(remove_entry, request)
    if not is_htmx(request):
        return see_other(request, PAGE)
    whose = ""
    if removed.user_id is not None:
        services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
        user = await asyncio.to_thread(directory.user_by_id, services.catalogue, tenant_id, removed.user_id)
        whose = user.login
    return partial(
        request, "do_not_record/removed.html", lists=await _lists(request), removed=removed, whose=whose
    )


async def post_exempt(request: web.Request) -> web.StreamResponse:
    """Make a number one of which nothing is ever kept."""
    form = await fields_of(request)
    number = form.get("number", "").strip()
    try:
        await asyncio.to_thread(_add_exempt, request, number)
    except WrongEntryError as wrong:
        await request[ENTRY].make("refused")
        return await _page(request, form, wrong)
    return see_other(request, f"{PAGE}#excluded")


async def post_exempt_removal(request: web.Request) -> web.StreamResponse:
    """Take off a number this organisation added; those of the floor list and of the operator stay."""
    await asyncio.to_thread(remove_exempt, request, recording_id_of(request))
    return see_other(request, f"{PAGE}#excluded")


def _add_exempt(request: web.Request, number: str) -> None:
    """Add an exempt number; raises WrongEntryError."""
    if is_exempt_number(number):
        raise WrongEntryError("number", mark("Nothing is ever kept of a call with this number."))
    # What is too long is no number, as what is empty.
    number = number if len(number) <= NUMBER_CHARS_MAX else ""
    try:
        add_exempt(request, number)
    except Conflict as error:
        taken = mark("This number is excluded already, or belongs to one of your people.")
        raise WrongEntryError("number", taken) from error
    except Refused as error:
        raise WrongEntryError(
            "number", mark("This is not one whole number such as 116117, or there is no room for more.")
        ) from error


def _add(request: web.Request, form: Mapping[str, str]) -> None:
    """Add what a form says; raises WrongEntryError."""
    numbers, reason, login = (form.get(name, "").strip() for name in ("numbers", "reason", "login"))
    if is_exempt_number(numbers):
        raise WrongEntryError("numbers", mark("Nothing is ever kept of a call with this number."))
    try:
        NumberRange.parse(numbers if len(numbers) <= NUMBER_CHARS_MAX else "")
    except Refused:
        raise WrongEntryError(
            "numbers", mark("This is no number and no range such as +31201234500-599.")
        ) from None
    try:
        directory.named(reason)
    except Refused:
        raise WrongEntryError("reason", mark("Say why, in 1 to 200 characters that can be shown.")) from None
    user_id = _person(request, login) if login else None
    try:
        add_entry(request, numbers, reason, user_id)
    except (Conflict, NotFound, Refused) as error:
        taken = mark("One of these numbers is on this list already.")
        raise WrongEntryError(
            "numbers",
            taken if isinstance(error, Conflict) else mark("The list is full; take some off first."),
        ) from error


def _person(request: web.Request, login: str) -> UserId:
    """Return whose list a login names; raises WrongEntryError."""
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    name, _, domain = login.lower().partition("@")
    if not domain or domain == people.tenant_of(catalogue, tenant_id).domain:
        user = people.of_login(catalogue, tenant_id, name)
        if user is not None:
            return user.id
    raise WrongEntryError("login", mark("Nobody here is called like that."))


async def _lists(request: web.Request) -> Lists:
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id

    def read() -> Lists:
        entries = do_not_record.entries(catalogue, tenant_id)
        named = {each.user_id for each in entries if each.user_id is not None}
        known = people.of_ids(catalogue, tenant_id, named)
        added = exempt_numbers.entries(catalogue, tenant_id)
        floor = [Excluded(each, FLOOR_WORDS.get(each, ""), "floor") for each in (*FLOOR, *FLOOR_SERVICES)]
        return Lists(
            entries=entries,
            logins={user_id: user.login for user_id, user in known.items()},
            # Who has more people types the rest of the login; it counts all the same.
            offered=[each.login for each in people.page(catalogue, tenant_id, limit=PAGE_ROWS_MAX).items],
            excluded=[
                *floor,
                *(
                    Excluded(each.number, "", "operator" if each.operators else "tenant", each.id)
                    for each in added
                ),
            ],
        )

    return await asyncio.to_thread(read)


async def _page(
    request: web.Request, form: Mapping[str, str] | None = None, wrong: WrongEntryError | None = None
) -> web.Response:
    status = HTTPStatus.OK
    if wrong is not None:
        status = HTTPStatus.CONFLICT if isinstance(wrong.__cause__, Conflict) else HTTPStatus.BAD_REQUEST
    return render(
        request,
        "do_not_record/page.html",
        status=status,
        lists=await _lists(request),
        form=form or {},
        wrong=wrong,
        number_chars_max=NUMBER_CHARS_MAX,
        reason_chars_max=NAME_CHARS_MAX,
    )


DO_NOT_RECORD_ROUTES = (
    row("GET", PAGE, list_numbers, "do-not-record.listed", ""),
    row("POST", PAGE, post_number, "do-not-record.added", "do-not-record"),
    row("POST", f"{PAGE}/exempt", post_exempt, "exempt-number.added", "exempt-number"),
    row(
        "POST", f"{PAGE}/exempt/{{id}}/removal", post_exempt_removal, "exempt-number.removed", "exempt-number"
    ),
    row("POST", f"{PAGE}/{{id}}/removal", post_removal, "do-not-record.removed", "do-not-record"),
)
