"""Evaluations on the page of a recording: filling in a form while listening, and settling a dispute.

Each answer is kept when it is given, with where the sound was; the answer is the whole panel
anew, since answers show and hide questions. The first one begins the evaluation, so that
whoever only looks leaves nothing behind; it is given to the version of the form that was
shown, never to another. What was changed meanwhile is shown as it stands, and said so.

Words that were typed at other answers and not sent come along with whatever is pressed, as
`said.` and the id of the question, and are kept with it; so does the answer to a dispute that
is being written, as `settling`, which comes back as it was.

Rules: as the API's (`playback_portal.evaluations`). Without scripts everything leads back to
the page of the recording.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from archive.access import Scope, may_make_forms
from archive.catalogue import evaluations
from archive.catalogue.evaluations import WORDS_CHARS_MAX, Evaluation, Incomplete
from archive.catalogue.revisions import written
from archive.errors import Conflict, Refused
from archive.evaluation import ANSWER_COMMENT_CHARS_MAX, Answer, Event
from archive.model import Recording
from playback_portal import evaluating
from playback_portal.annotated import annotated, named, tell
from playback_portal.comments import OFFSET_MS_MAX
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, see_other
from playback_portal.pages.annotations import change, form_of
from playback_portal.problems import ParameterFault, Problem, not_found, wrong_parameters
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES

NOT_APPLICABLE = "na"
SAID = "said."
INCOMPLETE = mark("Answers or comments are missing: the marked question is the first of them.")
MEANWHILE = mark("Somebody changed the form or the evaluation meanwhile. What you pressed last was not kept.")


async def get_evaluations(request: web.Request) -> web.StreamResponse:
    """Show the evaluations of a recording, and the form to fill in."""
    recording = await annotated(request)
    return await _desk(request, recording, _id(request.query.get("form", "")))


async def post_first_answer(request: web.Request) -> web.StreamResponse:
    """Begin an evaluation by answering a question."""
    recording, form = await annotated(request), await form_of(request)
    form_id, given = _id(form.get("form", "")), {form.get("question", ""): _answer(form, None)}
    version = _version(form.get("version", ""))
    try:
        begun = await change(
            request,
            lambda catalogue, scope, now: evaluations.begin(
                catalogue, scope, recording, form_id, given=given, version=version, now=now
            ),
        )
    except Conflict:
        return await _meanwhile(request, recording, form_id)
    tell(request, evaluation=begun.id, revision=begun.revision)
    return await _desk(request, recording, begun.form_id)


async def post_answer(request: web.Request) -> web.StreamResponse:
    """Answer a question, or say something about an answer."""
    recording, found, form = await _asked(request)
    question = form.get("question", "")
    given = {**_said(form, found), question: _answer(form, found.answers.get(question))}
    try:
        after = await change(
            request,
            lambda catalogue, scope, now: evaluations.answer(
                catalogue, scope, recording, found.id, given, now=now
            ),
        )
    except Conflict:
        return await _meanwhile(request, recording, found.form_id)
    tell(request, revision=after.revision)
    return await _desk(request, recording, found.form_id, settling=form.get("settling", ""))


async def post_release(request: web.Request) -> web.StreamResponse:
    """Let the person it is about see it."""
    return await _moved(request, Event.RELEASE)


async def post_withdrawal(request: web.Request) -> web.StreamResponse:
    """Take a draft back."""
    return await _moved(request, Event.WITHDRAW)


async def post_settlement(request: web.Request) -> web.StreamResponse:
    """Answer a dispute."""
    return await _moved(request, Event.SETTLE)


async def _asked(request: web.Request) -> tuple[Recording, Evaluation, dict[str, str]]:
    recording, evaluation_id = await annotated(request), named(request, "evaluation")
    form = await form_of(request)
    tell(request, evaluation=evaluation_id)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(evaluations.get, catalogue, scope, recording, evaluation_id)
    return recording, found, form


async def _moved(request: web.Request, event: Event) -> web.StreamResponse:
    recording, found, form = await _asked(request)
    said = words_of(form) if event is Event.SETTLE else ""
    given = {} if event is Event.WITHDRAW else _said(form, found)
    try:
        after = await change(
            request,
            lambda catalogue, scope, now: evaluations.move(
                catalogue, scope, recording, found.id, event, words=said, given=given, now=now
            ),
        )
    except Incomplete:
        if not is_htmx(request):
            raise Problem(HTTPStatus.CONFLICT, "conflict", INCOMPLETE) from None
        await request[ENTRY].make("refused")
        return await _desk(request, recording, found.form_id, fault=INCOMPLETE, settling=said)
    except Conflict:
        return await _meanwhile(request, recording, found.form_id)
    tell(request, state=after.state.value)
    return await _desk(request, recording, done=event)


async def _meanwhile(request: web.Request, recording: Recording, form_id: str) -> web.StreamResponse:
    """Show how it stands after something else happened first; what was pressed is not kept."""
    if not is_htmx(request):
        raise Problem(HTTPStatus.CONFLICT, "conflict", MEANWHILE)
    await request[ENTRY].make("refused")
    return await _desk(request, recording, form_id, fault=MEANWHILE)


async def _desk(
    request: web.Request,
    recording: Recording,
    form_id: str = "",
    *,
    done: Event | None = None,
    fault: str = "",
    settling: str = "",
) -> web.StreamResponse:
    if request.method != "GET" and not is_htmx(request):
        return see_other(request, f"/recordings/{recording.id}#evaluations")
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    desk = await asyncio.to_thread(evaluating.read, catalogue, scope, recording, form_id)
    makes = may_make_forms(scope)
    shown = {"recording": recording, "desk": desk, "done": done, "choices": desk.choices, "may_make": makes}
    shown |= {"fault": fault, "settling": settling}
    status = HTTPStatus.CONFLICT if fault else HTTPStatus.OK
    return partial(request, "evaluations/_panel.html", status=status, **shown, **evaluating.words())


def words_of(form: dict[str, str]) -> str:
    """Return the words of a form; raises the 400 Problem for none."""
    try:
        return written(form.get("text", ""), WORDS_CHARS_MAX)
    except Refused as error:
        raise wrong_parameters(ParameterFault("text", str(error))) from None


def _answer(form: dict[str, str], before: Answer | None) -> Answer:
    """Return the answer a form gives; without a value the one before, with other words.

    Raises the 400 Problem.
    """
    value, said = form.get("value", ""), form.get("comment")
    try:
        comment = written(said or "", ANSWER_COMMENT_CHARS_MAX, 0)
    except Refused as error:
        raise wrong_parameters(ParameterFault("comment", str(error))) from None
    if not value:
        if before is None:
            raise wrong_parameters(ParameterFault("value", "It is missing."))
        return Answer(before.value, before.at_ms, comment)
    if said is None and before is not None:
        comment = before.comment
    if value != NOT_APPLICABLE and not (value.isascii() and value.isdecimal() and len(value) == 1):
        raise wrong_parameters(ParameterFault("value", "It is one digit."))
    return Answer(None if value == NOT_APPLICABLE else int(value), _offset(form.get("at_ms", "0")), comment)


def _said(form: dict[str, str], found: Evaluation) -> dict[str, Answer]:
    """Return the answers beside which something was typed that was not sent yet; raises the 400 Problem."""
    typed = {name: form[f"{SAID}{name}"] for name in found.answers if f"{SAID}{name}" in form}
    return {name: _answer({"comment": words}, found.answers[name]) for name, words in typed.items()}


def _offset(text: str) -> int:
    return min(int(text), OFFSET_MS_MAX) if text.isascii() and text.isdecimal() and len(text) < 12 else 0


def _version(text: str) -> int | None:
    """Return the version of a form that was shown, None where none is named."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None


def _id(text: str) -> str:
    """Return an id, "" for none; raises NotFound for what can't be one."""
    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        raise not_found() from None


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    permission = Scope.RECORDINGS_READ if method == "GET" else Scope.RECORDINGS_EVALUATE
    return Route(method, f"/recordings/{{id}}/evaluations{path}", handler, permission, audit, page=True)


EVALUATION_PAGE_ROUTES = (
    _row("GET", "", get_evaluations, "evaluations.viewed"),
    _row("POST", "", post_first_answer, "evaluation.begun"),
    _row("POST", "/{evaluation}", post_answer, "evaluation.answered"),
    _row("POST", "/{evaluation}/release", post_release, "evaluation.released"),
    _row("POST", "/{evaluation}/withdrawal", post_withdrawal, "evaluation.withdrawn"),
    _row("POST", "/{evaluation}/settlement", post_settlement, "evaluation.settled"),
)
