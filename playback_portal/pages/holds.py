"""Holding from where recordings are found: one from its page, those that are ticked, all a search finds.

Each way asks the same: into which case, or into a new one with its name and reason. A search
for a number or a person may let their later calls come into the case as well.

Rules: for who may hold (`Scope.HOLDS`); what a search finds is held by auditors alone, who
see everything. Case, rules, holds and the entry in the log are one transaction. Not here: the
pages of cases (`playback_portal.pages.cases`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from yarl import URL

from archive.access import Scope, may_admit, may_take_evidence
from archive.audit import Json
from archive.catalogue import case_people, cases, listing, people
from archive.catalogue.case_search import Added
from archive.catalogue.cases import NAME_CHARS_MAX, REASON_CHARS_MAX, Case
from archive.catalogue.listing import Count
from archive.catalogue.recordings import RecordingQuery
from archive.errors import Conflict, NotFound, Refused
from archive.model import RecordingId, Role, User, UserId
from archive.numbers import canonical
from playback_portal import cases as holding
from playback_portal import filters
from playback_portal.language import mark
from playback_portal.page import is_htmx, render, see_other
from playback_portal.pages.cases import NO_SEARCH, NOT_NOW, OFFERED_PEOPLE_COUNT, TOO_LATE, UNKNOWN
from playback_portal.pages.cases import PAGE as CASES_PAGE
from playback_portal.pages.sign_in import fields_of
from playback_portal.problems import Problem
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, is_recording_id, recording_id_of

PAGE = "/holds"
EXPORT = "export"
"""The way on for who exports the case at once."""

OFFERED_CASES_COUNT = 50
"""Open cases to choose from; into an older one recordings are put on its own page."""

NO_SELECTION = mark("Select at least one recording in the list.")
TOO_MANY = mark("These are too many at once. Narrow the search and hold them in parts.")
NO_NAME = mark("Give the case a name.")
NO_REASON = mark("Say why these recordings are held. It stands in the audit log.")
NUMBER_DIGITS_MIN = 5
"""Fewer digits are a part of a number, or a year; a rule is for a whole one."""


@dataclass(frozen=True)
class Wanted:
    """What is to be held: recordings by their ids, or else a search by its query string."""

    ids: tuple[RecordingId, ...] = ()
    search: str | None = None
    single: bool = False

    @property
    def action(self) -> str:
        """Where the form is sent."""
        return f"/recordings/{self.ids[0]}/holds" if self.single else PAGE


@dataclass(frozen=True)
class Later:
    """Whose later calls a search can be gone on with: a person, or a number."""

    user_id: UserId | None = None
    number: str | None = None
    name: str = ""
    """The login of the person."""


@dataclass(frozen=True)
class Into:
    """Where it goes: a case there is, or a new one with its name and reason."""

    case_id: str
    name: str
    reason: str
    hears: UserId | None = None
    """Somebody who is admitted to the case at once."""


async def get_dialog(request: web.Request) -> web.StreamResponse:
    """Ask into which case recordings go that are ticked or found."""
    wanted = _asked(request.query.getall("id", []), request.query)
    return await _show(request, wanted, {}, {} if wanted.ids or wanted.search is not None else NOTHING)


async def get_dialog_of_one(request: web.Request) -> web.StreamResponse:
    """Ask into which case one recording goes."""
    recording_id = recording_id_of(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    await asyncio.to_thread(cases.of_recording, catalogue, scope, recording_id)
    return await _show(request, Wanted((recording_id,), single=True), {})


async def post_hold(request: web.Request) -> web.StreamResponse:
    """Hold what is ticked or found, and lead to the case."""
    form = await fields_of(request)
    wanted = _asked((await request.post()).getall("id", []), form)
    if not wanted.ids and wanted.search is None:
        return await _show(request, wanted, form, NOTHING, HTTPStatus.BAD_REQUEST)
    done = await _hold(request, wanted, form)
    if isinstance(done, web.StreamResponse):
        return done
    case, added = done
    told = {"late": str(len(added.going))} if added.going else {}
    if form.get("next") == EXPORT:
        told["export"] = "1"
    return see_other(request, str(URL(f"{CASES_PAGE}/{case.id}").with_query(told)))


async def post_hold_of_one(request: web.Request) -> web.StreamResponse:
    """Hold one recording, and lead back to it."""
    recording_id = recording_id_of(request)
    done = await _hold(request, Wanted((recording_id,), single=True), await fields_of(request))
    if isinstance(done, web.StreamResponse):
        return done
    # An administrator may hold what they do not hear.
    back = f"/recordings/{recording_id}" if request[SCOPE].reads_all else f"{CASES_PAGE}/{done[0].id}"
    return see_other(request, back)


NOTHING: Mapping[str, str] = {"": NO_SELECTION}


async def _hold(
    request: web.Request, wanted: Wanted, form: Mapping[str, str]
) -> tuple[Case, Added] | web.StreamResponse:
    """Hold what is wanted; return the case, or the form again with what is the matter."""
    name, reason = form.get("name", "").strip(), form.get("reason", "").strip()
    into = Into(form.get("case", ""), name, reason, UserId(form.get("hears", "")) or None)
    faults = {} if into.case_id else _faults(wanted, into)
    query = None
    try:
        query = None if wanted.search is None else holding.searched(request, wanted.search)
    except (Problem, ValueError):
        faults = {**faults, "": NO_SEARCH}
    if faults:
        return await _show(request, wanted, form, faults, HTTPStatus.BAD_REQUEST)
    later = await asyncio.to_thread(_later, request, query) if form.get("later") else None
    try:
        return await _put(request, wanted, query, later, into)
    except (NotFound, Conflict, Refused) as error:
        await request[ENTRY].make("refused")
        fault = _told(error)
        return await _show(request, wanted, form, {"": fault}, HTTPStatus.CONFLICT)


async def _put(
    request: web.Request,
    wanted: Wanted,
    query: RecordingQuery | None,
    later: Later | None,
    into: Into,
) -> tuple[Case, Added]:
    """Put what is wanted into the case, opened first where it is new, in the transaction of the entry."""
    scope, services = request[SCOPE], request.app[SERVICES]

    def make() -> tuple[Case, Added]:
        now = services.clock.now()
        with request[ENTRY].transaction() as connection:
            case_id, told = into.case_id, dict[str, Json]()
            if not case_id:
                case_id = cases.open_case(connection, scope, into.name, into.reason, now=now)
            if later is not None:
                # First, so that of calls archived at this moment none falls between search and rule.
                rule = cases.add_rule(connection, scope, case_id, later.user_id, later.number, now=now)
                told["rule"] = rule.id
            if into.hears is not None:
                case_people.admit(connection, scope, case_id, into.hears, now=now)
                told["user"] = into.hears
            if wanted.single:
                cases.add_one(connection, scope, case_id, wanted.ids[0], now=now)
                request[SUBJECT], request[DETAILS] = f"recording:{wanted.ids[0]}", {"case": case_id}
                added = Added(1, wanted.ids)
            else:
                added = holding.fill_within(request, connection, case_id, wanted.ids, query)
                request[SUBJECT] = f"case:{case_id}"
            details = request[DETAILS]
            request[DETAILS] = {**details, **told}
            return cases.read(connection, scope, case_id), added

    made = await asyncio.to_thread(make)
    await holding.follow(request)
    return made


def _faults(wanted: Wanted, into: Into) -> dict[str, str]:
    """Return what is the matter with a new case; the one of a single recording needs no name."""
    faults = {}
    if not (wanted.single or into.name) or len(into.name) > NAME_CHARS_MAX:
        faults["name"] = NO_NAME
    if not 1 <= len(into.reason) <= REASON_CHARS_MAX:
        faults["reason"] = NO_REASON
    return faults


def _told(error: NotFound | Conflict | Refused) -> str:
    if isinstance(error, cases.BeingDestroyed):
        return TOO_LATE
    if isinstance(error, NotFound):
        return UNKNOWN
    return TOO_MANY if isinstance(error, Refused) else NOT_NOW


async def _show(
    request: web.Request,
    wanted: Wanted,
    form: Mapping[str, str],
    faults: Mapping[str, str] | None = None,
    status: int = HTTPStatus.OK,
) -> web.Response:
    """Return the form: within a dialog, alone for a dialog that stands there, or as a page."""
    services, scope = request.app[SERVICES], request[SCOPE]
    query = _query(request, wanted)

    def load() -> tuple[tuple[Case, ...], Count | None, Later | None, Sequence[User]]:
        offered = cases.holding(services.catalogue, scope, OFFERED_CASES_COUNT)
        counted = None if query is None else listing.count(services.catalogue, scope, query)
        page = people.page(services.catalogue, scope.tenant_id, limit=OFFERED_PEOPLE_COUNT)
        hearers = [each for each in page.items if each.role is not Role.AUDITOR] if may_admit(scope) else []
        return offered, counted, _later(request, query), hearers

    offered, counted, later, hearers = await asyncio.to_thread(load)
    template = "holds/page.html"
    if is_htmx(request):
        template = "holds/_form.html" if request.method == "POST" else "holds/dialog.html"
    return render(
        request,
        template,
        status=status,
        wanted=wanted,
        form=form,
        faults=faults or {},
        offered=offered,
        counted=counted,
        text="" if query is None or query.text is None else query.text,
        later=later,
        hearers=hearers,
        exports=may_take_evidence(scope) and not wanted.single,
        name_chars_max=NAME_CHARS_MAX,
        reason_chars_max=REASON_CHARS_MAX,
        back=_back(wanted),
        whole=template == "holds/page.html",
    )


def _query(request: web.Request, wanted: Wanted) -> RecordingQuery | None:
    """Return the search there is; what can't be read is told when it is sent."""
    if wanted.search is None or not request[SCOPE].reads_all:
        return None
    try:
        return holding.searched(request, wanted.search)
    except (Problem, ValueError):
        return None


