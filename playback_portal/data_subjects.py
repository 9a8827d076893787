"""Requests of data subjects over the API: taken in, identified, found, chosen of, exported, answered, closed.

Rules: as in `playback_portal.data_subject_steps`, which does the steps; here they are read
from JSON and told as JSON. Not here: the pages (`playback_portal.pages.data_subjects`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import data_subjects
from archive.catalogue.data_subject_calls import SOUGHT_CHARS_MAX, Call, Search
from archive.catalogue.data_subjects import (
    ANSWER_CHARS_MAX,
    LINE_CHARS_MAX,
    NOTE_CHARS_MAX,
    NewRequest,
    Request,
)
from archive.data_subject import (
    GROUNDS,
    Bar,
    Ground,
    Identification,
    Inseparable,
    Kept,
    Outcome,
    RequestKind,
    SoughtBy,
    Treatment,
    today,
)
from archive.model import RecordingId
from playback_portal import data_subject_steps as steps
from playback_portal import documents
from playback_portal import exports as evidence
from playback_portal.documents import time_of
from playback_portal.parameters import (
    Parameters,
    bounded_text,
    cursor,
    flag,
    json_word_of,
    limit,
    read_body,
    text,
)
from playback_portal.route import Handler, Route
from playback_portal.services import SCOPE, SERVICES, is_recording_id, recording_id_of

PATH = "/v1/data-subject-requests"
IDS_COUNT_MAX = 1000
"""Calls decided of at once."""


async def list_data_subject_requests(request: web.Request) -> web.StreamResponse:
    """Answer with a page of requests, newest first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    only_open = parameters.read("open", flag, False)
    parameters.check()
    services, scope = request.app[SERVICES], request[SCOPE]

    def read() -> tuple[tuple[Request, ...], str | None]:
        return data_subjects.page(services.catalogue, scope, size, after, only_open=only_open)

    found, following = await asyncio.to_thread(read)
    on = today(services.clock.now())
    return documents.list_response(request, (document(each, on) for each in found), following)


async def post_data_subject_request(request: web.Request) -> web.StreamResponse:
    """Take a request in."""
    Parameters(request.query).check()
    body = await read_body(request)
    line = bounded_text(LINE_CHARS_MAX, chars_min=1)
    on = today(request.app[SERVICES].clock.now())
    new = NewRequest(
        body.need("kind", json_word_of(RequestKind), RequestKind.ACCESS),
        body.need("name", line, ""),
        body.need("contact", line, ""),
        body.read("receivedOn", _day, on),
    )
    body.check()
    made = await steps.take_in(request, new)
    return _made(document(made, on), f"{PATH}/{made.id}")


async def get_data_subject_request(request: web.Request) -> web.StreamResponse:
    """Answer with one request, what was looked for, and how far its calls are."""
    Parameters(request.query).check()
    found = await steps.request_of(request)
    return documents.json_response(await _whole(request, found))


async def post_identification(request: web.Request) -> web.StreamResponse:
    """Write down how it was made sure who asks."""
    Parameters(request.query).check()
    body = await read_body(request)
    how = body.need("how", json_word_of(Identification), Identification.CALLED_BACK)
    note = body.read("note", bounded_text(NOTE_CHARS_MAX), "")
    body.check()
    return await _stepped(request, await steps.identify(request, recording_id_of(request), how, note))


async def post_extension(request: web.Request) -> web.StreamResponse:
    """Give the answer two months more, for a reason."""
    Parameters(request.query).check()
    body = await read_body(request)
    reason = body.need("reason", bounded_text(NOTE_CHARS_MAX, chars_min=1), "")
    body.check()
    return await _stepped(request, await steps.extend(request, recording_id_of(request), reason))


async def post_search(request: web.Request) -> web.StreamResponse:
    """Look for the calls of the person."""
    Parameters(request.query).check()
    body = await read_body(request)
    by = body.need("by", json_word_of(SoughtBy), SoughtBy.NUMBER)
    sought = body.need("text", bounded_text(SOUGHT_CHARS_MAX, chars_min=1), "")
    body.check()
    request_id = recording_id_of(request)
    made = await steps.search(request, request_id, by, sought)
    return _made(search_document(made), f"{PATH}/{request_id}")


