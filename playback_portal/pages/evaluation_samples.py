"""Samples of calls to evaluate: drawn by one press, worked through call by call.

Rules: who may draw of which team, and of which calls, is the archive's
(`archive.catalogue.evaluation_samples`); the audit log tells the seed, so that anybody can
draw the same calls again.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from archive.access import Scope
from archive.catalogue import evaluation_results, evaluation_samples, listing
from archive.catalogue.evaluation_samples import NewSample, Sample, SampleCall
from archive.errors import Conflict
from archive.model import UserId
from archive.sample import PER_PERSON_MAX
from playback_portal import evaluating
from playback_portal.annotated import tell
from playback_portal.evaluation_samples import read_month
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.annotations import change, form_of
from playback_portal.pages.evaluation_results import PAGE, list_page
from playback_portal.problems import ParameterFault, not_found, wrong_parameters
from playback_portal.route import SUBJECT, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of


async def post_sample(request: web.Request) -> web.StreamResponse:
    """Draw a sample and show its list."""
    wanted = _wanted(await form_of(request))
    try:
        made = await change(
            request,
            lambda catalogue, scope, now: evaluation_samples.draw_sample(catalogue, scope, wanted, now=now),
        )
    except Conflict:
        await request[ENTRY].make("refused")
        return await list_page(
            request, mark("This sample was drawn already, or there was no call in that month.")
        )
    drawn = await _sample(request, made)
    request[SUBJECT] = f"evaluation-sample:{made}"
    tell(request, seed=drawn.seed, team=drawn.team_id, calls=drawn.count)
    return see_other(request, f"{PAGE}/samples/{made}")


async def get_sample(request: web.Request) -> web.StreamResponse:
    """Show the calls of a sample, and which of them are evaluated."""
    found = await _sample(request, recording_id_of(request))
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]

    def read() -> tuple[list[SampleCall], dict[UserId, str]]:
        calls = evaluation_samples.calls_of(catalogue, scope, found)
        drawn_by = UserId(found.drawn_by.removeprefix("user:"))
        return calls, dict(listing.logins_of(catalogue, scope, {drawn_by, *(each.owner for each in calls)}))

    calls, names = await asyncio.to_thread(read)
    shown = {"sample": found, "calls": calls, "names": names}
    return render(request, "evaluations/sample.html", status=HTTPStatus.OK, **shown, **evaluating.words())


async def post_policy(request: web.Request) -> web.StreamResponse:
    """Decide, as administrator, whether averages of fewer than five are told."""
    hides = (await form_of(request)).get("hides") == "true"
    tell(request, hidesFew=hides)

    def decide() -> None:
        with request[ENTRY].transaction() as connection:
            evaluation_results.hide_few_within(connection, request[SCOPE], hides=hides)

    await asyncio.to_thread(decide)
    return see_other(request, f"{PAGE}/forms")


async def _sample(request: web.Request, sample_id: str) -> Sample:
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    return await asyncio.to_thread(evaluation_samples.sample, catalogue, scope, sample_id)


def _wanted(form: dict[str, str]) -> NewSample:
    """Return the sample a form asks for; raises NotFound or the 400 Problem."""
    try:
        team_id, form_id = str(UUID(form.get("team", ""))), str(UUID(form.get("form", "")))
    except ValueError:
        raise not_found() from None
    try:
        month, count = read_month(form.get("month", "")), int(form.get("per_person", ""))
    except ValueError:
        raise wrong_parameters(ParameterFault("month", "It is a month such as 2026-11.")) from None
    if not 1 <= count <= PER_PERSON_MAX:
        detail = f"It is a whole number from 1 to {PER_PERSON_MAX}."
        raise wrong_parameters(ParameterFault("per_person", detail))
    return NewSample(team_id, form_id, month, count)


_EVALUATE, _ADMINISTER = Scope.RECORDINGS_EVALUATE, Scope.ADMINISTRATION

EVALUATION_SAMPLE_ROUTES = (
    Route("POST", f"{PAGE}/samples", post_sample, _EVALUATE, "evaluation-sample.drawn", page=True),
    Route(
        "GET",
        f"{PAGE}/samples/{{id}}",
        get_sample,
        _EVALUATE,
        "evaluation-sample.viewed",
        "evaluation-sample",
        page=True,
    ),
    Route("POST", f"{PAGE}/policy", post_policy, _ADMINISTER, "evaluation-policy.changed", page=True),
)
