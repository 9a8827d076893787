"""Writing on recordings: comments in the timeline, the note, labels and favourites.

Each form works without scripts and leads back to the page of the recording; htmx asks for the
piece that changed: the comments, the card of the note, the card of the labels, the star. What
was done can be undone by the notice that tells it.

Rules: nothing here decides who may write or see. Texts are shown as they were written, set
apart by their own direction, and never as markup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.catalogue import comments, labels, notes, revisions
from archive.catalogue.comments import COMMENT_CHARS_MAX
from archive.catalogue.engine import Catalogue
from archive.catalogue.labels import Colour, Label, NewLabel, Shape
from archive.catalogue.notes import NOTE_CHARS_MAX
from archive.catalogue.revisions import Kind
from archive.errors import Conflict, Refused
from archive.model import Recording
from playback_portal import logins, panel
from playback_portal.annotated import annotated, named, tell
from playback_portal.comments import OFFSET_MS_MAX, mark_favourite
from playback_portal.page import is_htmx, partial, see_other
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES

_T = TypeVar("_T")
_Change = Callable[[Catalogue, AccessScope, datetime], _T]


async def post_comment(request: web.Request) -> web.StreamResponse:
    """Say something about a moment."""
    recording, form = await annotated(request), await form_of(request)
    text, at_ms = read_text(form, COMMENT_CHARS_MAX), _offset(form.get("at_ms", "0"))
    made = await change(
        request,
        lambda catalogue, scope, now: comments.add(catalogue, scope, recording, text, at_ms, now=now),
    )
    tell(request, comment=made.id)
    return await _comments(request, recording, made.id)


async def post_reply(request: web.Request) -> web.StreamResponse:
    """Answer a comment."""
    recording, form, asked = await annotated(request), await form_of(request), named(request, "comment")
    text = read_text(form, COMMENT_CHARS_MAX)
    made = await change(
        request,
        lambda catalogue, scope, now: comments.add(
            catalogue, scope, recording, text, reply_to=asked, now=now
        ),
    )
    tell(request, comment=made.id)
    return await _comments(request, recording, made.id)


async def post_edit(request: web.Request) -> web.StreamResponse:
    """Change one's own comment; what it said stays in its history."""
    recording, form, asked = await annotated(request), await form_of(request), named(request, "comment")
    text, seen = read_text(form, COMMENT_CHARS_MAX), _seen(form)
    after = await change(
        request,
        lambda catalogue, scope, now: comments.edit(
            catalogue, scope, recording, asked, text=text, revision=seen, now=now
        ),
    )
    tell(request, comment=asked, revision=after.revision)
    return await _comments(request, recording, asked)


async def post_deletion(request: web.Request) -> web.StreamResponse:
    """Delete one's own comment, with a way back."""
    recording, asked = await annotated(request), named(request, "comment")
    tell(request, comment=asked)
    await change(
        request, lambda catalogue, scope, now: comments.delete(catalogue, scope, recording, asked, now=now)
    )
    undo = f"/recordings/{recording.id}/comments/{asked}/restoration"
    return await _comments(request, recording, undo=undo)


async def post_restoration(request: web.Request) -> web.StreamResponse:
    """Bring back one's own deleted comment."""
    recording, asked = await annotated(request), named(request, "comment")
    tell(request, comment=asked)
    await change(
        request, lambda catalogue, scope, now: comments.restore(catalogue, scope, recording, asked, now=now)
    )
    return await _comments(request, recording, asked)


async def get_comment_history(request: web.Request) -> web.StreamResponse:
    """Show what a comment said before."""
    recording, asked = await annotated(request), named(request, "comment")
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    await asyncio.to_thread(comments.get, catalogue, scope, recording, asked)
    return await _history(request, Kind.COMMENT, asked)


async def post_note(request: web.Request) -> web.StreamResponse:
    """Write the note; where somebody else did meanwhile, show both texts and keep theirs."""
    recording, form = await annotated(request), await form_of(request)
    text, seen = read_text(form, NOTE_CHARS_MAX, 0), _seen(form)
    unsaved, status = None, HTTPStatus.OK
    try:
        after = await change(
            request,
            lambda catalogue, scope, now: notes.put(
                catalogue, scope, recording, text, revision=seen, now=now
            ),
        )
        tell(request, revision=after.revision)
    except Conflict:
        await request[ENTRY].make("refused")
        unsaved, status = text, HTTPStatus.CONFLICT
    if not is_htmx(request) and unsaved is None:
        return see_other(request, f"/recordings/{recording.id}")
    shown = {"recording": recording, "panel": await _panel(request, recording), "unsaved": unsaved}
    return partial(
        request, "annotations/_note.html", status=status, saved=unsaved is None, **shown, **panel.words()
    )


async def get_note_history(request: web.Request) -> web.StreamResponse:
    """Show what the note said before."""
    return await _history(request, Kind.NOTE, (await annotated(request)).id)


async def post_label(request: web.Request) -> web.StreamResponse:
    """Put a label on the recording: one that is offered by its id, else by its name, made when it is new."""
    recording, form = await annotated(request), await form_of(request)

    def attach(catalogue: Catalogue, scope: AccessScope, now: datetime) -> Label:
        if form.get("label"):
            return labels.attach(catalogue, scope, recording, form["label"], now=now)
        return labels.attach_named(catalogue, scope, recording, new_label(form), now=now)

    label = await change(request, attach)
    tell(request, label=label.id)
    return await _labels(request, recording, label, attached=True)


