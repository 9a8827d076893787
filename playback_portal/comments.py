"""Comments, notes and favourites of a recording over the API.

A change with If-Match fails when somebody was first (412); without, the last one counts.
Whatever was there before stands in the `history` of each.

Rules: who hears a recording writes on it, a comment is changed by its author alone
(`archive.access`). Audit entries name what was written on and by whom, never the text.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import comments, favourites, notes, revisions
from archive.catalogue.comments import COMMENT_CHARS_MAX, Comment
from archive.catalogue.notes import NOTE_CHARS_MAX, Note
from archive.catalogue.revisions import Kind
from archive.model import Recording
from playback_portal import documents
from playback_portal.annotated import annotated, history_response, named, read_text, tell
from playback_portal.entity_tag import revision_seen, tagged_response
from playback_portal.parameters import DURATION_S_MAX, Parameters, json_whole_number, read_body
from playback_portal.route import Route
from playback_portal.services import SCOPE, SERVICES

OFFSET_MS_MAX = DURATION_S_MAX * 1000


async def list_comments(request: web.Request) -> web.StreamResponse:
    """Answer with the comments of a recording in the order of its sound, each with its replies behind it."""
    Parameters(request.query).check()
    recording = await annotated(request)
    threads = await asyncio.to_thread(
        comments.of_recording, request.app[SERVICES].catalogue, request[SCOPE], recording
    )
    every = [each for thread in threads for each in (thread.first, *thread.replies)]
    return documents.list_response(request, map(comment_document, every), None)


async def post_comment(request: web.Request) -> web.StreamResponse:
    """Say something about a moment of a recording."""
    return await _add(request, None)


async def post_reply(request: web.Request) -> web.StreamResponse:
    """Answer a comment."""
    return await _add(request, named(request, "comment"))


async def get_comment(request: web.Request) -> web.StreamResponse:
    """Answer with one comment."""
    Parameters(request.query).check()
    _, comment = await _asked(request)
    return tagged_response(comment_document(comment))


async def patch_comment(request: web.Request) -> web.StreamResponse:
    """Change one's own comment by a merge patch."""
    Parameters(request.query).check()
    recording, before = await _asked(request)
    body = await read_body(request)
    text = body.read("text", read_text(COMMENT_CHARS_MAX), None)
    at_ms = body.read("atMs", json_whole_number(0, OFFSET_MS_MAX), None)
    body.check()
    services = request.app[SERVICES]
    after = await asyncio.to_thread(
        comments.edit,
        services.catalogue,
        request[SCOPE],
        recording,
        before.id,
        text=text,
        at_ms=at_ms,
        revision=revision_seen(request, comment_document(before), before.revision),
        now=services.clock.now(),
    )
    tell(request, revision=after.revision)
    return tagged_response(comment_document(after))


