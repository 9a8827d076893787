"""Evaluations as results: one's own, those of the people one evaluates, and each with its answers.

The person an evaluation is about reads it here, also when they may not hear their calls, and
acknowledges or disputes it. What is asked of the results of others stands in the address.

Rules: reads nothing that the archive does not give whoever asks (`archive.catalogue.evaluations`,
`archive.catalogue.evaluation_results`), and opens an evaluation of somebody else with a purpose
where the tenant wants one; audit entries never hold what was said.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from archive.access import AccessScope, Scope, may_make_forms, needs_purpose
from archive.access import evaluating as narrowed
from archive.allowance import month_of
from archive.catalogue import (
    evaluation_forms,
    evaluation_results,
    evaluation_samples,
    evaluations,
    listing,
    recordings,
)
from archive.catalogue.engine import Catalogue
from archive.catalogue.evaluation_results import Average, Choices, Result, Wanted
from archive.catalogue.evaluation_samples import Sample
from archive.catalogue.evaluations import Evaluation
from archive.errors import Conflict, NotFound
from archive.evaluation import RELEASED_STATES, TABLE, Event, State
from archive.model import Recording, RecordingId, Role, UserId
from playback_portal import evaluating, logins
from playback_portal.annotated import tell
from playback_portal.evaluating import Sheet
from playback_portal.evaluation_results import read_category
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.annotations import change, form_of
from playback_portal.pages.evaluations import words_of
from playback_portal.parameters import CALENDAR
from playback_portal.problems import Problem
from playback_portal.purposes import purpose_of
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of

PAGE = "/evaluations"
DISPUTED = Wanted(state=State.DISPUTED)
REPLIES = (Event.ACKNOWLEDGE, Event.DISPUTE)
"""What the person it is about can do with it."""


@dataclass(frozen=True)
class Overview:
    """Everything the page of evaluations lists. `names` are logins by user id.

    `disputes` are those that who asks may settle: whoever made one may be gone, or may no longer.
    `choices` is what results of others can be asked by, its people by name; `more` is whether the
    list does not show all of them.
    """

    own: list[Result]
    drafts: list[Result]
    disputes: tuple[Result, ...]
    others: tuple[Result, ...]
    more: bool
    averages: list[Average]
    choices: Choices
    names: dict[UserId, str]


@dataclass(frozen=True)
class Asked:
    """What is asked of the results of others, as the form has it; "" is any."""

    person: str = ""
    form: str = ""
    state: str = ""
    since: str = ""
    until: str = ""
    category: str = ""

    @property
    def wanted(self) -> Wanted:
        """It as the archive is asked; the last day counts whole."""
        since, until = _day(self.since), _day(self.until)
        return Wanted(
            UserId(self.person) if self.person else None,
            self.form or None,
            State(self.state) if self.state else None,
            None if since is None else _midnight(since),
            None if until is None else _midnight(until + timedelta(days=1)),
            self.category or None,
        )

    @property
    def file(self) -> str:
        """Return the address of all of it as a table for spreadsheets."""
        given = {"owner": self.person, "formId": self.form, "state": self.state, "from": self.since}
        until = _day(self.until)
        given["to"] = "" if until is None else (until + timedelta(days=1)).isoformat()
        given["category"] = self.category
        return f"/v1/evaluations?{urlencode({'format': 'csv', **{k: v for k, v in given.items() if v}})}"


@dataclass(frozen=True)
class Drawing:
    """Samples, and what another one may be drawn of: teams and forms by id and name, and this month."""

    samples: list[Sample]
    teams: list[tuple[str, str]]
    forms: list[tuple[str, str]]
    month: date


async def list_results(request: web.Request) -> web.StreamResponse:
    """Show one's own results, and those of the people one may evaluate."""
    return await list_page(request)


async def list_page(request: web.Request, fault: str = "") -> web.Response:
    """Return the page of evaluations, with what is wrong with a sample that was to be drawn."""
    services, scope, asked = request.app[SERVICES], request[SCOPE], _asked(request)
    now = services.clock.now()
    hides = await asyncio.to_thread(evaluation_results.hides_few, services.catalogue, scope)
    return render(
        request,
        "evaluations/list.html",
        leaves_out=hides and asked.category != "",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        fault=fault,
        overview=await asyncio.to_thread(_overview, services.catalogue, scope, asked.wanted),
        asked=asked,
        drawing=await asyncio.to_thread(_drawing, services.catalogue, scope, now),
        evaluates=narrowed(scope) is not None,
        sees_others=narrowed(scope) is not None or scope.role is Role.AUDITOR,
        may_make=may_make_forms(scope),
        **evaluating.words(),
    )


async def get_result(request: web.Request) -> web.StreamResponse:
    """Show one evaluation with its answers."""
    return await _page(request)


async def post_acknowledgement(request: web.Request) -> web.StreamResponse:
    """Say that one has seen it."""
    evaluation_id = recording_id_of(request)
    try:
        after = await change(
            request,
            lambda catalogue, scope, now: evaluations.reply(
                catalogue, scope, evaluation_id, Event.ACKNOWLEDGE, now=now
            ),
        )
    except Conflict:
        # Pressed twice, or disputed meanwhile: the page tells how it stands.
        await request[ENTRY].make("refused")
        return see_other(request, f"{PAGE}/{evaluation_id}")
    tell(request, recording=after.recording_id, state=after.state.value)
    return see_other(request, f"{PAGE}/{evaluation_id}")