async def post_label_removal(request: web.Request) -> web.StreamResponse:
    """Take a label off the recording, with a way back."""
    recording, label_id = await annotated(request), named(request, "label")
    tell(request, label=label_id)
    label = await change(
        request,
        lambda catalogue, scope, now: labels.detach(catalogue, scope, recording, label_id, now=now),
    )
    return await _labels(request, recording, label, attached=False)


async def post_favourite(request: web.Request) -> web.StreamResponse:
    """Make the recording a favourite, or none any more."""
    recording, form = await annotated(request), await form_of(request)
    on = form.get("on") == "true"
    tell(request, marked=on)
    await mark_favourite(request, recording, marked=on)
    if not is_htmx(request):
        return see_other(request, f"/recordings/{recording.id}")
    return web.Response(status=HTTPStatus.NO_CONTENT)


def read_text(form: dict[str, str], chars_max: int, chars_min: int = 1) -> str:
    """Return the text of a form as it is kept; raises the 400 Problem."""
    try:
        return revisions.written(form.get("text", ""), chars_max, chars_min)
    except Refused as error:
        raise wrong_parameters(ParameterFault("text", str(error))) from None


async def form_of(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; a file is none."""
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def new_label(form: dict[str, str]) -> NewLabel:
    """Return the label a form describes; raises the 400 Problem for what can't be one."""
    try:
        colour = Colour(form["colour"]) if form.get("colour") else None
        shape = Shape(form["shape"]) if form.get("shape") else None
        return NewLabel(labels.shown(form.get("name", "")), colour, shape)
    except ValueError:
        raise wrong_parameters(ParameterFault("colour", "There is no such colour or shape.")) from None
    except Refused as error:
        raise wrong_parameters(ParameterFault("name", str(error))) from None


async def change(request: web.Request, make: _Change[_T]) -> _T:
    """Change something in the archive; raises what the change raises."""
    services, scope = request.app[SERVICES], request[SCOPE]
    return await asyncio.to_thread(lambda: make(services.catalogue, scope, services.clock.now()))


async def _panel(request: web.Request, recording: Recording) -> panel.Panel:
    return await asyncio.to_thread(panel.read, request.app[SERVICES].catalogue, request[SCOPE], recording)


async def _comments(
    request: web.Request, recording: Recording, focus: str = "", *, undo: str = ""
) -> web.StreamResponse:
    """Answer with all threads; the comment of `focus` gets the keyboard, `undo` brings a deleted one back."""
    if not is_htmx(request):
        return see_other(request, f"/recordings/{recording.id}")
    shown = {"recording": recording, "panel": await _panel(request, recording), "undo": undo}
    return partial(
        request, "annotations/_changed.html", status=HTTPStatus.OK, focus=focus, **shown, **panel.words()
    )


async def _labels(
    request: web.Request, recording: Recording, label: Label, *, attached: bool
) -> web.StreamResponse:
    if not is_htmx(request):
        return see_other(request, f"/recordings/{recording.id}")
    shown = {"recording": recording, "panel": await _panel(request, recording), "label": label}
    return partial(
        request,
        "annotations/_labelled.html",
        status=HTTPStatus.OK,
        attached=attached,
        **shown,
        **panel.words(),
    )


async def _history(request: web.Request, kind: Kind, object_id: str) -> web.StreamResponse:
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]

    def read() -> tuple[list[revisions.Revision], dict[str, str]]:
        found = revisions.of_object(catalogue, scope, kind, object_id)
        return found[::-1], logins.names_of(catalogue, scope, (each.actor for each in found))

    found, names = await asyncio.to_thread(read)
    return partial(request, "annotations/_history.html", revisions=found, names=names)


def _offset(text: str) -> int:
    return min(int(text), OFFSET_MS_MAX) if text.isascii() and text.isdecimal() and len(text) < 12 else 0


def _seen(form: dict[str, str]) -> int | None:
    """Return the revision somebody had before them, None when the form does not say."""
    text = form.get("revision", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    permission = Scope.RECORDINGS_READ if method == "GET" else Scope.RECORDINGS_ANNOTATE
    return Route(method, f"/recordings/{{id}}/{path}", handler, permission, audit, page=True)


ANNOTATION_ROUTES = (
    _row("POST", "comments", post_comment, "comment.added"),
    _row("POST", "comments/{comment}", post_edit, "comment.changed"),
    _row("POST", "comments/{comment}/replies", post_reply, "comment.answered"),
    _row("POST", "comments/{comment}/deletion", post_deletion, "comment.deleted"),
    _row("POST", "comments/{comment}/restoration", post_restoration, "comment.restored"),
    _row("GET", "comments/{comment}/history", get_comment_history, "comment.history-viewed"),
    _row("POST", "note", post_note, "note.changed"),
    _row("GET", "note/history", get_note_history, "note.history-viewed"),
    _row("POST", "labels", post_label, "recording.labelled"),
    _row("POST", "labels/{label}/removal", post_label_removal, "recording.unlabelled"),
    _row("POST", "favourite", post_favourite, "favourite.marked"),
)
