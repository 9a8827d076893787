"""What would be recorded if somebody called now: asked before a customer asks why it was not.

The answer is that of the recorder, for the same function decides (`archive.decision`): of
whom there would be a recording, in which mode, how long it would be kept and who could hear it.

Rules: for who may read why a call is recorded. Nobody is called; neither the log nor the
audit log holds the numbers, and an exempt one is answered before anything is looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope, may_read_sessions
from archive.catalogue import directory, people, rights
from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import NumberRange
from archive.decision import CallFacts, RecordedUser, is_above_cap
from archive.errors import NotFound
from archive.model import AboveCap, RecordingMode, RetentionClass, User, UserId
from playback_portal import trace, words
from playback_portal.language import Language, language_of, mark
from playback_portal.logins import person_of
from playback_portal.page import render
from playback_portal.pages.sign_in import fields_of
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES
from playback_portal.why import NAME_CHARS_MAX, imagined
from retention.policy import retain_until

PAGE = "/admin/what-if"

MISSING = mark("Fill in who calls and who is called.")
NO_NUMBER = mark("%(login)s has no number, so that no call can be theirs.")

KEEPS = {
    RecordingMode.ALWAYS: mark("Recorded from beginning to end."),
    RecordingMode.ALWAYS_PAUSE: mark("Recorded from beginning to end, but for pauses."),
    RecordingMode.ON_DEMAND: mark("Kept only if somebody asks for it in time, and then from its beginning."),
    RecordingMode.ON_DEMAND_START: mark("Recorded from the moment somebody starts it."),
}
NOT_FOR_PROGRAMS = "Asking what would be recorded needs the role auditor or administrator, or sessions:read."
_PEER = "peer "
"""How the line of a trace begins that names the way in: it is left out, for nobody imagined one."""


@dataclass(frozen=True)
class Imagined:
    """One recording there would be: of whom, until when it would be kept, and who could hear it.

    `user` is None where nobody in particular is recorded; `shorter` says that the minutes of
    the month are used up and the policy keeps less above them.
    """

    recorded: RecordedUser
    user: User | None
    retention_class: RetentionClass
    retain_until: datetime
    hearers: tuple[str, ...]
    shorter: bool


@dataclass(frozen=True)
class Answer:
    """What the decision was; with no recordings the steps tell why. `exempt` numbers leave nothing."""

    exempt: bool
    recordings: tuple[Imagined, ...]
    steps: tuple[tuple[str, str], ...]
    """The icon and the sentence of each step."""


class NoNumber(Exception):  # noqa: N818 - a thing that is not there, no error of a program
    """The person who was named has no number."""


async def get_what_if(request: web.Request) -> web.StreamResponse:
    """Show the two fields; `user` in the query fills in who is called."""
    _check(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    form = {"caller": "", "callee": ""}
    named = UserId(request.query.get("user", "")[:NAME_CHARS_MAX])
    if named:
        try:
            form["callee"] = (
                await asyncio.to_thread(directory.user_by_id, catalogue, scope.tenant_id, named)
            ).login
        except NotFound:
            form["callee"] = ""
    return _page(request, form)


async def post_what_if(request: web.Request) -> web.StreamResponse:
    """Show what would be decided of a call that somebody makes now."""
    _check(request)
    fields = await fields_of(request)
    form = {name: fields.get(name, "").strip()[:NAME_CHARS_MAX] for name in ("caller", "callee")}
    if not all(form.values()):
        return _page(request, form, status=HTTPStatus.BAD_REQUEST, error=MISSING)
    try:
        answer = await asyncio.to_thread(_answer, request, form, language_of(request))
    except NoNumber as error:
        context = {"error": NO_NUMBER, "login": str(error)}
        return _page(request, form, status=HTTPStatus.BAD_REQUEST, **context)
    return _page(request, form, answer=answer)


def _answer(request: web.Request, form: dict[str, str], language: Language) -> Answer:
    """Return what would be; blocks. Raises NoNumber for a person who has none."""
    services, scope = request.app[SERVICES], request[SCOPE]
    catalogue, now = services.catalogue, services.clock.now()
    numbers = [_number(catalogue, scope, form[name]) for name in ("caller", "callee")]
    decision = imagined(
        catalogue, services.clock, scope.tenant_id, CallFacts(caller=numbers[0], callee=numbers[1]), None
    )
    if decision is None:
        return Answer(exempt=True, recordings=(), steps=())
    policy = people.tenant_of(catalogue, scope.tenant_id).policy
    steps = trace.steps(line for line in decision.trace if not line.startswith(_PEER))
    named = {UserId(step.user_id) for step in steps if step.user_id}

    def hears(user: User) -> tuple[str, ...]:
        found = rights.hearers_of_call(catalogue, scope.tenant_id, user.id, named, numbers, now=now)
        return tuple(sorted({each.name for each in found}))

    recordings = tuple(_imagined(each, policy.above_cap, hears, now) for each in decision.recorded)
    logins: dict[str, str] = {
        user_id: user.login for user_id, user in people.of_ids(catalogue, scope.tenant_id, named).items()
    }
    told = tuple((step.icon, trace.told(step, language, logins)) for step in steps)
    return Answer(exempt=False, recordings=recordings, steps=told)


def _number(catalogue: Catalogue, scope: AccessScope, typed: str) -> str:
    """Return a number as it was typed, or the first one of the person it names; raises NoNumber."""
    named = person_of(catalogue, scope.tenant_id, typed)
    if named is None:
        return typed
    user = directory.user_by_id(catalogue, scope.tenant_id, named)
    if not user.numbers:
        raise NoNumber(user.login)
    return NumberRange.held(user.numbers[0]).first


def _imagined(
    recorded: RecordedUser, above_cap: AboveCap, hears: Callable[[User], tuple[str, ...]], now: datetime
) -> Imagined:
    """Return one recording there would be; `hears` says who would hear that of somebody."""
    user, kept = recorded.user, recorded.retention_class
    shorter = user is not None and above_cap is AboveCap.DAYS_90 and is_above_cap(user, now)
    if shorter:
        kept = RetentionClass.DAYS_90
    hearers = () if user is None else hears(user)
    return Imagined(recorded, user, kept, retain_until(kept, now), hearers, shorter)


def _page(
    request: web.Request, form: dict[str, str], *, status: HTTPStatus = HTTPStatus.OK, **context: object
) -> web.Response:
    shown = {"answer": None, "error": "", "login": "", **context}
    return render(request, "what_if/page.html", status=status, form=form, keeps=KEEPS, words=words, **shown)


def _check(request: web.Request) -> None:
    """Raise the 403 Problem for who may not read how calls were decided."""
    if not may_read_sessions(request[SCOPE]):
        raise Problem(HTTPStatus.FORBIDDEN, "not-for-you", NOT_FOR_PROGRAMS)


WHAT_IF_ROUTES = (
    Route("GET", PAGE, get_what_if, Scope.SESSIONS_READ, "what-if.viewed", "", page=True),
    Route("POST", PAGE, post_what_if, Scope.SESSIONS_READ, "what-if.asked", "", page=True),
)
