"""Results of evaluations over the API: one's own, and those of the people one may evaluate, as JSON or CSV.

Rules: what is told of whom is the archive's (`archive.catalogue.evaluation_results`); a file
holds what the list shows and nothing beside it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive import comma_separated
from archive.access import Scope
from archive.audit import Json
from archive.catalogue import evaluation_results, listing
from archive.catalogue.evaluation_results import RESULTS_MAX, Result, Wanted
from archive.evaluation import RELEASED_STATES, State
from archive.evaluation_form import CATEGORY_CHARS_MAX
from archive.model import UserId
from playback_portal import documents, formats
from playback_portal.annotated import tell
from playback_portal.language import Language
from playback_portal.parameters import Parameters, cursor, limit, moment
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES
from playback_portal.teams import json_user_id as json_id

CSV_ROWS_MAX = 20_000
"""A year of twenty evaluations a day by four people; a longer period is asked for in parts."""

CSV_HEADS = (
    "released",
    "person",
    "evaluator",
    "form",
    "version",
    "percent",
    "failed",
    "told",
    "state",
    "recording",
    "category",
)
"""A column that is new stands last: whoever reads the others by their places goes on reading them."""

FORMATS = ("json", "csv")


async def list_evaluation_results(request: web.Request) -> web.StreamResponse:
    """Answer with released evaluations of the people one may evaluate, newest first."""
    parameters = Parameters(request.query)
    wanted = Wanted(
        owner=parameters.read("owner", json_id, None),
        form_id=parameters.read("formId", json_id, None),
        state=parameters.read("state", _state, None),
        since=parameters.read("from", moment, None),
        until=parameters.read("to", moment, None),
        category=parameters.read("category", read_category, None),
    )
    form = parameters.read("format", _format, "json")
    language = parameters.read("language", Language, Language.ENGLISH)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    if form == "csv":
        return await _file(request, wanted, language)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    page = await asyncio.to_thread(
        lambda: evaluation_results.of_others(catalogue, scope, wanted, limit=size, cursor=after)
    )
    return documents.list_response(request, map(result_document, page.items), page.cursor)


async def list_own_evaluations(request: web.Request) -> web.StreamResponse:
    """Answer with what was released about the caller, whether they hear their calls or not."""
    Parameters(request.query).check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(evaluation_results.of_person, catalogue, scope)
    return documents.list_response(request, map(result_document, found), None)


async def _file(request: web.Request, wanted: Wanted, language: Language) -> web.Response:
    """Return all that is asked for as a table; raises the Problem 400 where that is too much."""
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]

    def read() -> tuple[list[Result], dict[UserId, str]]:
        found: list[Result] = []
        after: str | None = None
        while len(found) <= CSV_ROWS_MAX:
            page = evaluation_results.of_others(catalogue, scope, wanted, limit=RESULTS_MAX, cursor=after)
            found += page.items
            if (after := page.cursor) is None:
                break
        return found, dict(listing.logins_of(catalogue, scope, evaluation_results.people_in(found)))

    found, names = await asyncio.to_thread(read)
    if len(found) > CSV_ROWS_MAX:
        detail = f"A file has at most {CSV_ROWS_MAX} evaluations: ask for a shorter period."
        raise Problem(HTTPStatus.BAD_REQUEST, "too-many", detail)
    tell(request, evaluations=len(found))
    delimiter = comma_separated.DELIMITERS[language]
    rows = (_cells(each, names, language) for each in found)
    body = comma_separated.table(CSV_HEADS, rows, delimiter)
    headers = {"Content-Disposition": 'attachment; filename="evaluations.csv"'}
    return web.Response(body=body, content_type=comma_separated.MEDIA_TYPE, charset="utf-8", headers=headers)


def result_document(found: Result) -> dict[str, Json]:
    """Return a result as the API shows it; `told` is whether how it went is told at all."""
    return {
        "id": found.id,
        "recordingId": found.recording_id,
        "formId": found.form_id,
        "formName": found.form_name,
        "formVersion": found.form_version,
        "owner": found.owner,
        "evaluator": found.evaluator,
        "state": found.state.value,
        "told": not found.hidden,
        "percent": None if found.permille is None else found.permille / 10,
        "category": found.category,
        "failed": None if found.hidden else found.failed,
        "releasedAt": documents.time_of(found.at),
    }


def _cells(found: Result, names: dict[UserId, str], language: Language) -> tuple[str, ...]:
    evaluator = UserId(found.evaluator.removeprefix("user:"))
    return (
        documents.time_of(found.at),
        names.get(found.owner, found.owner),
        names.get(evaluator, found.evaluator),
        found.form_name,
        str(found.form_version),
        "" if found.permille is None else formats.count(language, found.permille / 10, 1),
        "" if found.hidden else str(found.failed).lower(),
        str(not found.hidden).lower(),
        found.state.value,
        found.recording_id,
        found.category or "",
    )


def read_category(text: str) -> str:
    """Read the name of a performance category; raises ValueError for what can't be one."""
    if not 1 <= len(text) <= CATEGORY_CHARS_MAX or not text.isprintable():
        raise ValueError(f"It has 1 to {CATEGORY_CHARS_MAX} characters that can be shown.")
    return text


def _state(text: str) -> State:
    if text not in RELEASED_STATES:
        raise ValueError(f"It is one of {', '.join(sorted(RELEASED_STATES))}.")
    return State(text)


def _format(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(f"It is one of {', '.join(FORMATS)}.")
    return text


EVALUATION_RESULT_API_ROUTES = (
    Route("GET", "/v1/evaluations", list_evaluation_results, Scope.RECORDINGS_READ, "evaluations.listed"),
    Route("GET", "/v1/me/evaluations", list_own_evaluations, Scope.RECORDINGS_READ, "evaluations.listed"),
)