def _later(request: web.Request, query: RecordingQuery | None) -> Later | None:
    """Return whose later calls can be held beside what a search finds, None where it names nobody."""
    if query is None:
        return None
    if query.owner is not None:
        scope = request[SCOPE]
        found = listing.logins_of(request.app[SERVICES].catalogue, scope, [query.owner])
        return Later(user_id=query.owner, name=found[query.owner]) if query.owner in found else None
    number = "" if query.text is None else canonical(query.text)
    digits = number.removeprefix("+")
    return Later(number=number) if digits.isdigit() and len(digits) >= NUMBER_DIGITS_MIN else None


def _back(wanted: Wanted) -> str:
    if wanted.single:
        return f"/recordings/{wanted.ids[0]}"
    return filters.address_of(filters.of_saved(wanted.search or ""))


def _asked(given: Sequence[object], fields: Mapping[str, str]) -> Wanted:
    """Return what an address or a form asks to hold; ticks come before a search."""
    ids = tuple(dict.fromkeys(RecordingId(str(each)) for each in given if is_recording_id(str(each))))
    if ids:
        return Wanted(ids)
    return Wanted(search=fields["search"]) if "search" in fields else Wanted()


HOLD_ROUTES = (
    Route("GET", f"{PAGE}/new", get_dialog, Scope.HOLDS, "cases.listed", page=True),
    Route("POST", PAGE, post_hold, Scope.HOLDS, "case.filled", page=True),
    Route("GET", "/recordings/{id}/holds", get_dialog_of_one, Scope.HOLDS, "holds.viewed", page=True),
    Route("POST", "/recordings/{id}/holds", post_hold_of_one, Scope.HOLDS, "recording.held", page=True),
)
