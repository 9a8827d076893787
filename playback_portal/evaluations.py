"""Evaluations of a recording over the API: made, answered, released, and what is said of them.

What is done with one as a whole is made as a thing of its own below it: a release, a withdrawal,
an acknowledgement, a dispute, a settlement. Answers are patched question by question; null takes
an answer back.

Rules: whoever may not see an evaluation is told there is none (`archive.access.may_read_evaluation`).
Audit entries say whose, which and in what state, never what was answered or said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import evaluations, revisions
from archive.catalogue.evaluations import WORDS_CHARS_MAX, Evaluation
from archive.catalogue.revisions import Kind
from archive.evaluation import ANSWER_COMMENT_CHARS_MAX, Answer, Event, Score, asked, lacks
from archive.evaluation_form import CHOICES_MAX, QUESTIONS_MAX
from archive.model import Recording
from playback_portal import documents
from playback_portal.annotated import annotated, history_response, named, read_text, tell
from playback_portal.comments import OFFSET_MS_MAX
from playback_portal.entity_tag import revision_seen, tagged_response
from playback_portal.parameters import Parameters, json_whole_number, read_body
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES
from playback_portal.teams import json_user_id as json_id


async def list_evaluations(request: web.Request) -> web.StreamResponse:
    """Answer with the evaluations of a recording that the caller may see, oldest first."""
    Parameters(request.query).check()
    recording = await annotated(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(evaluations.of_recording, catalogue, scope, recording)
    return documents.list_response(request, map(evaluation_document, found), None)


async def post_evaluation(request: web.Request) -> web.StreamResponse:
    """Begin to evaluate a recording; one that was begun is answered again."""
    Parameters(request.query).check()
    recording = await annotated(request)
    body = await read_body(request)
    form_id = body.need("formId", json_id, "")
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    begun = await asyncio.to_thread(
        lambda: evaluations.begin(services.catalogue, scope, recording, form_id, now=now)
    )
    tell(request, evaluation=begun.id)
    response = tagged_response(evaluation_document(begun))
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/recordings/{recording.id}/evaluations/{begun.id}"
    return response


async def get_evaluation(request: web.Request) -> web.StreamResponse:
    """Answer with one evaluation."""
    Parameters(request.query).check()
    _, found = await _asked(request)
    return tagged_response(evaluation_document(found))


async def get_evaluation_history(request: web.Request) -> web.StreamResponse:
    """Answer with every value an evaluation had since it was released."""
    Parameters(request.query).check()
    _, found = await _asked(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    return history_response(
        request, await asyncio.to_thread(revisions.of_object, catalogue, scope, Kind.EVALUATION, found.id)
    )


async def patch_evaluation(request: web.Request) -> web.StreamResponse:
    """Answer questions by a merge patch; null takes an answer back."""
    Parameters(request.query).check()
    recording, before = await _asked(request)
    body = await read_body(request)
    nothing: dict[str, Answer | None] = {}
    given = body.need("answers", read_answers, nothing)
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    seen = revision_seen(request, evaluation_document(before), before.revision)
    now = services.clock.now()
    after = await asyncio.to_thread(
        lambda: evaluations.answer(
            services.catalogue, scope, recording, before.id, given, revision=seen, now=now
        )
    )
    tell(request, revision=after.revision, answered=len(given))
    return tagged_response(evaluation_document(after))


async def post_release(request: web.Request) -> web.StreamResponse:
    """Let the person it is about see an evaluation that lacks nothing."""
    return await _move(request, Event.RELEASE, says=False)


async def post_withdrawal(request: web.Request) -> web.StreamResponse:
    """Take a draft back."""
    return await _move(request, Event.WITHDRAW, says=False)


async def post_acknowledgement(request: web.Request) -> web.StreamResponse:
    """Say, as the person it is about, that one has seen it."""
    return await _move(request, Event.ACKNOWLEDGE, says=False)


async def post_dispute(request: web.Request) -> web.StreamResponse:
    """Say, as the person it is about, what is wrong with it."""
    return await _move(request, Event.DISPUTE, says=True)


async def post_settlement(request: web.Request) -> web.StreamResponse:
    """Answer a dispute; the answers to the form may have been changed before."""
    return await _move(request, Event.SETTLE, says=True)


async def _move(request: web.Request, event: Event, *, says: bool) -> web.StreamResponse:
    Parameters(request.query).check()
    recording, before = await _asked(request)
    body = await read_body(request)
    words = body.need("text", read_text(WORDS_CHARS_MAX), "") if says else ""
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    seen = revision_seen(request, evaluation_document(before), before.revision)
    now = services.clock.now()
    after = await asyncio.to_thread(
        lambda: evaluations.move(
            services.catalogue, scope, recording, before.id, event, words=words, revision=seen, now=now
        )
    )
    tell(request, state=after.state.value)
    response = tagged_response(evaluation_document(after))
    response.set_status(HTTPStatus.CREATED)
    return response


async def _asked(request: web.Request) -> tuple[Recording, Evaluation]:
    """Return the recording and the evaluation of the path; raises NotFound."""
    recording, evaluation_id = await annotated(request), named(request, "evaluation")
    tell(request, evaluation=evaluation_id)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    return recording, await asyncio.to_thread(evaluations.get, catalogue, scope, recording, evaluation_id)


def read_answers(value: Json) -> dict[str, Answer | None]:
    """Read answers by the ids of their questions; raises ValueError."""
    if not isinstance(value, Mapping) or not 0 < len(value) <= QUESTIONS_MAX:
        raise ValueError(f"It is an object of 1 to {QUESTIONS_MAX} answers by the ids of their questions.")
    return {name: None if each is None else _answer(each) for name, each in value.items()}


def _answer(value: Json) -> Answer:
    if not isinstance(value, Mapping) or not value.keys() <= {"value", "atMs", "comment"}:
        raise ValueError("An answer has a value, atMs and a comment.")
    digit = value.get("value")
    return Answer(
        None if digit is None else json_whole_number(0, CHOICES_MAX)(digit),
        json_whole_number(0, OFFSET_MS_MAX)(value.get("atMs", 0)),
        read_text(ANSWER_COMMENT_CHARS_MAX, 0)(value.get("comment", "")),
    )


def evaluation_document(found: Evaluation) -> dict[str, Json]:
    """Return an evaluation as the API shows it."""
    return {
        "id": found.id,
        "recordingId": found.recording_id,
        "formId": found.form_id,
        "formName": found.form_name,
        "formVersion": found.form_version,
        "owner": found.owner,
        "evaluator": found.evaluator,
        "state": found.state.value,
        "answers": {
            name: {"value": each.value, "atMs": each.at_ms, "comment": each.comment}
            for name, each in found.answers.items()
        },
        "asked": [each.id for each in asked(found.form, found.answers)],
        "lacks": [
            {"question": each.question, "what": "comment" if each.is_comment else "answer"}
            for each in lacks(found.form, found.answers)
        ],
        "score": _score_document(found.score, found.category),
        "beganAt": documents.time_of(found.began_at),
        "releasedAt": None if found.released_at is None else documents.time_of(found.released_at),
        "objection": found.objection,
        "settlement": found.settlement,
        "revision": found.revision,
        "changedAt": documents.time_of(found.changed_at),
    }


def _score_document(score: Score, category: str | None) -> dict[str, Json]:
    return {
        "percent": None if score.permille is None else score.permille / 10,
        "category": category,
        "failedBy": list(score.failed_by),
        "sections": [None if each is None else each / 10 for each in score.sections],
    }


_ALL = "/v1/recordings/{id}/evaluations"
_ONE = f"{_ALL}/{{evaluation}}"
_READ, _WRITE = Scope.RECORDINGS_READ, Scope.RECORDINGS_EVALUATE

EVALUATION_ROUTES = (
    Route("GET", _ALL, list_evaluations, _READ, "evaluations.listed"),
    Route("POST", _ALL, post_evaluation, _WRITE, "evaluation.begun"),
    Route("GET", _ONE, get_evaluation, _READ, "evaluation.viewed"),
    Route("PATCH", _ONE, patch_evaluation, _WRITE, "evaluation.answered"),
    Route("GET", f"{_ONE}/history", get_evaluation_history, _READ, "evaluation.history-viewed"),
    Route("POST", f"{_ONE}/releases", post_release, _WRITE, "evaluation.released"),
    Route("POST", f"{_ONE}/withdrawals", post_withdrawal, _WRITE, "evaluation.withdrawn"),
    Route("POST", f"{_ONE}/acknowledgements", post_acknowledgement, _READ, "evaluation.acknowledged"),
    Route("POST", f"{_ONE}/disputes", post_dispute, _READ, "evaluation.disputed"),
    Route("POST", f"{_ONE}/settlements", post_settlement, _WRITE, "evaluation.settled"),
)
