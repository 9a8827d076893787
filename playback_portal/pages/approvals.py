"""What takes two people, for people: what waits for me, what I proposed, and what became of the rest.

Rules: for administrators and auditors. Every button does what the API does, with the same
entry in the log; whoever approves signed in a short while ago. The release of a case waits
on the page of the case, and is pointed to from here. Not here: who may do what
(`archive.approval`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.approval import (
    REASON_CHARS_MAX,
    Event,
    Kind,
    NotDecidable,
    Proposal,
    State,
    may_decide,
    may_propose,
)
from archive.catalogue import cases, proposals
from archive.catalogue.cases import Case
from archive.errors import ArchiveError, Conflict, NotFound, Refused
from archive.model import AboveCap
from playback_portal import approvals, logins, words
from playback_portal.admission import again
from playback_portal.language import mark
from playback_portal.page import render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.pages.teams import row
from playback_portal.proposal import shown_parameters
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_in

PAGE = "/approvals"
ROWS_COUNT = 50

KINDS = {
    Kind.EARLY_DESTRUCTION: mark("Destroy a recording before its term"),
    Kind.KEY_DESTRUCTION: mark("Destroy the keys of a day"),
    Kind.POLICY_CHANGE: mark("Keep less, or let more out"),
    Kind.ROLE_GRANT: mark("Give a role"),
    Kind.MASS_EXPORT: mark("Export many recordings"),
    Kind.DUTY_END: mark("End a legal duty to keep"),
}
WARNINGS = {
    Kind.EARLY_DESTRUCTION: mark(
        "The recording goes into the trash, and is destroyed when its days there are over. Until then an "
        "administrator can put it back."
    ),
    Kind.KEY_DESTRUCTION: mark("Every recording under these keys is destroyed. That can't be undone."),
    Kind.POLICY_CHANGE: mark("It counts for calls recorded from now on; what exists keeps its term."),
    Kind.ROLE_GRANT: mark("The role counts at once."),
    Kind.MASS_EXPORT: mark("The package is made for who asked for it, and for nobody else."),
    Kind.DUTY_END: mark(
        "Calls archived from now on get a lock that can be taken back; locks that stand stay."
    ),
}
AT_ONCE = mark("The recording is destroyed within the hour. That can't be undone.")
"""The warning for what does not wait in the trash."""

STATES = {
    State.WAITING: mark("Waiting"),
    State.APPROVED: mark("Approved"),
    State.REFUSED: mark("Refused"),
    State.WITHDRAWN: mark("Withdrawn"),
    State.EXPIRED: mark("Nobody decided in time"),
}
FIELDS = {
    "aboveCap": mark("Above the minutes"),
    "exportsAloneMax": mark("Recordings one person exports a day"),
    "keepGraceHours": mark("Hours a call nobody kept waits"),
    "purposeRequired": mark("Ask for a purpose"),
    "trashDays": mark("Days in the trash"),
    "idleMinutes": mark("Minutes until a browser is signed out"),
}
ABOVE_CAP = {
    AboveCap.KEEP: mark("Kept for 7 years and flagged"),
    AboveCap.DAYS_90: mark("Kept for 90 days"),
    AboveCap.STOP: mark("Not recorded until the next month"),
}

NO_RECORDING = mark("Give the id or address of a recording, and a reason.")
UNKNOWN = mark("There is no such recording or proposal.")
DECIDED = mark("It was decided on already, its time is over, or who proposed it has lost the role for it.")
NOT_NOW = mark(
    "Something stands against it now: a legal hold, or it is proposed already. Nothing was changed."
)
NOT_YOURS = mark(
    "Another person has to decide on this: not who proposed it, and not who they let in within the last "
    "seven days."
)


@dataclass(frozen=True)
class Board:
    """All that the page shows."""

    for_me: tuple[Proposal, ...]
    mine: tuple[Proposal, ...]
    past: tuple[Proposal, ...]
    releases: tuple[Case, ...]
    next: str | None
    seconds: int
    names: Mapping[str, str]


async def list_approvals(request: web.Request) -> web.StreamResponse:
    """Show what waits and what was decided."""
    return await _page(request)


async def post_destruction(request: web.Request) -> web.StreamResponse:
    """Propose to destroy a recording before its term."""
    form = await fields_of(request)
    recording_id, reason = recording_id_in(form.get("recording", "")), form.get("reason", "").strip()
    if recording_id is None or not 1 <= len(reason) <= REASON_CHARS_MAX:
        return await _page(request, NO_RECORDING, form=form)
    try:
        at_once = form.get("at_once") == "on"
        await approvals.propose_destruction(request, recording_id, reason, at_once=at_once)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error, form)
    return see_other(request, PAGE)


async def post_approval(request: web.Request) -> web.StreamResponse:
    """Approve what another person proposed."""
    return await _decide(request, Event.APPROVE)


async def post_refusal(request: web.Request) -> web.StreamResponse:
    """Refuse what another person proposed."""
    return await _decide(request, Event.REFUSE)


async def post_withdrawal(request: web.Request) -> web.StreamResponse:
    """Withdraw what oneself proposed."""
    return await _decide(request, Event.WITHDRAW)


async def _decide(request: web.Request, event: Event) -> web.StreamResponse:
    try:
        await approvals.decide(request, event)
    except (NotFound, Conflict, Refused) as error:
        return await _refused(request, error, {})
    return see_other(request, PAGE)


async def _refused(request: web.Request, error: ArchiveError, form: Mapping[str, str]) -> web.Response:
    """Return the page with why it was not done; the refusal stands in the log."""
    await request[ENTRY].make("refused")
    told = {NotFound: UNKNOWN, NotDecidable: DECIDED, Conflict: NOT_NOW, Refused: NOT_YOURS}
    return await _page(
        request, next(text for kind, text in told.items() if isinstance(error, kind)), form=form
    )


async def _page(request: web.Request, fault: str = "", form: Mapping[str, str] | None = None) -> web.Response:
    scope = request[SCOPE]
    after = request.query.get("cursor") if request.method == "GET" else None
    board = await asyncio.to_thread(_board, request, scope, after)
    return render(
        request,
        "approvals/page.html",
        status=HTTPStatus.CONFLICT if fault else HTTPStatus.OK,
        board=board,
        cursor=after,
        fault=fault,
        form=form or {},
        again=again(request),
        may_decide=may_decide(scope),
        may_destroy=may_propose(scope, Kind.EARLY_DESTRUCTION),
        reason_chars_max=REASON_CHARS_MAX,
        words=words,
        kinds=KINDS,
        warnings=WARNINGS,
        at_once=AT_ONCE,
        states=STATES,
        fields=FIELDS,
        above_cap=ABOVE_CAP,
        roles={role.value: text for role, text in words.ROLES.items()},
        shown=shown_parameters,
    )


def _board(request: web.Request, scope: AccessScope, after: str | None) -> Board:
    services = request.app[SERVICES]
    catalogue, now = services.catalogue, services.clock.now()
    where = (catalogue, scope.tenant_id)
    waiting, _ = proposals.page(*where, waiting=True, limit=proposals.WAITING_COUNT_MAX, cursor=None, now=now)
    past, following = proposals.page(*where, waiting=False, limit=ROWS_COUNT, cursor=after, now=now)
    asked = tuple(
        each
        for each in cases.page(catalogue, scope, ROWS_COUNT, None)[0]
        if each.state == "release asked" and each.release_asked_by != scope.actor
    )
    actors = [
        *(actor for each in (*waiting, *past) for actor in (each.proposed_by, each.decided_by, each.subject)),
        *(each.release_asked_by for each in asked),
    ]
    return Board(
        for_me=tuple(each for each in waiting if each.proposed_by != scope.actor),
        mine=tuple(each for each in waiting if each.proposed_by == scope.actor),
        past=past,
        releases=asked,
        next=following,
        seconds=proposals.seconds(catalogue, scope),
        names=logins.names_of(catalogue, scope, filter(None, actors)),
    )


def _row(method: str, path: str, handler: Handler, audit: str, *, fresh: bool = False) -> Route:
    return Route(method, path, handler, Scope.APPROVALS, audit, "proposal", page=True, fresh=fresh)


APPROVAL_PAGE_ROUTES = (
    _row("GET", PAGE, list_approvals, "proposals.listed"),
    row("POST", f"{PAGE}/destructions", post_destruction, "proposal.made", "proposal"),
    _row("POST", f"{PAGE}/{{id}}/approval", post_approval, "proposal.approved", fresh=True),
    _row("POST", f"{PAGE}/{{id}}/refusal", post_refusal, "proposal.refused"),
    _row("POST", f"{PAGE}/{{id}}/withdrawal", post_withdrawal, "proposal.withdrawn"),
)
