"""The page of one recording: its player, what happened in it, its history, and why it is there.

What can't be played says so and why; where the tenant wants to know what a recording of
somebody else is opened for, the page asks that first and shows nothing of the call's sound.

Rules: the page holds no sound and no contour of it; the player fetches both, and each
fetch has its audit entry. Nothing here decides who may hear.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from archive.access import (
    AccessScope,
    Right,
    Scope,
    may_annotate,
    may_download,
    may_email,
    may_hold,
    may_play,
    may_share,
)
from archive.catalogue import (
    accounts,
    audit_entries,
    case_people,
    cases,
    directory,
    minutes,
    positions,
    remains,
    rights,
    sessions,
    trash,
)
from archive.catalogue.cases import Case
from archive.catalogue.engine import Catalogue
from archive.catalogue.minutes import Booking
from archive.errors import NotFound
from archive.model import (
    GOING_STATES,
    PLAYABLE_STATES,
    OutcomeKind,
    Recording,
    RecordingMode,
    RetentionClass,
    SessionOutcome,
    UserId,
)
from playback_portal import audience, history, panel, player, trace
from playback_portal.audience import LISTENERS_COUNT_MAX, Audience
from playback_portal.formats import ZONE
from playback_portal.language import language_of, mark
from playback_portal.page import is_htmx, partial, render
from playback_portal.purposes import SUGGESTIONS, is_missing
from playback_portal.recordings import archived_recording
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of

MODES = {
    RecordingMode.ALWAYS: mark("Always"),
    RecordingMode.ALWAYS_PAUSE: mark("Always with pause"),
    RecordingMode.ON_DEMAND: mark("On demand"),
    RecordingMode.ON_DEMAND_START: mark("On demand with start"),
    RecordingMode.NEVER: mark("Never"),
}
LICENCES = {
    RetentionClass.DAYS_90: mark("90 days"),
    RetentionClass.DAYS_365: mark("365 days"),
    RetentionClass.YEARS_7_1000: mark("7 years, at most 1000 minutes a month"),
    RetentionClass.YEARS_7_3500: mark("7 years, at most 3500 minutes a month"),
}
OUTCOMES = {
    OutcomeKind.RECORDED: mark("recorded"),
    OutcomeKind.NOT_KEPT: mark("not kept"),
    OutcomeKind.MODE_NEVER: mark("not recorded: the mode was Never"),
    OutcomeKind.NOBODY_RECORDED: mark("not recorded: of nobody who is"),
    OutcomeKind.FAILED: mark("failed"),
}
RIGHTS = {
    Right.DOWNLOAD: mark("download"),
    Right.EMAIL: mark("e-mail"),
    Right.SHARE: mark("share"),
    Right.EVALUATE: mark("evaluate"),
}
"""What people may do beside hearing, in the order it is told."""


@dataclass(frozen=True)
class Reasons:
    """Why a recording is there and how long it stays, as far as the catalogue knows."""

    outcome: SessionOutcome | None
    booking: Booking | None
    licence: RetentionClass | None


async def get_page(request: web.Request) -> web.StreamResponse:
    """Show a recording: its player, or what is the matter with it, or the question what it is opened for."""
    services, scope = request.app[SERVICES], request[SCOPE]
    try:
        recording = (await archived_recording(request)).recording
    except NotFound:
        # An administrator hears nobody, and answers for what was destroyed all the same.
        if (left := await _left(request)) is None:
            raise
        return left
    if recording.state in GOING_STATES and (left := await _left(request)) is not None:
        return left
    names = await asyncio.to_thread(_names, services.catalogue, scope, _people_of(recording))
    holds = await asyncio.to_thread(_holds, services.catalogue, scope, recording)
    context = {
        **_facts(recording, names, services.clock.now()),
        "names": names,
        "holds": holds,
        "trashed_until": await asyncio.to_thread(_trashed_until, request, recording),
    }
    if await is_missing(request, recording):
        return render(
            request, "recording/purpose.html", suggestions=SUGGESTIONS, status=HTTPStatus.OK, **context
        )
    if not may_play(scope, recording):
        state = "refused" if recording.state in PLAYABLE_STATES else recording.state.value
        return render(request, "recording/silent.html", state=state, status=HTTPStatus.OK, **context)
    position_ms = await asyncio.to_thread(positions.kept, services.catalogue, scope, recording)
    return render(
        request,
        "recording/page.html",
        lanes=player.lanes(recording),
        bands=player.bands(recording),
        call=player.document(recording, position_ms),
        annotates=may_annotate(scope, recording),
        panel=await asyncio.to_thread(panel.read, services.catalogue, scope, recording),
        downloads=may_download(scope, recording),
        emails=may_email(scope, recording),
        shares=may_share(scope, recording),
        status=HTTPStatus.OK,
        **context,
        **panel.words(),
    )


async def _left(request: web.Request) -> web.Response | None:
    """Return the page of what is left of a recording, None where nothing is or they may not know."""
    services, recording_id = request.app[SERVICES], recording_id_of(request)
    left = await asyncio.to_thread(remains.of, services.catalogue, request[SCOPE], recording_id)
    if left is None:
        return None
    return render(
        request,
        "recording/destroyed.html",
        left=left,
        mode=MODES[left.mode],
        licence=LICENCES[left.retention_class],
        outcome="" if left.outcome is None else OUTCOMES[left.outcome],
    )


async def get_history(request: web.Request) -> web.StreamResponse:
    """Show what was done with the recording, newest first."""
    recording = (await archived_recording(request)).recording
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]

    def read() -> tuple[list[history.Deed], dict[str, str]]:
        entries = audit_entries.of_object(catalogue, scope.tenant_id, f"recording:{recording.id}")
        deeds = history.deeds(entries)
        return deeds, _names(catalogue, scope, {UserId(deed.user_id) for deed in deeds if deed.user_id})

    deeds, names = await asyncio.to_thread(read)
    return partial(request, "recording/_history.html", recording=recording, deeds=deeds, names=names)


async def get_access(request: web.Request) -> web.StreamResponse:
    """Show who can hear the recording and why, and who did."""
    recording = (await archived_recording(request)).recording
    found = await asyncio.to_thread(_audience, request.app[SERVICES].catalogue, request[SCOPE], recording)
    return partial(request, "recording/_access.html", audience=found, right_words=RIGHTS)


async def get_why(request: web.Request) -> web.StreamResponse:
    """Show why the recording is there, what happened to it and how long it stays: a page, or its panel."""
    recording = (await archived_recording(request)).recording
    catalogue, scope, now = (
        request.app[SERVICES].catalogue,
        request[SCOPE],
        request.app[SERVICES].clock.now(),
    )
    reasons = await asyncio.to_thread(_reasons, catalogue, scope, recording)
    steps = trace.steps(() if reasons.outcome is None else reasons.outcome.trace)
    people = _people_of(recording) | {UserId(step.user_id) for step in steps if step.user_id}
    names = await asyncio.to_thread(_names, catalogue, scope, people)
    context = {**_facts(recording, names, now), "names": names}
    language = language_of(request)
    return (partial if is_htmx(request) else render)(
        request,
        "recording/_why.html" if is_htmx(request) else "recording/why.html",
        reasons=reasons,
        whole=not is_htmx(request),
        steps=[(step, trace.told(step, language, names)) for step in steps],
        bands=player.bands(recording),
        status=HTTPStatus.OK,
        **context,
    )


def _audience(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> Audience:
    """Return who can hear a recording; each person is asked for as the rules would ask them now."""
    tenant_id, recording = scope.tenant_id, case_people.as_held(catalogue, recording)
    hearers = rights.hearers_of_recording(catalogue, recording)
    people = [user_id for user_id, _ in audience.reaching(recording, hearers) if user_id is not None]
    scopes = {
        user_id: accounts.scope_of_user(catalogue, tenant_id, user_id)
        for user_id in people[: 2 * LISTENERS_COUNT_MAX]
    }
    deeds = history.deeds(audit_entries.of_object(catalogue, tenant_id, f"recording:{recording.id}"))
    names = _names(catalogue, scope, {UserId(deed.user_id) for deed in deeds if deed.user_id})
    return audience.of(recording, hearers, scopes, deeds, names)


def _facts(recording: Recording, names: dict[str, str], now: datetime) -> dict[str, object]:
    """Return what every page of a recording shows at its head."""
    days_left = (recording.retain_until.astimezone(ZONE).date() - now.astimezone(ZONE).date()).days
    return {
        "recording": recording,
        "owner": names.get(recording.owner or "", ""),
        "other": _other(recording),
        "mode": MODES[recording.mode],
        "licence": LICENCES[recording.retention_class],
        "licences": LICENCES,
        "causes": trace.CAUSES,
        "days_left": max(days_left, 0),
        "moment": _after,
    }


def _holds(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> tuple[Case, ...]:
    """Return the cases that hold a recording, for who may know of them."""
    if not (recording.on_hold and may_hold(scope)):
        return ()
    found = cases.of_recording(catalogue, scope, recording.id)
    return tuple(case for case in found if case.released_at is None)


def _trashed_until(request: web.Request, recording: Recording) -> datetime | None:
    """Return when the destruction of a recording begins that waits in the trash."""
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    with services.catalogue.transaction(tenant_id) as connection:
        found = trash.of_recordings(connection, tenant_id, [recording.id], now=services.clock.now())
    return found.get(recording.id)


def _after(position_ms: int) -> timedelta:
    return timedelta(milliseconds=position_ms)


def _other(recording: Recording) -> str:
    """Return the name or number of the other party, "" when only the recorded one is known."""
    others = [party for party in recording.parties if party.user_id is None]
    if recording.owner is not None:
        others = [party for party in recording.parties if party.user_id != recording.owner]
    elif recording.direction == "out":
        others = others[::-1]
    return next((party.name or party.number for party in others if party.name or party.number), "")


def _people_of(recording: Recording) -> set[UserId]:
    """Return the people of the tenant the recording names: its owner, parties, and who paused it."""
    people = {party.user_id for party in recording.parties if party.user_id is not None}
    people |= {
        UserId(span.by.removeprefix("user:"))
        for span in recording.spans
        if span.by is not None and span.by.startswith("user:")
    }
    return people | ({recording.owner} if recording.owner is not None else set())


def _names(catalogue: Catalogue, scope: AccessScope, people: set[UserId]) -> dict[str, str]:
    """Return the logins of people by their ids; who is gone has none."""
    found: dict[str, str] = {}
    for user_id in sorted(people):
        try:
            found[user_id] = directory.user_by_id(catalogue, scope.tenant_id, user_id).login
        except NotFound:
            continue
    return found


def _reasons(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> Reasons:
    try:
        outcome = sessions.of_recording(catalogue, scope, recording.id)
    except NotFound:
        outcome = None
    with catalogue.transaction(scope.tenant_id) as connection:
        booking = minutes.booking_of(connection, scope.tenant_id, recording.id)
    licence = None
    if recording.owner is not None:
        licence = directory.licence_at(catalogue, scope.tenant_id, recording.owner, recording.started_at)
    return Reasons(outcome, booking, licence)


PLAYER_ROUTES = (
    Route("GET", "/recordings/{id}", get_page, Scope.RECORDINGS_READ, "recording.opened", page=True),
    Route("GET", "/recordings/{id}/access", get_access, Scope.RECORDINGS_READ, "access.viewed", page=True),
    Route("GET", "/recordings/{id}/history", get_history, Scope.RECORDINGS_READ, "history.viewed", page=True),
    Route("GET", "/recordings/{id}/why", get_why, Scope.RECORDINGS_READ, "why.viewed", page=True),
)