async def list_data_subject_calls(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the calls that were found, newest first."""
    parameters = Parameters(request.query)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    found, following = await steps.calls_of(request, recording_id_of(request), size, after)
    bars = await steps.bars_of(request, found)
    told = (call_document(each, bars[each.recording.id]) for each in found)
    return documents.list_response(request, told, following)


async def post_choice(request: web.Request) -> web.StreamResponse:
    """Say what becomes of calls in the answer."""
    Parameters(request.query).check()
    body = await read_body(request)
    ids = body.read("recordingIds", _ids, None)
    treatment = body.need("treatment", json_word_of(Treatment), Treatment.MUTED)
    reason = body.read("reason", bounded_text(NOTE_CHARS_MAX), "")
    if ids is None and treatment is not Treatment.MUTED:
        body.fault("recordingIds", "Name the recordings; only silencing is chosen for all at once.")
    body.check()
    request_id = recording_id_of(request)
    chosen = await steps.choose(request, request_id, ids, treatment, reason)
    return _made({"recordings": chosen}, f"{PATH}/{request_id}/calls")


async def post_data_subject_export(request: web.Request) -> web.StreamResponse:
    """Ask for the package of what is given."""
    Parameters(request.query).check()
    (await read_body(request)).check()
    made = await steps.export(request, recording_id_of(request))
    return _made(evidence.document(made), f"/v1/exports/{made.id}", HTTPStatus.ACCEPTED)


async def post_answer(request: web.Request) -> web.StreamResponse:
    """Write down what was answered."""
    Parameters(request.query).check()
    body = await read_body(request)
    outcome = body.need("outcome", json_word_of(Outcome), Outcome.GRANTED)
    ground = body.read("ground", json_word_of(Ground), None)
    told = body.need("text", bounded_text(ANSWER_CHARS_MAX, chars_min=1), "")
    body.check()
    made = await steps.answer(request, recording_id_of(request), outcome, ground, told)
    return await _stepped(request, made)


async def post_closure(request: web.Request) -> web.StreamResponse:
    """Close a request that was answered, or with a note one that was withdrawn."""
    Parameters(request.query).check()
    body = await read_body(request)
    note = body.read("note", bounded_text(NOTE_CHARS_MAX), "")
    body.check()
    return await _stepped(request, await steps.close(request, recording_id_of(request), note))


async def get_data_subject_history(request: web.Request) -> web.StreamResponse:
    """Answer with the log of a request, oldest first."""
    Parameters(request.query).check()
    found = await steps.request_of(request)
    entries = await steps.history_of(request, found.id)
    return documents.list_response(request, map(documents.audit_document, entries), None)


def document(found: Request, on: date) -> dict[str, Json]:
    """Return a request as the API shows it, with the days that are left on a day."""
    return {
        "id": found.id,
        "reference": steps.reference_of(found),
        "kind": found.kind.value,
        "state": found.state.value,
        "name": found.name,
        "contact": found.contact,
        "receivedOn": found.received_on.isoformat(),
        "dueOn": found.due_on.isoformat(),
        "daysLeft": found.days_left(on),
        "late": found.was_late,
        "takenIn": _done(found.taken_in_by, found.taken_in_at),
        "identification": _done(
            found.identified_by,
            found.identified_at,
            how=None if found.identified_how is None else found.identified_how.value,
            note=found.identification,
        ),
        "extension": _done(found.extended_by, found.extended_at, reason=found.extension_reason),
        "answer": _done(
            found.answered_by,
            found.answered_at,
            outcome=None if found.outcome is None else found.outcome.value,
            ground=None if found.ground is None else found.ground.value,
            article=None if found.ground is None else GROUNDS[found.ground][0],
            text=found.answer,
        ),
        "closing": _done(found.closed_by, found.closed_at, note=found.closing_note),
    }


def call_document(call: Call, barred: Bar | None) -> dict[str, Json]:
    """Return a call of a request as the API shows it."""
    separable = not isinstance(call.kept, Inseparable)
    why = None if separable else str(call.kept)
    return {
        "recordingId": call.recording.id,
        "state": call.recording.state.value,
        "startedAt": time_of(call.recording.started_at),
        "durationMs": call.recording.duration_ms,
        "layout": call.recording.layout.value,
        "retainUntil": time_of(call.recording.retain_until),
        "onHold": call.recording.on_hold,
        "channels": list(call.channels),
        "separable": separable,
        "inseparable": why,
        "kept": [] if isinstance(call.kept, Inseparable) else [_kept(call, each) for each in call.kept],
        "erasureBar": None if barred is None else barred.value,
        "treatment": None if call.treatment is None else call.treatment.value,
        "reason": call.reason,
    }


def search_document(search: Search) -> dict[str, Json]:
    """Return what was looked for as the API shows it."""
    return {
        "id": search.id,
        "by": search.sought.by.value,
        "value": search.sought.value,
        "found": search.found,
        "searchedBy": search.searched_by,
        "searchedAt": time_of(search.searched_at),
    }


async def _whole(request: web.Request, found: Request) -> dict[str, Json]:
    known = await steps.found_of(request, found)
    summary, absence = known.summary, known.absence
    calls: dict[str, Json] = {
        "found": summary.calls,
        "undecided": summary.undecided,
        "muted": summary.muted,
        "whole": summary.whole,
        "leftOut": summary.left_out,
        "held": summary.held,
    }
    gone: dict[str, Json] | None = None
    if absence is not None:
        gone = {
            "destroyed": absence.destroyed,
            "lastDestroyedAt": _maybe_time(absence.last_destroyed_at),
            "oldestCallAt": _maybe_time(absence.oldest_call_at),
        }
    return {
        **document(found, today(request.app[SERVICES].clock.now())),
        "searches": [search_document(each) for each in known.searches],
        "calls": calls,
        "absence": gone,
        "exports": [evidence.document(each) for each in known.exports],
    }


async def _stepped(request: web.Request, found: Request) -> web.Response:
    return _made(await _whole(request, found), f"{PATH}/{found.id}")


def _made(told: Mapping[str, Json], where: str, status: HTTPStatus = HTTPStatus.CREATED) -> web.Response:
    response = documents.json_response(told, {"Location": where})
    response.set_status(status)
    return response


def _done(by: str | None, at: datetime | None, **more: Json) -> dict[str, Json] | None:
    """Return who did a step and when, None when nobody did."""
    return None if at is None else {"by": by, "at": time_of(at), **more}


def _kept(call: Call, kept: Kept) -> dict[str, Json]:
    until = call.recording.duration_ms if kept.to_ms is None else kept.to_ms
    return {"channel": call.recording.channels[kept.channel], "fromMs": kept.from_ms, "toMs": until}


def _maybe_time(moment: datetime | None) -> str | None:
    return None if moment is None else time_of(moment)


def _day(value: Json) -> date:
    try:
        return date.fromisoformat(text(value))
    except ValueError:
        raise ValueError("It is a day such as 2026-11-22.") from None


def _ids(value: Json) -> tuple[RecordingId, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= IDS_COUNT_MAX:
        raise ValueError(f"It is a list of 1 to {IDS_COUNT_MAX} ids of recordings.")
    texts = [bounded_text(36)(each) for each in value]
    if not all(map(is_recording_id, texts)):
        raise ValueError("It is a list of ids of recordings.")
    return tuple(map(RecordingId, texts))


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    return Route(method, PATH + path, handler, Scope.DATA_SUBJECTS, audit, "data-subject-request")


DATA_SUBJECT_ROUTES = (
    _row("GET", "", list_data_subject_requests, "data-subjects.listed"),
    _row("POST", "", post_data_subject_request, "data-subject.taken-in"),
    _row("GET", "/{id}", get_data_subject_request, "data-subject.viewed"),
    _row("POST", "/{id}/identifications", post_identification, "data-subject.identified"),
    _row("POST", "/{id}/extensions", post_extension, "data-subject.extended"),
    _row("POST", "/{id}/searches", post_search, "data-subject.searched"),
    _row("GET", "/{id}/calls", list_data_subject_calls, "data-subject.calls-viewed"),
    _row("POST", "/{id}/choices", post_choice, "data-subject.chosen"),
    _row("POST", "/{id}/exports", post_data_subject_export, "data-subject.export-asked"),
    _row("POST", "/{id}/answers", post_answer, "data-subject.answered"),
    _row("POST", "/{id}/closures", post_closure, "data-subject.closed"),
    _row("GET", "/{id}/history", get_data_subject_history, "data-subject.history-viewed"),
)
