"""Why one call is recorded or not, where there is no recording: it goes on, was not kept, or never was.

The id is that of a recording under way or over, or of an offered session. What is
recorded leads to the page of its recording; of a call that goes on its trace so far tells,
and its events, which tell of one that was not kept too, for the day they are there; of any
offered session its trace does, to who may read sessions.

Rules: whoever may know of the call may know why. What may not be known is not found.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive.access import UNSEEN_STATES, AccessScope, Scope
from archive.catalogue import call_history, directory, live_calls, recorder_nodes, recordings, sessions
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import LiveCall
from archive.catalogue.sessions import SessionPage
from archive.errors import NotFound, Refused
from archive.model import OutcomeKind, RecordingId, RecordingState, SessionId, SessionOutcome, UserId
from playback_portal import trace, words
from playback_portal.language import Language, language_of, mark
from playback_portal.live import Standing, standing_of
from playback_portal.page import render, see_other
from playback_portal.parameters import Parameters, session_term
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of

EVENTS = {
    EventKind.CALL_STARTED: ("in", mark("The call began.")),
    EventKind.RECORDING_STARTED: ("rec", mark("Recording began.")),
    EventKind.RECORDING_STOPPED: ("stop", mark("Recording stopped.")),
    EventKind.RECORDING_PAUSED: ("pause", mark("Recording was paused. Nothing is kept of that.")),
    EventKind.RECORDING_RESUMED: ("play", mark("Recording went on.")),
    EventKind.RECORDING_KEPT: ("keep", mark("The call was kept, from its beginning.")),
    EventKind.RECORDING_DISCARDED: ("minus", mark("Nobody kept it. What was there of it was destroyed.")),
    EventKind.PAUSE_REMINDER: ("alert", mark("The pause lasted long: a reminder was sent.")),
    EventKind.CALL_ENDED: ("out-door", mark("The call ended.")),
}
VERDICTS = {
    OutcomeKind.RECORDED: mark("It was recorded."),
    OutcomeKind.NOT_KEPT: mark("It was not kept: nobody asked for it in time."),
    OutcomeKind.MODE_NEVER: mark("It was not recorded: the mode is Never."),
    OutcomeKind.NOBODY_RECORDED: mark("It was not recorded: of nobody who is."),
    OutcomeKind.FAILED: mark("Recording it failed."),
}
UNDER_WAY = mark("The call goes on now.")
IN_GRACE = mark("The call is over. It is destroyed unless it is kept in time.")
NOT_KNOWN = mark("The recorder of this call does not answer. How the call stands is not known.")
LOST = mark("What became of this call is not known: nothing was told of its end.")
KEPT_SOON = mark("The call is over. What was recorded of it is stored, or soon will be.")
NOTHING_RECORDED = mark("The call is over. Nothing of it was recorded.")
NOT_KEPT = mark("It was not kept: nobody asked for it in time.")


@dataclass(frozen=True)
class Told:
    """One step as the page shows it; `plain` is a line of the recorder without words of ours."""

    at: object
    icon: str
    text: str
    by: str = ""
    plain: bool = False


@dataclass(frozen=True)
class Story:
    """All that is known of a call."""

    live: LiveCall | None
    known: bool
    events: tuple[CallEvent, ...]
    outcome: SessionOutcome | None

    @property
    def trace(self) -> tuple[str, ...]:
        """How the recorder decided, and what was asked of it: so far, or in the end."""
        if self.outcome is not None:
            return self.outcome.trace
        return () if self.live is None else self.live.trace


async def get_found(request: web.Request) -> web.StreamResponse:
    """Show the calls that go by an id, or lead to the only one."""
    parameters = Parameters(request.query)
    term = parameters.read("q", session_term, "")
    parameters.check()
    page = SessionPage((), None)
    if term:
        page = await asyncio.to_thread(
            sessions.find, request.app[SERVICES].catalogue, request[SCOPE], term=term
        )
    if len(page.items) == 1:
        return see_other(request, f"/calls/{page.items[0].session_id}/why")
    return render(request, "why/find.html", term=term, items=page.items, verdicts=VERDICTS)


async def get_why(request: web.Request) -> web.StreamResponse:
    """Show why a call is recorded or not, or lead to its recording."""
    catalogue, scope, named = request.app[SERVICES].catalogue, request[SCOPE], recording_id_of(request)
    story = await asyncio.to_thread(_story, catalogue, scope, named)
    if story is None:
        return see_other(request, f"/recordings/{named}/why")
    steps = trace.steps(story.trace)
    people = {UserId(step.user_id) for step in steps if step.user_id}
    people |= {UserId(by.removeprefix("user:")) for by in map(_by, story.events) if by.startswith("user:")}
    people |= {story.live.owner} if story.live and story.live.owner else set()
    names = await asyncio.to_thread(_names, catalogue, scope, people)
    language = language_of(request)
    standing: Standing | None = None if story.live is None else standing_of(story.live, known=story.known)
    return render(
        request,
        "why/page.html",
        status=HTTPStatus.OK,
        call=story.live,
        owner="" if story.live is None else names.get(story.live.owner or "", ""),
        outcome=story.outcome,
        standing=standing,
        verdict=_verdict(story),
        events=[_of_event(event, language, names) for event in story.events if event.kind in EVENTS],
        steps=[
            Told(step.at, step.icon, trace.told(step, language, names), plain=step.plain) for step in steps
        ],
        words=words,
    )


def _story(catalogue: Catalogue, scope: AccessScope, named: RecordingId) -> Story | None:
    """Return what is known of a call, None where it has a recording; raises NotFound."""
    try:
        recordings.get(catalogue, scope, named)
    except NotFound:
        pass
    else:
        return None
    live, known = None, False
    try:
        live = live_calls.get(catalogue, scope, named)
        known = live.node in recorder_nodes.heard(catalogue)
    except NotFound:
        pass
    events = tuple(call_history.told_of(catalogue, scope, named))
    outcome = None
    if live is None and not events:
        try:
            outcome = sessions.get(catalogue, scope, SessionId(named))
        except Refused:
            raise NotFound("There is no such call.") from None
    return Story(live, known, events, outcome)


def _verdict(story: Story) -> str:
    """Return what is said first of a call, never more than is known of it."""
    if story.live is not None:
        if not story.known:
            return NOT_KNOWN
        return IN_GRACE if story.live.state is RecordingState.GRACE else UNDER_WAY
    if story.outcome is not None:
        return VERDICTS[story.outcome.kind]
    kinds = {event.kind for event in story.events}
    if EventKind.RECORDING_DISCARDED in kinds:
        return NOT_KEPT
    if EventKind.CALL_ENDED not in kinds:
        return LOST
    # What nobody kept, and nothing was there of to destroy, was never begun.
    unkept = story.events[-1].body.get("state") in UNSEEN_STATES
    return NOTHING_RECORDED if unkept else KEPT_SOON


def _by(event: CallEvent) -> str:
    by = event.body.get("by", "")
    return by if isinstance(by, str) else ""


def _of_event(event: CallEvent, language: Language, names: dict[str, str]) -> Told:
    icon, text = EVENTS[EventKind(event.kind)]
    by = _by(event)
    return Told(event.at, icon, text, trace.cause(by, language, names) if by else "")


def _names(catalogue: Catalogue, scope: AccessScope, people: set[UserId]) -> dict[str, str]:
    """Return the logins of people by their ids; who is gone has none."""
    found: dict[str, str] = {}
    for user_id in sorted(people):
        try:
            found[user_id] = directory.user_by_id(catalogue, scope.tenant_id, user_id).login
        except NotFound:
            continue
    return found


WHY_ROUTES = (
    Route("GET", "/calls/why", get_found, Scope.SESSIONS_READ, "sessions.searched", "", page=True),
    Route("GET", "/calls/{id}/why", get_why, Scope.CALLS_READ, "why.viewed", "", page=True),
)