async def delete_comment(request: web.Request) -> web.StreamResponse:
    """Delete one's own comment; its history keeps what it said."""
    Parameters(request.query).check()
    recording, before = await _asked(request)
    services = request.app[SERVICES]
    await asyncio.to_thread(
        comments.delete,
        services.catalogue,
        request[SCOPE],
        recording,
        before.id,
        revision=revision_seen(request, comment_document(before), before.revision),
        now=services.clock.now(),
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def get_comment_history(request: web.Request) -> web.StreamResponse:
    """Answer with every value a comment had."""
    Parameters(request.query).check()
    _, comment = await _asked(request)
    found = await asyncio.to_thread(
        revisions.of_object, request.app[SERVICES].catalogue, request[SCOPE], Kind.COMMENT, comment.id
    )
    return history_response(request, found)


async def get_note(request: web.Request) -> web.StreamResponse:
    """Answer with the note of a recording; empty when there is none."""
    Parameters(request.query).check()
    return tagged_response(note_document(await _note(request, await annotated(request))))


async def put_note(request: web.Request) -> web.StreamResponse:
    """Write the note of a recording."""
    Parameters(request.query).check()
    recording = await annotated(request)
    body = await read_body(request)
    text = body.need("text", read_text(NOTE_CHARS_MAX, 0), "")
    body.check()
    return tagged_response(note_document(await _put_note(request, recording, text)))


async def delete_note(request: web.Request) -> web.StreamResponse:
    """Take the note of a recording away; its history keeps what it said."""
    Parameters(request.query).check()
    await _put_note(request, await annotated(request), "")
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def get_note_history(request: web.Request) -> web.StreamResponse:
    """Answer with every value the note had."""
    Parameters(request.query).check()
    recording = await annotated(request)
    found = await asyncio.to_thread(
        revisions.of_recording, request.app[SERVICES].catalogue, request[SCOPE], Kind.NOTE, recording
    )
    return history_response(request, found)


async def get_favourite(request: web.Request) -> web.StreamResponse:
    """Answer with whether the recording is a favourite of who asks."""
    Parameters(request.query).check()
    recording = await annotated(request)
    found = await asyncio.to_thread(
        favourites.is_favourite, request.app[SERVICES].catalogue, request[SCOPE], recording
    )
    return documents.json_response({"favourite": found})


async def put_favourite(request: web.Request) -> web.StreamResponse:
    """Make the recording a favourite of who asks."""
    Parameters(request.query).check()
    await mark_favourite(request, await annotated(request), marked=True)
    return documents.json_response({"favourite": True})


async def delete_favourite(request: web.Request) -> web.StreamResponse:
    """Make the recording no favourite of who asks any more."""
    Parameters(request.query).check()
    await mark_favourite(request, await annotated(request), marked=False)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def mark_favourite(request: web.Request, recording: Recording, *, marked: bool) -> None:
    """Make a recording a favourite of who asks, or none; raises Refused or Conflict."""
    services = request.app[SERVICES]
    await asyncio.to_thread(
        favourites.mark,
        services.catalogue,
        request[SCOPE],
        recording,
        marked=marked,
        now=services.clock.now(),
    )


async def _add(request: web.Request, reply_to: str | None) -> web.StreamResponse:
    Parameters(request.query).check()
    recording = await annotated(request)
    body = await read_body(request)
    text = body.need("text", read_text(COMMENT_CHARS_MAX), "")
    at_ms = 0 if reply_to else body.read("atMs", json_whole_number(0, OFFSET_MS_MAX), 0)
    body.check()
    services = request.app[SERVICES]
    made = await asyncio.to_thread(
        comments.add,
        services.catalogue,
        request[SCOPE],
        recording,
        text,
        at_ms,
        reply_to=reply_to,
        now=services.clock.now(),
    )
    tell(request, comment=made.id)
    response = tagged_response(comment_document(made))
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/recordings/{recording.id}/comments/{made.id}"
    return response


async def _asked(request: web.Request) -> tuple[Recording, Comment]:
    """Return the recording and the comment of the path; raises NotFound."""
    recording, comment_id = await annotated(request), named(request, "comment")
    tell(request, comment=comment_id)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    return recording, await asyncio.to_thread(comments.get, catalogue, scope, recording, comment_id)


async def _note(request: web.Request, recording: Recording) -> Note:
    return await asyncio.to_thread(
        notes.of_recording, request.app[SERVICES].catalogue, request[SCOPE], recording
    )


async def _put_note(request: web.Request, recording: Recording, text: str) -> Note:
    services, before = request.app[SERVICES], await _note(request, recording)
    after = await asyncio.to_thread(
        notes.put,
        services.catalogue,
        request[SCOPE],
        recording,
        text,
        revision=revision_seen(request, note_document(before), before.revision),
        now=services.clock.now(),
    )
    tell(request, revision=after.revision)
    return after


def comment_document(comment: Comment) -> dict[str, Json]:
    """Return a comment as the API shows it."""
    return {
        "id": comment.id,
        "replyTo": comment.reply_to,
        "author": comment.author,
        "madeAt": documents.time_of(comment.made_at),
        "atMs": comment.at_ms,
        "text": comment.text,
        "deleted": comment.deleted,
        "revision": comment.revision,
        "changedAt": documents.time_of(comment.changed_at),
    }


def note_document(note: Note) -> dict[str, Json]:
    """Return a note as the API shows it."""
    return {
        "text": note.text,
        "revision": note.revision,
        "changedBy": note.changed_by or None,
        "changedAt": None if note.changed_at is None else documents.time_of(note.changed_at),
    }


_OF_RECORDING = "/v1/recordings/{id}"
_READ, _WRITE = Scope.RECORDINGS_READ, Scope.RECORDINGS_ANNOTATE

COMMENT_ROUTES = (
    Route("GET", f"{_OF_RECORDING}/comments", list_comments, _READ, "comments.listed"),
    Route("POST", f"{_OF_RECORDING}/comments", post_comment, _WRITE, "comment.added"),
    Route("GET", f"{_OF_RECORDING}/comments/{{comment}}", get_comment, _READ, "comment.viewed"),
    Route("PATCH", f"{_OF_RECORDING}/comments/{{comment}}", patch_comment, _WRITE, "comment.changed"),
    Route("DELETE", f"{_OF_RECORDING}/comments/{{comment}}", delete_comment, _WRITE, "comment.deleted"),
    Route("POST", f"{_OF_RECORDING}/comments/{{comment}}/replies", post_reply, _WRITE, "comment.answered"),
    Route(
        "GET",
        f"{_OF_RECORDING}/comments/{{comment}}/history",
        get_comment_history,
        _READ,
        "comment.history-viewed",
    ),
    Route("GET", f"{_OF_RECORDING}/note", get_note, _READ, "note.viewed"),
    Route("PUT", f"{_OF_RECORDING}/note", put_note, _WRITE, "note.changed"),
    Route("DELETE", f"{_OF_RECORDING}/note", delete_note, _WRITE, "note.deleted"),
    Route("GET", f"{_OF_RECORDING}/note/history", get_note_history, _READ, "note.history-viewed"),
    Route("GET", f"{_OF_RECORDING}/favourite", get_favourite, _READ, "favourite.viewed"),
    Route("PUT", f"{_OF_RECORDING}/favourite", put_favourite, _WRITE, "favourite.marked"),
    Route("DELETE", f"{_OF_RECORDING}/favourite", delete_favourite, _WRITE, "favourite.unmarked"),
)
