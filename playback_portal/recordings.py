"""Finding recordings and reading what is known of them, but for their sound.

Rules: every read goes through an `AccessScope`; what a listener may not see is not
found. Peaks are the contour of the voice and take the right to play.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.catalogue import audit_entries, recordings, sessions, waveforms
from archive.model import ArchivedRecording, ObjectKind
from archive.playback import Action
from archive.waveform import at_rate, of_peaks
from playback_portal import documents, filters
from playback_portal.parameters import Parameters, cursor, limit, moment, session_term
from playback_portal.problems import Problem
from playback_portal.purposes import purpose_of
from playback_portal.services import SCOPE, SERVICES, recording_id_of

PEAKS_PER_S = (2, 20)


async def list_recordings(request: web.Request) -> web.StreamResponse:
    """Answer with a page of recordings, newest first."""
    parameters = Parameters(request.query)
    now = request.app[SERVICES].clock.now()
    query = filters.read(parameters, now=now, user_id=request[SCOPE].user_id)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    page = await asyncio.to_thread(
        recordings.find, request.app[SERVICES].catalogue, request[SCOPE], query, size, after
    )
    return documents.list_response(request, documents.recording_documents(page.items, now), page.next)


async def get_recording(request: web.Request) -> web.StreamResponse:
    """Answer with one recording."""
    Parameters(request.query).check()
    archived = await archived_recording(request)
    now = request.app[SERVICES].clock.now()
    return documents.json_response(documents.recording_document(archived.recording, now))


async def get_peaks(request: web.Request) -> web.StreamResponse:
    """Answer with the levels of each channel, 2 or 20 a second."""
    parameters = Parameters(request.query)
    per_s = parameters.read("pps", _peaks_per_s, PEAKS_PER_S[0])
    parameters.check()
    content = await _plaintext(request, ObjectKind.PEAKS, Action.PLAY)
    await asyncio.to_thread(_keep_waveform, request, content)
    return web.Response(body=at_rate(content, per_s), content_type=documents.MEDIA_TYPE)


async def get_timeline(request: web.Request) -> web.StreamResponse:
    """Answer with the timeline as it was archived: spans, packets of each stream, edges."""
    return await _archived_json(request, ObjectKind.TIMELINE)


async def get_metadata(request: web.Request) -> web.StreamResponse:
    """Answer with the metadata revisions as they came, with the time of each."""
    return await _archived_json(request, ObjectKind.METADATA)


async def get_history(request: web.Request) -> web.StreamResponse:
    """Answer with what was done with a recording and by whom, oldest first."""
    Parameters(request.query).check()
    services, scope = request.app[SERVICES], request[SCOPE]
    recording = (await archived_recording(request)).recording
    entries = await asyncio.to_thread(
        audit_entries.of_object, services.catalogue, scope.tenant_id, f"recording:{recording.id}"
    )
    return documents.list_response(request, map(documents.audit_document, entries), None)


async def list_sessions(request: web.Request) -> web.StreamResponse:
    """Answer with how each offered session ended, newest first."""
    parameters = Parameters(request.query)
    term = parameters.read("q", session_term, "")
    since, until = parameters.read("from", moment, None), parameters.read("to", moment, None)
    size, after = limit(parameters), parameters.read("cursor", cursor, None)
    parameters.check()
    page = await asyncio.to_thread(
        sessions.find,
        request.app[SERVICES].catalogue,
        request[SCOPE],
        term=term,
        since=since,
        until=until,
        limit=size,
        cursor=after,
    )
    return documents.list_response(request, map(documents.session_document, page.items), page.next)


async def archived_recording(request: web.Request) -> ArchivedRecording:
    """Return the recording the path names, as far as the caller may know of it."""
    recording_id = recording_id_of(request)
    return await asyncio.to_thread(
        recordings.get, request.app[SERVICES].catalogue, request[SCOPE], recording_id
    )


async def _archived_json(request: web.Request, kind: ObjectKind) -> web.Response:
    Parameters(request.query).check()
    body = await _plaintext(request, kind, Action.READ)
    return web.Response(body=body, content_type=documents.MEDIA_TYPE)


async def _plaintext(request: web.Request, kind: ObjectKind, action: Action) -> bytes:
    """Return one small object whole, once its audit entry is durable."""
    recording_id, scope = recording_id_of(request), request[SCOPE]
    playback = request.app[SERVICES].playback
    purpose = await purpose_of(request, recording_id)

    def read() -> bytes:
        reader = playback.open_object(scope, recording_id, kind, action, purpose=purpose)
        return reader.read(0, reader.length)

    return await asyncio.to_thread(read)


def _keep_waveform(request: web.Request, peaks: bytes) -> None:
    """Let lists draw a recording that was archived before they could, once its peaks are opened anyhow."""
    tenant_id = request[SCOPE].tenant_id
    recording_id = recording_id_of(request)
    with request.app[SERVICES].catalogue.transaction(tenant_id) as connection:
        if recording_id not in waveforms.of_recordings(connection, [recording_id]):
            waveforms.keep(connection, tenant_id, recording_id, of_peaks(peaks))


def _peaks_per_s(text: str) -> int:
    if text not in map(str, PEAKS_PER_S):
        raise ValueError(f"It is one of {', '.join(map(str, PEAKS_PER_S))}.")
    return int(text)


def not_playable(state: str) -> Problem:
    """Return the 409 of a recording that has no sound to give (yet)."""
    return Problem(HTTPStatus.CONFLICT, "not-playable", f"A recording in the state {state} can't be played.")
