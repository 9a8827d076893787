"""Evaluations as results: one's own, those of the people one evaluates, and each with its answers.

The person an evaluation is about reads it here, also when they may not hear their calls, and
acknowledges or disputes it.

Rules: reads nothing that the archive does not give whoever asks (`archive.catalogue.evaluations`,
`archive.catalogue.evaluation_results`); audit entries never hold what was said.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope, may_make_forms
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
from archive.catalogue.evaluation_results import Average, Result
from archive.catalogue.evaluation_samples import Sample
from archive.catalogue.evaluations import Evaluation
from archive.errors import NotFound
from archive.evaluation import Event, State
from archive.model import RecordingId, Role, UserId
from playback_portal import evaluating, logins
from playback_portal.annotated import tell
from playback_portal.evaluating import Sheet
from playback_portal.page import render, see_other
from playback_portal.pages.annotations import change, form_of
from playback_portal.pages.evaluations import words_of
from playback_portal.route import Handler, Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of

PAGE = "/evaluations"


@dataclass(frozen=True)
class Overview:
    """Everything the page of evaluations lists. `names` are logins by user id."""

    own: list[Result]
    drafts: list[Result]
    others: list[Result]
    averages: list[Average]
    names: dict[UserId, str]


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
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    return render(
        request,
        "evaluations/list.html",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        fault=fault,
        overview=await asyncio.to_thread(_overview, services.catalogue, scope),
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
    after = await change(
        request,
        lambda catalogue, scope, now: evaluations.reply(
            catalogue, scope, evaluation_id, Event.ACKNOWLEDGE, now=now
        ),
    )
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

    def read() -> tuple[Evaluation, bool, dict[str, str]]:
        found, hears = _found(catalogue, scope, evaluation_id)
        return found, hears, logins.names_of(catalogue, scope, [found.evaluator, f"user:{found.owner}"])

    found, hears, names = await asyncio.to_thread(read)
    tell(request, recording=found.recording_id)
    return render(
        request,
        "evaluations/result.html",
        status=HTTPStatus.OK,
        one=found,
        sheet=Sheet(found.form, found.answers),
        hears=hears,
        about_me=found.owner == scope.user_id,
        replies=found.owner == scope.user_id and found.state is State.RELEASED,
        names=names,
        **evaluating.words(),
    )


def _found(catalogue: Catalogue, scope: AccessScope, evaluation_id: str) -> tuple[Evaluation, bool]:
    """Return an evaluation, and whether who asks reaches its recording too; raises NotFound."""
    recording_id = evaluations.recording_of(catalogue, scope, evaluation_id)
    try:
        recording = recordings.get(catalogue, scope, RecordingId(recording_id)).recording
    except NotFound:
        return evaluations.about(catalogue, scope, evaluation_id), False
    return evaluations.get(catalogue, scope, recording, evaluation_id), True


def _drawing(catalogue: Catalogue, scope: AccessScope, now: datetime) -> Drawing:
    forms = evaluation_forms.of_tenant(catalogue, scope) if narrowed(scope) is not None else []
    return Drawing(
        evaluation_samples.samples(catalogue, scope),
        evaluation_samples.drawable_teams(catalogue, scope),
        [(each.id, each.name) for each in forms],
        month_of(now),
    )


def _overview(catalogue: Catalogue, scope: AccessScope) -> Overview:
    own = evaluation_results.of_person(catalogue, scope)
    drafts = evaluation_results.drafts(catalogue, scope)
    others = evaluation_results.of_others(catalogue, scope)
    hides = evaluation_samples.hides_few(catalogue, scope)
    averages = evaluation_results.averages(catalogue, scope, hides_few=hides) if others else []
    people = evaluation_results.people_in([*own, *drafts, *others]) | {each.owner for each in averages}
    names = dict(listing.logins_of(catalogue, scope, people))
    return Overview(own, drafts, others, averages, names)


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    permission = Scope.RECORDINGS_READ
    return Route(method, f"{PAGE}/{{id}}{path}", handler, permission, audit, "evaluation", page=True)


EVALUATION_RESULT_ROUTES = (
    Route("GET", PAGE, list_results, Scope.RECORDINGS_READ, "evaluations.listed", page=True),
    _row("GET", "", get_result, "evaluation.viewed"),
    _row("POST", "/acknowledgement", post_acknowledgement, "evaluation.acknowledged"),
    _row("POST", "/dispute", post_dispute, "evaluation.disputed"),
)
