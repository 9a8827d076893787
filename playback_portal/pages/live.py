"""Calls that are being recorded now, and the buttons their mode allows.

The page has the list as it is when it is opened; its script hears of changes by
`/v1/events` and asks for the list again, so that every state on it is one the recorder
told. A button answers when the recorder confirmed, with its reason where it refused, and
with the plain truth where it does not answer.

Rules: who sees which calls is what `/v1/calls` says, and a command does what its row there
does. Asking for the list again is no activity that keeps a session open, and has no audit
entry of its own while a stream of the same person, which has one, is open.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.catalogue import directory, listing, live_calls, recorder_nodes
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import PAGE_ROWS_MAX, LiveCall
from archive.errors import NotFound
from archive.model import RecordingMode
from playback_portal import live, words
from playback_portal.calls import call_of, obeyed
from playback_portal.confirmations import WITHDRAWN
from playback_portal.events import STREAMS
from playback_portal.language import mark
from playback_portal.live import BUTTONS, Button, LiveRow
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.problems import Problem
from playback_portal.route import Route
from playback_portal.services import ENTRY, SCOPE, SERVICES

HERE = "/live"

FAILED = {
    "keep": mark("Keeping failed."),
    "start": mark("Starting failed."),
    "pause": mark("Pausing failed."),
    "resume": mark("Resuming failed."),
    "stop": mark("Stopping failed."),
}
DONE = {
    "keep": mark("The call is kept."),
    "start": mark("Recording has started."),
    "pause": mark("Recording is paused."),
    "resume": mark("Recording goes on."),
    "stop": mark("Recording has stopped."),
}
SILENT = mark("The recorder of this call does not answer. Nothing was changed. Try again in a moment.")
DOUBTFUL = mark("The recorder did not confirm it in time. Look how the call stands before you try again.")
OVER = mark("The call is over.")
NOT_YOURS = mark("Only who is recorded can do this.")
AWAY = mark("A part of the service is away. Look how the call stands before you try again.")


@dataclass(frozen=True)
class Lists:
    """What the page shows: one's own calls, those of others, and those that are over and may be kept.

    With `never` there is none of one's own, because one's mode is Never.
    """

    own: tuple[LiveRow, ...]
    others: tuple[LiveRow, ...]
    over: tuple[LiveRow, ...]
    more: bool
    never: bool

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.own or self.others or self.over)


async def get_live(request: web.Request) -> web.StreamResponse:
    """Show the calls under way."""
    return render(request, "live/page.html", status=HTTPStatus.OK, told=None, **await _context(request))


async def get_lists(request: web.Request) -> web.StreamResponse:
    """Show the lists alone, as a page that follows the calls asks for them again."""
    response = partial(request, "live/_lists.html", status=HTTPStatus.OK, **await _context(request))
    if request.app[STREAMS].follows(request[SCOPE].actor):
        request[ENTRY].waive()
    return response


async def _context(request: web.Request) -> dict[str, object]:
    lists = await asyncio.to_thread(_lists, request)
    return {
        "lists": lists,
        "words": words,
        "now": request.app[SERVICES].clock.now(),
        "long_pause_ms": int(request.app[SERVICES].long_pause.total_seconds() * 1000),
    }


def _lists(request: web.Request) -> Lists:
    services, scope = request.app[SERVICES], request[SCOPE]
    found = live_calls.find(services.catalogue, scope)
    more = len(found) == PAGE_ROWS_MAX
    if more and scope.user_id is not None:
        # One's own is there with its buttons, however many others talk.
        known = {call.recording_id for call in found}
        own = live_calls.find(services.catalogue, scope, owner=scope.user_id)
        found += [call for call in own if call.recording_id not in known]
    heard = recorder_nodes.heard(services.catalogue)
    logins = listing.logins_of(services.catalogue, scope, {call.owner for call in found if call.owner})
    now = services.clock.now()
    # The oldest first: who begins to talk comes below, and nothing moves under a finger.
    rows = [
        live.row(call, scope, logins, now, known=call.node in heard, long_pause=services.long_pause)
        for call in reversed(found)
    ]
    return Lists(
        own=tuple(row for row in rows if row.own and not row.over),
        others=tuple(row for row in rows if not row.own and not row.over),
        over=tuple(row for row in rows if row.over),
        more=more,
        never=not any(row.own for row in rows) and _never(services.catalogue, scope),
    )


def _never(catalogue: Catalogue, scope: AccessScope) -> bool:
    """Return whether who looks is somebody whose calls are not recorded by their mode."""
    if scope.user_id is None:
        return False
    user = directory.user_by_id(catalogue, scope.tenant_id, scope.user_id)
    return user.mode is RecordingMode.NEVER and bool(user.numbers)


async def post_pause(request: web.Request) -> web.StreamResponse:
    """Pause a call."""
    return await _commanded(request, BUTTONS["pause"])


async def post_resume(request: web.Request) -> web.StreamResponse:
    """Resume a paused call."""
    return await _commanded(request, BUTTONS["resume"])


async def post_keep(request: web.Request) -> web.StreamResponse:
    """Keep a call, also one that is over and waits for it."""
    return await _commanded(request, BUTTONS["keep"])


async def post_start(request: web.Request) -> web.StreamResponse:
    """Begin to record a call."""
    return await _commanded(request, BUTTONS["start"])


async def post_stop(request: web.Request) -> web.StreamResponse:
    """Stop recording a call."""
    return await _commanded(request, BUTTONS["stop"])


async def _commanded(request: web.Request, button: Button) -> web.StreamResponse:
    """Command a call and tell what came of it, never more than the recorder said."""
    verb, call = button.verb, None
    try:
        call = await call_of(request)
        _, effective_at = await obeyed(request, call, verb)
    except NotFound:
        cause, status = OVER, HTTPStatus.NOT_FOUND
    except Problem as problem:
        cause, status = _cause(problem, verb, call), problem.status
    else:
        if not is_htmx(request):
            return see_other(request, HERE)
        return partial(request, "live/_done.html", done=DONE[verb], at=effective_at)
    await request[ENTRY].make("unconfirmed" if status is HTTPStatus.GATEWAY_TIMEOUT else "refused")
    told = {"failed": FAILED[verb], "cause": cause, "at": request.app[SERVICES].clock.now()}
    if is_htmx(request):
        return partial(request, "live/_failed.html", status=status, told=told)
    return render(request, "live/page.html", status=status, told=told, **await _context(request))


def _cause(problem: Problem, verb: str, call: LiveCall | None) -> str:
    """Return the message that says why a command came to nothing, or what is not known of it."""
    if problem.status is HTTPStatus.CONFLICT and call is not None:
        return live.reason_of(problem.detail, verb, call.mode)
    if problem.status is HTTPStatus.FORBIDDEN:
        return NOT_YOURS
    if problem.status is HTTPStatus.GATEWAY_TIMEOUT:
        return SILENT if problem.detail == WITHDRAWN else DOUBTFUL
    return AWAY


_COMMANDS = (
    ("pauses", post_pause, "recording.paused"),
    ("resumes", post_resume, "recording.resumed"),
    ("keeps", post_keep, "recording.kept"),
    ("starts", post_start, "recording.started"),
    ("stops", post_stop, "recording.stopped"),
)

LIVE_ROUTES = (
    Route("GET", HERE, get_live, Scope.CALLS_READ, "calls.listed", page=True),
    Route("GET", "/live/calls", get_lists, Scope.CALLS_READ, "calls.listed", page=True, quiet=True),
    *(
        Route("POST", f"/live/calls/{{id}}/{path}", handler, Scope.CALLS_CONTROL, event, "", page=True)
        for path, handler, event in _COMMANDS
    ),
)
