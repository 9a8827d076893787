"""Calls now: what is being recorded, what each of them obeys, and the commands to them.

A command is answered when the recorder has confirmed it (201), with the recorder's own
reason when it did not obey (409), and with a plain "not confirmed" when it is silent
(504); `playback_portal.confirmations` does the waiting.

Rules: a call that may not be seen, or is over, is not found. Only what was obeyed stands
in the audit log under the recording's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, may_command
from archive.audit import Json
from archive.call_commands import VERBS, allowed
from archive.catalogue import call_history, live_calls, recordings
from archive.catalogue.call_history import End
from archive.catalogue.commands import CommandStatus
from archive.catalogue.live_calls import LiveCall
from archive.catalogue.recordings import encode_cursor
from archive.errors import NotFound
from archive.model import Party, RecordingId, RecordingState
from playback_portal import documents
from playback_portal.confirmations import CONFIRMATIONS
from playback_portal.documents import time_of
from playback_portal.parameters import Parameters, cursor, limit, read_body
from playback_portal.problems import Problem, not_found
from playback_portal.route import DETAILS, SUBJECT
from playback_portal.services import SCOPE, SERVICES, recording_id_of

_TOO_LATE = {
    End.DISCARDED: "The call was not kept in time; there is nothing left to keep.",
    End.OVER: "The call is over and does not wait to be kept; what was kept of it is being stored.",
}
NOT_YOURS = "Only the person who is recorded, or a program for all of them, may command this call."


async def list_calls(request: web.Request) -> web.StreamResponse:
    """Answer with a page of calls under way, newest first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]

    def read() -> tuple[list[LiveCall], str | None]:
        found = live_calls.find(catalogue, scope, limit=size, cursor=after)
        if len(found) < size:
            return found, None
        place = encode_cursor(found[-1].started_at, found[-1].recording_id)
        more = live_calls.find(catalogue, scope, limit=1, cursor=place)
        return found, place if more else None

    calls, following = await asyncio.to_thread(read)
    return documents.list_response(request, (call_document(call, scope) for call in calls), following)


async def get_call(request: web.Request) -> web.StreamResponse:
    """Answer with one call under way."""
    Parameters(request.query).check()
    call = await call_of(request)
    return documents.json_response(call_document(call, request[SCOPE]))


async def post_pause(request: web.Request) -> web.StreamResponse:
    """Pause a call: nothing of it is stored until it is resumed."""
    return await _command(request, "pause")


async def post_resume(request: web.Request) -> web.StreamResponse:
    """Resume a paused call."""
    return await _command(request, "resume")


async def post_keep(request: web.Request) -> web.StreamResponse:
    """Keep an on-demand call."""
    return await _command(request, "keep")


async def post_start(request: web.Request) -> web.StreamResponse:
    """Begin, or begin again, to record a call."""
    return await _command(request, "start")


async def post_stop(request: web.Request) -> web.StreamResponse:
    """Stop recording a call; what was recorded stays."""
    return await _command(request, "stop")


async def post_recording_keep(request: web.Request) -> web.StreamResponse:
    """Keep a call that is over, within the grace of its tenant."""
    Parameters(request.query).check()
    (await read_body(request)).check()
    try:
        call = await call_of(request)
    except NotFound:
        raise await asyncio.to_thread(_grace_is_over, request) from None
    if call.state is not RecordingState.GRACE:
        raise _conflict("The call is still under way: keep it by /v1/calls/{id}/keeps.")
    return await _confirmed(request, call, "keep")


def call_document(call: LiveCall, scope: AccessScope) -> dict[str, Json]:
    """Return a call under way as the API shows it to `scope`."""
    return {
        "id": call.recording_id,
        "sessionId": call.session_id,
        "callId": call.call_id,
        "callGroup": call.call_group,
        "state": call.state.value,
        "capture": call.capture,
        "mode": call.mode.value,
        "owner": call.owner,
        "direction": call.direction.value,
        "layout": call.layout.value,
        "startedAt": time_of(call.started_at),
        "pausedAt": _maybe(time_of, call.paused_at),
        "graceUntil": _maybe(time_of, call.grace_until),
        "parties": [_party(party) for party in call.parties],
        "commands": _commands(call, scope),
    }


def _commands(call: LiveCall, scope: AccessScope) -> dict[str, Json]:
    """Return each verb with whether it works now, and why not."""
    reasons: dict[str, str | None] = dict.fromkeys(VERBS, NOT_YOURS)
    if may_command(scope, call.owner):
        reasons = allowed(call.mode, call.state, call.capture)
    return {verb: {"allowed": reason is None, "reason": reason} for verb, reason in reasons.items()}


def _party(party: Party) -> dict[str, Json]:
    return {
        "channel": party.channel,
        "number": party.number,
        "name": party.name,
        "userId": party.user_id,
        "fromMs": party.from_ms,
        "toMs": party.to_ms,
    }


def _maybe(show: Callable[[datetime], str], moment: datetime | None) -> str | None:
    return None if moment is None else show(moment)


async def call_of(request: web.Request) -> LiveCall:
    """Return the call the path names; raises NotFound outside the caller's scope."""
    recording_id = recording_id_of(request)
    return await asyncio.to_thread(
        live_calls.get, request.app[SERVICES].catalogue, request[SCOPE], recording_id
    )


async def _command(request: web.Request, verb: str) -> web.StreamResponse:
    Parameters(request.query).check()
    (await read_body(request)).check()
    return await _confirmed(request, await call_of(request), verb)


async def obeyed(request: web.Request, call: LiveCall, verb: str) -> tuple[str, datetime | None]:
    """Command a call; return the command's id and from when it counts, once the recorder obeyed.

    Raises the Problem that says why it did not, and NotFound when the call is over meanwhile.
    """
    scope = request[SCOPE]
    if not may_command(scope, call.owner):
        raise Problem(HTTPStatus.FORBIDDEN, "not-yours", NOT_YOURS)
    command_id, outcome = await request.app[CONFIRMATIONS].confirm(call, verb, scope.actor)
    if outcome.status is CommandStatus.REFUSED:
        raise _conflict(outcome.reason)
    request[SUBJECT] = f"recording:{call.recording_id}"
    request[DETAILS] = {
        "command": command_id,
        "verb": verb,
        "effectiveAt": _maybe(time_of, outcome.effective_at),
    }
    return command_id, outcome.effective_at


async def _confirmed(request: web.Request, call: LiveCall, verb: str) -> web.Response:
    """Answer 201 when the recorder obeyed, and raise the Problem that says why it did not."""
    command_id, effective_at = await obeyed(request, call, verb)
    document: dict[str, Json] = {
        "id": command_id,
        "call": call.recording_id,
        "verb": verb,
        "effectiveAt": _maybe(time_of, effective_at),
    }
    response = documents.json_response(document)
    response.set_status(HTTPStatus.CREATED)
    return response


def _grace_is_over(request: web.Request) -> Problem:
    """Return why a recording that no recorder holds can't be kept: 409 when it is known, else 404."""
    catalogue, scope, recording_id = request.app[SERVICES].catalogue, request[SCOPE], recording_id_of(request)
    if _is_stored(request, recording_id):
        return _conflict("The recording is kept already.")
    end = call_history.end_of(catalogue, scope, recording_id)
    return not_found() if end is None else _conflict(_TOO_LATE[end])


def _is_stored(request: web.Request, recording_id: RecordingId) -> bool:
    try:
        recordings.get(request.app[SERVICES].catalogue, request[SCOPE], recording_id)
    except NotFound:
        return False
    return True


def _conflict(reason: str) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "not-obeyed", reason)