async def post_dispute(request: web.Request) -> web.StreamResponse:
    """Say what is wrong with it."""
    evaluation_id = recording_id_of(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    await asyncio.to_thread(evaluations.about, catalogue, scope, evaluation_id)
    said = words_of(await form_of(request))
    after = await change(
        request,
        lambda catalogue, scope, now: evaluations.reply(
            catalogue, scope, evaluation_id, Event.DISPUTE, words=said, now=now
        ),
    )
    tell(request, recording=after.recording_id, state=after.state.value)
    return see_other(request, f"{PAGE}/{evaluation_id}")


async def _page(request: web.Request) -> web.StreamResponse:
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    evaluation_id = recording_id_of(request)

    found, recording = await asyncio.to_thread(_found, catalogue, scope, evaluation_id)
    tell(request, recording=found.recording_id)
    if recording is not None:
        await _require_purpose(request, recording)
    hears, mine = recording is not None, found.owner == scope.user_id
    names = await asyncio.to_thread(
        logins.names_of, catalogue, scope, [found.evaluator, f"user:{found.owner}"]
    )
    return render(
        request,
        "evaluations/result.html",
        status=HTTPStatus.OK,
        one=found,
        sheet=Sheet(found.form, found.answers),
        hears=hears,
        about_me=mine,
        replies=[event for event in REPLIES if (found.state, event) in TABLE] if mine else [],
        names=names,
        **evaluating.words(),
    )


async def _require_purpose(request: web.Request, recording: Recording) -> None:
    """Lead to where somebody says what they open a recording for, unless they did or need not."""
    purpose = await purpose_of(request, recording.id)
    if purpose is not None:
        tell(request, purpose=purpose)
    elif needs_purpose(request[SCOPE], recording):
        detail = mark("This recording is somebody else's: say what you open it for.")
        there = {"Location": f"/recordings/{recording.id}#evaluations"}
        raise Problem(HTTPStatus.FORBIDDEN, "purpose-required", detail, headers=there)


def _found(
    catalogue: Catalogue, scope: AccessScope, evaluation_id: str
) -> tuple[Evaluation, Recording | None]:
    """Return an evaluation, and its recording if who asks reaches that too; raises NotFound."""
    recording_id = evaluations.recording_of(catalogue, scope, evaluation_id)
    try:
        recording = recordings.get(catalogue, scope, RecordingId(recording_id)).recording
    except NotFound:
        return evaluations.about(catalogue, scope, evaluation_id), None
    return evaluations.get(catalogue, scope, recording, evaluation_id), recording


def _drawing(catalogue: Catalogue, scope: AccessScope, now: datetime) -> Drawing:
    forms = evaluation_forms.of_tenant(catalogue, scope) if narrowed(scope) is not None else []
    return Drawing(
        evaluation_samples.samples(catalogue, scope),
        evaluation_samples.drawable_teams(catalogue, scope),
        [(each.id, each.name) for each in forms],
        month_of(now),
    )


def _overview(catalogue: Catalogue, scope: AccessScope, wanted: Wanted) -> Overview:
    own = evaluation_results.of_person(catalogue, scope)
    drafts = evaluation_results.drafts(catalogue, scope)
    settles = narrowed(scope) is not None
    disputed = evaluation_results.of_others(catalogue, scope, DISPUTED).items if settles else ()
    others = evaluation_results.of_others(catalogue, scope, wanted)
    averages = evaluation_results.averages(catalogue, scope, wanted) if others.items else []
    choices = evaluation_results.choices(catalogue, scope)
    shown = evaluation_results.people_in([*own, *drafts, *disputed, *others.items]) | set(choices.people)
    names = dict(listing.logins_of(catalogue, scope, shown))
    choices.people.sort(key=lambda each: names.get(each, ""))
    more = others.cursor is not None
    return Overview(own, drafts, disputed, others.items, more, averages, choices, names)


def _asked(request: web.Request) -> Asked:
    """Read what is asked; what can't be is as if it were not said."""
    fields = ("person", "form", "state", "from", "to", "category")
    given = {name: request.query.get(name, "").strip() for name in fields}
    return Asked(
        person=_id(given["person"]),
        form=_id(given["form"]),
        state=given["state"] if given["state"] in RELEASED_STATES else "",
        since=given["from"] if _day(given["from"]) else "",
        until=given["to"] if _day(given["to"]) else "",
        category=_category(given["category"]),
    )


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _category(text: str) -> str:
    try:
        return read_category(text)
    except ValueError:
        return ""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text[:4] < "9999" else None
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CALENDAR)


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    permission = Scope.RECORDINGS_READ
    return Route(method, f"{PAGE}/{{id}}{path}", handler, permission, audit, "evaluation", page=True)


EVALUATION_RESULT_ROUTES = (
    Route("GET", PAGE, list_results, Scope.RECORDINGS_READ, "evaluations.listed", page=True),
    _row("GET", "", get_result, "evaluation.viewed"),
    _row("POST", "/acknowledgement", post_acknowledgement, "evaluation.acknowledged"),
    _row("POST", "/dispute", post_dispute, "evaluation.disputed"),
)
