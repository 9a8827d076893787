"""Samples of calls to evaluate over the API: drawn once for a team, a form and a month, and worked through.

Rules: who may draw of whom is the archive's (`archive.catalogue.evaluation_samples`): people who
may evaluate in the team, and their keys. Audit entries tell the seed, so that anybody can draw
the same calls again.
"""

from __future__ import annotations

import asyncio
from datetime import date
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import evaluation_samples
from archive.catalogue.evaluation_samples import NewSample, Sample, SampleCall
from archive.sample import PER_PERSON_MAX
from playback_portal import documents
from playback_portal.annotated import tell
from playback_portal.parameters import Parameters, json_whole_number, read_body, text
from playback_portal.route import SUBJECT, Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of
from playback_portal.teams import json_user_id as json_id

PER_PERSON = 4
"""One a week: what the page offers, and what is drawn where nothing is said."""

_NO_MONTH = date(2000, 1, 1)


async def list_evaluation_samples(request: web.Request) -> web.StreamResponse:
    """Answer with the samples of teams in which the caller may evaluate somebody, newest first."""
    Parameters(request.query).check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(evaluation_samples.samples, catalogue, scope)
    return documents.list_response(request, map(sample_document, found), None)


async def post_evaluation_sample(request: web.Request) -> web.StreamResponse:
    """Draw a sample."""
    Parameters(request.query).check()
    body = await read_body(request)
    wanted = NewSample(
        body.need("teamId", json_id, ""),
        body.need("formId", json_id, ""),
        body.need("month", read_month, _NO_MONTH),
        body.read("perPerson", json_whole_number(1, PER_PERSON_MAX), PER_PERSON),
    )
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()

    def draw() -> Sample:
        made = evaluation_samples.draw_sample(services.catalogue, scope, wanted, now=now)
        return evaluation_samples.sample(services.catalogue, scope, made)

    drawn = await asyncio.to_thread(draw)
    request[SUBJECT] = f"evaluation-sample:{drawn.id}"
    tell(request, seed=drawn.seed, team=drawn.team_id, calls=drawn.count)
    response = documents.json_response(sample_document(drawn), {})
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/evaluation-samples/{drawn.id}"
    return response


async def get_evaluation_sample(request: web.Request) -> web.StreamResponse:
    """Answer with a sample and the calls of it that the caller may evaluate, person by person."""
    Parameters(request.query).check()
    catalogue, scope, sample_id = request.app[SERVICES].catalogue, request[SCOPE], recording_id_of(request)

    def read() -> tuple[Sample, list[SampleCall]]:
        found = evaluation_samples.sample(catalogue, scope, sample_id)
        return found, evaluation_samples.calls_of(catalogue, scope, found)

    found, calls = await asyncio.to_thread(read)
    return documents.json_response({**sample_document(found), "items": [*map(_call_document, calls)]}, {})


def read_month(value: Json) -> date:
    """Read a month such as 2026-11; raises ValueError."""
    given = text(value)
    try:
        month = date.fromisoformat(f"{given}-01") if len(given) == len("2026-11") else None
    except ValueError:
        month = None
    if month is None or not date.min.year < month.year < date.max.year:
        raise ValueError("It is a month such as 2026-11.")
    return month


def sample_document(found: Sample) -> dict[str, Json]:
    """Return a sample as the API shows it."""
    return {
        "id": found.id,
        "teamId": found.team_id,
        "formId": found.form_id,
        "formName": found.form_name,
        "month": f"{found.month:%Y-%m}",
        "perPerson": found.per_person,
        "seed": found.seed,
        "drawnBy": found.drawn_by,
        "drawnAt": documents.time_of(found.drawn_at),
        "calls": found.count,
        "evaluated": found.done,
    }


def _call_document(call: SampleCall) -> dict[str, Json]:
    return {
        "recordingId": call.recording_id,
        "owner": call.owner,
        "startedAt": documents.time_of(call.started_at),
        "state": None if call.state is None else call.state.value,
    }


_SAMPLES, _EVALUATE = "/v1/evaluation-samples", Scope.RECORDINGS_EVALUATE

EVALUATION_SAMPLE_API_ROUTES = (
    Route("GET", _SAMPLES, list_evaluation_samples, _EVALUATE, "evaluation-samples.listed"),
    Route("POST", _SAMPLES, post_evaluation_sample, _EVALUATE, "evaluation-sample.drawn"),
    Route(
        "GET",
        f"{_SAMPLES}/{{id}}",
        get_evaluation_sample,
        _EVALUATE,
        "evaluation-sample.viewed",
        "evaluation-sample",
    ),
)
