"""Cases: what is under a legal hold and why, put there by a search or one by one, released by two people.

Rules: for administrators and auditors. An administrator sees when calls were and that they are
held, and opens none by this. Every button does what the API does, with the same entry in the
log. Not here: what a hold is (`archive.catalogue.cases`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope, may_admit, may_release, may_take_evidence
from archive.catalogue import cases, people, recordings
from archive.catalogue.cases import NAME_CHARS_MAX, REASON_CHARS_MAX, Case, Member
from archive.catalogue.recordings import RecordingQuery
from archive.errors import ArchiveError, CatalogueUnavailable, Conflict, NotFound, Refused
from archive.model import Recording, RecordingId, UserId
from playback_portal import cases as holding
from playback_portal import logins
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.route import Handler, Route
from playback_portal.rows import other_parties, remaining
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_in, recording_id_of

PAGE = "/cases"
ROWS_COUNT = 50
OFFERED_PEOPLE_COUNT = 200
"""To choose from while typing; of more, the sign-in name is typed whole."""

USER = "user:"
LATE_DIGITS_MAX = 6

STATES = {
    "holding": mark("Holds"),
    "release asked": mark("Release asked"),
    "released": mark("Released"),
}

NEEDED = mark("Give the case a name and a reason.")
NO_RECORDING = mark("This is no id of a recording.")
UNKNOWN = mark("There is no such recording, person or case.")
TOO_LATE = mark("The recording is being destroyed and can't be held any more.")
NOT_NOW = mark("This can't be done as the case stands now.")
NOT_YOURS = mark("This is for somebody else to do.")
NOBODY = mark("Nobody has this sign-in name.")
NO_SEARCH = mark("The filters can't be read. Search on the list first and come back.")


async def list_cases(request: web.Request) -> web.StreamResponse:
    """Show the cases, newest first."""
    services, scope = request.app[SERVICES], request[SCOPE]
    after = request.query.get("cursor")
    found, following = await asyncio.to_thread(cases.page, services.catalogue, scope, ROWS_COUNT, after)
    names = await _names(request, (each.opened_by for each in found))
    return render(
        request, "cases/list.html", cases=found, next=following, cursor=after, states=STATES, names=names
    )


async def get_new_case(request: web.Request) -> web.StreamResponse:
    """Show what a new case needs."""
    return _new(request, {})


async def post_case(request: web.Request) -> web.StreamResponse:
    """Open a case and lead to it."""
    form = await fields_of(request)
    name, reason = form.get("name", "").strip(), form.get("reason", "").strip()
    if not 1 <= len(name) <= NAME_CHARS_MAX or not 1 <= len(reason) <= REASON_CHARS_MAX:
        return _new(request, form, NEEDED)
    case, _ = await holding.open_case(request, name, reason, (), None)
    return see_other(request, f"{PAGE}/{case.id}")


async def get_case(request: web.Request) -> web.StreamResponse:
    """Show a case: what it holds, by which rules, and how its release stands."""
    return await _page(request)


async def post_recording(request: web.Request) -> web.StreamResponse:
    """Put a recording into the case by its id."""
    text = (await fields_of(request)).get("recording", "")
    recording_id = recording_id_in(text)
    if recording_id is None:
        return await _page(request, NO_RECORDING)
    case_id = recording_id_of(request)
    try:
        added = await holding.fill(request, case_id, [recording_id], None)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return await _page(request, TOO_LATE) if added.going else see_other(request, f"{PAGE}/{case_id}")


async def post_rule(request: web.Request) -> web.StreamResponse:
    """Let the later calls of a number, or of a person by their login, come into the case."""
    case_id, whose = recording_id_of(request), (await fields_of(request)).get("number", "").strip()
    user_id = await _person(request, whose)
    try:
        await holding.add_rule(request, case_id, user_id, None if user_id else whose)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def post_rule_end(request: web.Request) -> web.StreamResponse:
    """Let no later calls come in by a rule."""
    case_id = recording_id_of(request)
    try:
        await holding.end_rule(request, case_id, request.match_info["rule"])
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def post_person(request: web.Request) -> web.StreamResponse:
    """Let a person hear what the case holds."""
    case_id, login = recording_id_of(request), (await fields_of(request)).get("person", "").strip()
    user_id = await _person(request, login)
    if user_id is None:
        return await _page(request, NOBODY)
    try:
        await holding.admit(request, case_id, user_id)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def post_person_removal(request: web.Request) -> web.StreamResponse:
    """End what a person hears by the case."""
    case_id = recording_id_of(request)
    try:
        await holding.take_off(request, case_id, UserId(request.match_info["user"]))
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def post_release(request: web.Request) -> web.StreamResponse:
    """Ask for the release of the case."""
    case_id, reason = recording_id_of(request), (await fields_of(request)).get("reason", "").strip()
    if not 1 <= len(reason) <= REASON_CHARS_MAX:
        return await _page(request, mark("Say why the case can be released."))
    try:
        await holding.ask_release(request, case_id, reason)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def post_refusal(request: web.Request) -> web.StreamResponse:
    """Take back or refuse what was asked."""
    case_id = recording_id_of(request)
    try:
        await holding.refuse_release(request, case_id)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def post_approval(request: web.Request) -> web.StreamResponse:
    """Grant the release another person asked for."""
    case_id = recording_id_of(request)
    try:
        await holding.grant_release(request, case_id)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error)
    return see_other(request, f"{PAGE}/{case_id}")


async def _refused(request: web.Request, error: ArchiveError) -> web.Response:
    """Return the page with why it was not done; the refusal stands in the log."""
    await request[ENTRY].make("refused")
    told = {NotFound: UNKNOWN, Conflict: NOT_NOW, Refused: NOT_YOURS}
    return await _page(request, next(text for kind, text in told.items() if isinstance(error, kind)))


async def _page(request: web.Request, fault: str = "") -> web.Response:
    services, scope, case_id = request.app[SERVICES], request[SCOPE], recording_id_of(request)
    after = request.query.get("cursor") if request.method == "GET" else None

    def load() -> tuple[Case, tuple[Member, ...], str | None, Mapping[RecordingId, Recording], list[str]]:
        case = cases.get(services.catalogue, scope, case_id)
        members, following = cases.members(services.catalogue, scope, case_id, ROWS_COUNT, after)
        known: Mapping[RecordingId, Recording] = {}
        if scope.reads_all:
            of_case = RecordingQuery(case=case_id)
            found = recordings.find(services.catalogue, scope, of_case, ROWS_COUNT, after)
            known = {each.id: each for each in found.items}
        offered = people.page(services.catalogue, scope.tenant_id, limit=OFFERED_PEOPLE_COUNT)
        return case, members, following, known, [each.login for each in offered.items]

    case, members, following, known, offered = await asyncio.to_thread(load)
    ruled = (f"{USER}{rule.user_id}" for rule in case.rules if rule.user_id is not None)
    owners = (f"{USER}{each.owner}" for each in known.values() if each.owner is not None)
    names = await _names(request, (*_actors(case), *ruled, *owners))
    return render(
        request,
        "cases/page.html",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        case=case,
        members=members,
        next=following,
        cursor=after,
        states=STATES,
        names=names,
        fault=fault,
        late=_late(request),
        begins_export=request.query.get("export") == "1",
        opens=scope.reads_all,
        known=known,
        other=other_parties,
        offered=offered,
        may_admit=may_admit(scope),
        remaining=lambda until: remaining(until, services.clock.now()),
        exports=may_take_evidence(scope) and case.recordings > 0,
        may_release=may_release(scope),
        asked_by_me=case.release_asked_by == scope.actor,
        reason_chars_max=REASON_CHARS_MAX,
    )


def _late(request: web.Request) -> int:
    """Return how many recordings came too late for the hold that led here."""
    text = request.query.get("late", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LATE_DIGITS_MAX else 0


def _new(request: web.Request, form: dict[str, str], fault: str = "") -> web.Response:
    return render(
        request,
        "cases/new.html",
        status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
        form=form,
        fault=fault,
        name_chars_max=NAME_CHARS_MAX,
        reason_chars_max=REASON_CHARS_MAX,
    )


def _actors(case: Case) -> list[str]:
    return [each for each in (case.opened_by, case.release_asked_by, case.released_by) if each is not None]


async def _person(request: web.Request, login: str) -> UserId | None:
    """Return the id of who signs in by this name, None for nobody."""
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    return await asyncio.to_thread(logins.person_of, catalogue, tenant_id, login)


async def _names(request: web.Request, actors: Iterable[str]) -> dict[str, str]:
    """Return the login of each person among the actors; programs and who is gone have none."""
    try:
        return await asyncio.to_thread(
            logins.names_of, request.app[SERVICES].catalogue, request[SCOPE], actors
        )
    except CatalogueUnavailable:
        return {}


def _row(
    method: str, path: str, handler: Handler, audit: str, subject: str = "case", *, fresh: bool = False
) -> Route:
    return Route(method, path, handler, Scope.HOLDS, audit, subject, page=True, fresh=fresh)


CASE_PAGE_ROUTES = (
    _row("GET", PAGE, list_cases, "cases.listed"),
    _row("GET", f"{PAGE}/new", get_new_case, "cases.listed"),
    _row("POST", PAGE, post_case, "case.opened"),
    _row("GET", f"{PAGE}/{{id}}", get_case, "case.viewed"),
    _row("POST", f"{PAGE}/{{id}}/recordings", post_recording, "case.filled"),
    _row("POST", f"{PAGE}/{{id}}/rules", post_rule, "case.rule-added"),
    _row("POST", f"{PAGE}/{{id}}/rules/{{rule}}/end", post_rule_end, "case.rule-ended"),
    _row("POST", f"{PAGE}/{{id}}/people", post_person, "case.person-admitted"),
    _row("POST", f"{PAGE}/{{id}}/people/{{user}}/removal", post_person_removal, "case.person-removed"),
    _row("POST", f"{PAGE}/{{id}}/release", post_release, "case.release-asked"),
    _row("POST", f"{PAGE}/{{id}}/refusal", post_refusal, "case.release-refused"),
    _row("POST", f"{PAGE}/{{id}}/approval", post_approval, "case.released", fresh=True),
)
