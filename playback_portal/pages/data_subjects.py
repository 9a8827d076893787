"""Privacy requests for people: the list with its clock, and one request as steps with dates and people.

Rules: for administrators and auditors. An administrator keeps the books; looking for calls,
deciding about them and the package are the auditor's. Every button does what the API does,
with the same entry in the log (`playback_portal.data_subject_steps`). What was typed stays
in the form that was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from archive.access import Scope, may_find_data_subject, may_take_evidence
from archive.audit import AuditEntry
from archive.catalogue import data_subjects
from archive.catalogue.data_subject_calls import SOUGHT_CHARS_MAX, Call
from archive.catalogue.data_subjects import (
    ANSWER_CHARS_MAX,
    LINE_CHARS_MAX,
    NOTE_CHARS_MAX,
    NewRequest,
    Request,
)
from archive.catalogue.exports import ExportState
from archive.data_subject import (
    GROUND_OF,
    GROUNDS,
    SOON_DAYS,
    Ground,
    Identification,
    Inseparable,
    Outcome,
    RequestKind,
    SoughtBy,
    Treatment,
    due_on,
    today,
)
from archive.errors import ArchiveError, CatalogueUnavailable, Conflict, NotFound, Refused
from archive.model import RecordingId
from playback_portal import data_subject_steps as steps
from playback_portal import data_subject_words as words
from playback_portal import logins
from playback_portal.language import mark
from playback_portal.page import partial, render, see_other
from playback_portal.pages import exports as evidence
from playback_portal.pages.sign_in import fields_of
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

PAGE = "/data-subjects"
ROWS_COUNT = 50
CALLS_COUNT = 100

NEEDED = mark("Fill in who asks, where the answer goes, and the day it was received.")
NO_DAY = mark("A request was received today or before, and not years ago.")
NO_REASON = mark("Say why.")
NO_CALLS = mark("Tick at least one call.")
NOT_SOUGHT = mark("This is no number or name to look for, or it finds too many calls.")
UNKNOWN = mark("There is no such person or call.")
NOT_NOW = mark("This can't be done as the request stands now.")
NOT_MUTED = mark("Say why; and where nobody can be silenced, give it whole or leave it out.")
NO_EXPORT = mark("Decide about every call first. The package is asked for by an auditor.")
NO_ANSWER = mark("Write what was answered; what is not granted needs a ground that fits the request.")

_E = TypeVar("_E", Identification, Outcome, Ground, SoughtBy, Treatment, RequestKind)


async def list_requests(request: web.Request) -> web.StreamResponse:
    """Show the requests, newest first, with the days that are left."""
    services, scope = request.app[SERVICES], request[SCOPE]
    after, only_open = request.query.get("cursor"), request.query.get("open") == "1"

    def read() -> tuple[tuple[Request, ...], str | None]:
        return data_subjects.page(services.catalogue, scope, ROWS_COUNT, after, only_open=only_open)

    found, following = await asyncio.to_thread(read)
    return render(
        request,
        "data_subjects/list.html",
        requests=found,
        next=following,
        cursor=after,
        only_open=only_open,
        on=today(services.clock.now()),
        soon_days=SOON_DAYS,
        words=words,
    )


async def get_new_request(request: web.Request) -> web.StreamResponse:
    """Show what is needed to take a request in."""
    return _new(request, {"receivedOn": today(request.app[SERVICES].clock.now()).isoformat()})


async def post_request(request: web.Request) -> web.StreamResponse:
    """Take a request in and lead to it."""
    form = await fields_of(request)
    name, contact = form.get("name", "").strip(), form.get("contact", "").strip()
    kind, received_on = _word(RequestKind, form.get("kind", "")), _day(form.get("receivedOn", ""))
    lines = all(1 <= len(each) <= LINE_CHARS_MAX for each in (name, contact))
    if kind is None or received_on is None or not lines:
        return _new(request, form, NEEDED)
    try:
        made = await steps.take_in(request, NewRequest(kind, name, contact, received_on))
    except Refused:
        await request[ENTRY].make("refused")
        return _new(request, form, NO_DAY)
    return see_other(request, f"{PAGE}/{made.id}")


async def get_request(request: web.Request) -> web.StreamResponse:
    """Show a request: its steps, and what to do next."""
    return await _page(request)


async def get_exports(request: web.Request) -> web.StreamResponse:
    """Show how far the packages of a request are."""
    found = await steps.request_of(request)
    known = await steps.found_of(request, found)
    return partial(
        request,
        "data_subjects/_exports.html",
        subject=found,
        known=known,
        states=evidence.STATES,
        waiting=ExportState.WAITING,
        exporter=may_take_evidence(request[SCOPE]),
    )


async def post_identification(request: web.Request) -> web.StreamResponse:
    """Write down how it was made sure who asks."""
    form = await fields_of(request)
    how = _word(Identification, form.get("how", ""))
    if how is None:
        return await _page(request, NO_REASON, "identify", form)
    note = form.get("note", "").strip()[:NOTE_CHARS_MAX]
    return await _stepped(
        request, "identify", form, lambda request_id: steps.identify(request, request_id, how, note)
    )


async def post_extension(request: web.Request) -> web.StreamResponse:
    """Give the answer two months more."""
    form = await fields_of(request)
    reason = form.get("reason", "").strip()[:NOTE_CHARS_MAX]
    if not reason:
        return await _page(request, NO_REASON, "extend", form)
    return await _stepped(
        request, "extend", form, lambda request_id: steps.extend(request, request_id, reason)
    )


async def post_search(request: web.Request) -> web.StreamResponse:
    """Look for the calls of the person."""
    form = await fields_of(request)
    by, text = _word(SoughtBy, form.get("by", "")), form.get("text", "").strip()[:SOUGHT_CHARS_MAX]
    if by is None or not text:
        return await _page(request, NOT_SOUGHT, "search", form)
    if by is SoughtBy.USER:
        catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
        user_id = await asyncio.to_thread(logins.person_of, catalogue, tenant_id, text)
        text = user_id or text
    return await _stepped(
        request,
        "search",
        form,
        lambda request_id: steps.search(request, request_id, by, text),
        refused=NOT_SOUGHT,
    )


async def post_choice(request: web.Request) -> web.StreamResponse:
    """Decide about the calls that are ticked, or silence others wherever nothing was decided."""
    form = await fields_of(request)
    ticked = [RecordingId(str(each)) for each in (await request.post()).getall("id", [])]
    everywhere = form.get("all") == "1"
    treatment = Treatment.MUTED if everywhere else _word(Treatment, form.get("treatment", ""))
    if treatment is None or not (everywhere or ticked):
        return await _page(request, NO_CALLS, "choose", form)
    ids, reason = None if everywhere else ticked, form.get("reason", "").strip()[:NOTE_CHARS_MAX]
    return await _stepped(
        request,
        "choose",
        form,
        lambda request_id: steps.choose(request, request_id, ids, treatment, reason),
        refused=NOT_MUTED,
    )


async def post_export(request: web.Request) -> web.StreamResponse:
    """Ask for the package of what is given."""
    return await _stepped(
        request, "export", {}, lambda request_id: steps.export(request, request_id), refused=NO_EXPORT
    )


async def post_answer(request: web.Request) -> web.StreamResponse:
    """Write down what was answered."""
    form = await fields_of(request)
    outcome, text = _word(Outcome, form.get("outcome", "")), form.get("text", "").strip()[:ANSWER_CHARS_MAX]
    if outcome is None or not text:
        return await _page(request, NO_ANSWER, "answer", form)
    # What is granted has no ground, whatever the list under it stands on.
    ground = None if outcome is Outcome.GRANTED else _word(Ground, form.get("ground", ""))
    return await _stepped(
        request,
        "answer",
        form,
        lambda request_id: steps.answer(request, request_id, outcome, ground, text),
        refused=NO_ANSWER,
    )


async def post_closing(request: web.Request) -> web.StreamResponse:
    """Close a request that was answered, or that was withdrawn."""
    form = await fields_of(request)
    note = form.get("note", "").strip()[:NOTE_CHARS_MAX]
    return await _stepped(request, "close", form, lambda request_id: steps.close(request, request_id, note))


async def _stepped(
    request: web.Request,
    step: str,
    form: Mapping[str, str],
    take: Callable[[str], Awaitable[object]],
    refused: str = NOT_NOW,
) -> web.StreamResponse:
    """Take a step and lead back to the page at that step, or show there why it was not taken."""
    request_id = recording_id_of(request)
    try:
        await take(request_id)
    except (NotFound, Conflict, Refused) as error:
        await request[ENTRY].make("refused")
        return await _page(request, _told(error, refused), step, form)
    return see_other(request, f"{PAGE}/{request_id}#step-{step}")


def _told(error: ArchiveError, refused: str) -> str:
    if isinstance(error, NotFound):
        return UNKNOWN
    if str(error) == steps.OTHER_NEEDED:
        return steps.OTHER_NEEDED
    return NOT_NOW if isinstance(error, Conflict) else refused


async def _page(
    request: web.Request, fault: str = "", step: str = "", form: Mapping[str, str] | None = None
) -> web.Response:
    scope = request[SCOPE]
    after = request.query.get("cursor") if request.method == "GET" else None
    found = await steps.request_of(request)
    known = await steps.found_of(request, found)
    calls: Sequence[Call] = ()
    following = None
    if may_find_data_subject(scope):
        calls, following = await steps.calls_of(request, found.id, CALLS_COUNT, after)
    log = await steps.history_of(request, found.id)
    sought_users = [each.sought.value for each in known.searches if each.sought.by is SoughtBy.USER]
    return render(
        request,
        "data_subjects/page.html",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        subject=found,
        known=known,
        calls=calls,
        bars=await steps.bars_of(request, calls),
        next=following,
        cursor=after,
        log=log,
        names=await _names(request, log, sought_users),
        fault=fault,
        fault_at=step,
        form=form or {},
        finds=may_find_data_subject(scope),
        extended_until=due_on(found.received_on, extended=True),
        grounds=[each for each, (_, kinds) in GROUNDS.items() if found.kind in kinds],
        articles={each: article for each, (article, _) in GROUNDS.items()},
        ground_of=GROUND_OF,
        inseparable=Inseparable,
        reference=steps.reference_of(found),
        note_chars_max=NOTE_CHARS_MAX,
        answer_chars_max=ANSWER_CHARS_MAX,
        sought_chars_max=SOUGHT_CHARS_MAX,
        on=today(request.app[SERVICES].clock.now()),
        soon_days=SOON_DAYS,
        words=words,
        states=evidence.STATES,
        waiting=ExportState.WAITING,
        exporter=may_take_evidence(scope),
    )


def _new(request: web.Request, form: Mapping[str, str], fault: str = "") -> web.Response:
    return render(
        request,
        "data_subjects/new.html",
        status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
        form=form,
        fault=fault,
        line_chars_max=LINE_CHARS_MAX,
        on=today(request.app[SERVICES].clock.now()),
        words=words,
    )


async def _names(request: web.Request, log: Sequence[AuditEntry], user_ids: Sequence[str]) -> dict[str, str]:
    """Return the login of each person of the log and of the searches; who is gone has none."""
    actors = [*(each.actor for each in log), *(f"user:{each}" for each in user_ids)]
    try:
        return await asyncio.to_thread(
            logins.names_of, request.app[SERVICES].catalogue, request[SCOPE], actors
        )
    except CatalogueUnavailable:
        return {}


def _word(known: type[_E], text: str) -> _E | None:
    try:
        return known(text)
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    subject = "data-subject-request"
    return Route(method, PAGE + path, handler, Scope.DATA_SUBJECTS, audit, subject, page=True)


DATA_SUBJECT_PAGE_ROUTES = (
    _row("GET", "", list_requests, "data-subjects.listed"),
    _row("GET", "/new", get_new_request, "data-subjects.listed"),
    _row("POST", "", post_request, "data-subject.taken-in"),
    _row("GET", "/{id}", get_request, "data-subject.viewed"),
    _row("GET", "/{id}/exports", get_exports, "data-subject.viewed"),
    _row("POST", "/{id}/identification", post_identification, "data-subject.identified"),
    _row("POST", "/{id}/extension", post_extension, "data-subject.extended"),
    _row("POST", "/{id}/searches", post_search, "data-subject.searched"),
    _row("POST", "/{id}/choices", post_choice, "data-subject.chosen"),
    _row("POST", "/{id}/exports", post_export, "data-subject.export-asked"),
    _row("POST", "/{id}/answer", post_answer, "data-subject.answered"),
    _row("POST", "/{id}/closing", post_closing, "data-subject.closed"),
)
