"""Labels over the API: those of the tenant, and those a recording carries.

A label is put on a recording by its id, or by its name: then it is made when there is none.
One that is deleted is retired: offered no more, kept where it is.

Rules: who writes on recordings adds labels; administrators change and retire them.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.audit import Json
from archive.catalogue import labels, revisions
from archive.catalogue.labels import Colour, Label, NewLabel, Shape
from archive.catalogue.revisions import Kind
from playback_portal import documents
from playback_portal.administration import administrators_only
from playback_portal.annotated import annotated, checked, history_response, named, tell
from playback_portal.entity_tag import revision_seen, tagged_response
from playback_portal.parameters import Body, Parameters, flag, json_flag, json_word_of, read_body, text
from playback_portal.route import SUBJECT, Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of
from playback_portal.teams import json_user_id as json_id

read_name = checked(lambda value: labels.shown(text(value)))


async def list_labels(request: web.Request) -> web.StreamResponse:
    """Answer with the labels of the tenant by name, with `retired=1` also those that are offered no more."""
    parameters = Parameters(request.query)
    retired = parameters.read("retired", flag, False)
    parameters.check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(lambda: labels.of_tenant(catalogue, scope, retired=retired))
    return documents.list_response(request, map(label_document, found), None)


async def post_label(request: web.Request) -> web.StreamResponse:
    """Add a label to those of the tenant."""
    Parameters(request.query).check()
    body = await read_body(request)
    wanted = _new_label(body)
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    made = await asyncio.to_thread(lambda: labels.make(services.catalogue, scope, wanted, now=now))
    request[SUBJECT] = f"label:{made.id}"
    response = tagged_response(label_document(made))
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/labels/{made.id}"
    return response


async def get_label(request: web.Request) -> web.StreamResponse:
    """Answer with one label."""
    Parameters(request.query).check()
    return tagged_response(label_document(await label_asked(request)))


async def patch_label(request: web.Request) -> web.StreamResponse:
    """Change a label by a merge patch; `retired` brings one back too."""
    Parameters(request.query).check()
    before = await label_asked(request)
    body = await read_body(request)
    name = body.read("name", read_name, None)
    colour = body.read("colour", json_word_of(Colour), None)
    shape = body.read("shape", json_word_of(Shape), None)
    retired = body.read("retired", json_flag, None)
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    seen = revision_seen(request, label_document(before), before.revision)
    after = await asyncio.to_thread(
        labels.change,
        services.catalogue,
        scope,
        before.id,
        name=name,
        colour=colour,
        shape=shape,
        retired=retired,
        revision=seen,
        now=services.clock.now(),
    )
    tell(request, revision=after.revision)
    return tagged_response(label_document(after))


async def delete_label(request: web.Request) -> web.StreamResponse:
    """Offer a label no more; recordings that carry it keep it."""
    Parameters(request.query).check()
    before = await label_asked(request)
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    await asyncio.to_thread(
        lambda: labels.change(services.catalogue, scope, before.id, retired=True, now=now)
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def get_label_history(request: web.Request) -> web.StreamResponse:
    """Answer with every value a label had."""
    Parameters(request.query).check()
    label = await label_asked(request)
    found = await asyncio.to_thread(
        revisions.of_object, request.app[SERVICES].catalogue, request[SCOPE], Kind.LABEL, label.id
    )
    return history_response(request, found)


async def list_recording_labels(request: web.Request) -> web.StreamResponse:
    """Answer with the labels a recording carries, by name."""
    Parameters(request.query).check()
    recording = await annotated(request)
    found = await asyncio.to_thread(
        labels.of_recording, request.app[SERVICES].catalogue, request[SCOPE], recording
    )
    return documents.list_response(request, map(label_document, found), None)


async def post_recording_label(request: web.Request) -> web.StreamResponse:
    """Put a label on a recording, by its id or its name; twice is once."""
    Parameters(request.query).check()
    recording = await annotated(request)
    body = await read_body(request)
    label_id = body.read("labelId", json_id, None)
    wanted = None if "labelId" in body.names else _new_label(body)
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()

    def attach() -> Label:
        if wanted is not None:
            return labels.attach_named(services.catalogue, scope, recording, wanted, now=now)
        return labels.attach(services.catalogue, scope, recording, str(label_id), now=now)

    label = await asyncio.to_thread(attach)
    tell(request, label=label.id)
    response = documents.json_response(label_document(label))
    response.set_status(HTTPStatus.CREATED)
    return response


async def delete_recording_label(request: web.Request) -> web.StreamResponse:
    """Take a label off a recording."""
    Parameters(request.query).check()
    recording, label_id = await annotated(request), named(request, "label")
    tell(request, label=label_id)
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    await asyncio.to_thread(lambda: labels.detach(services.catalogue, scope, recording, label_id, now=now))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def get_recording_label_history(request: web.Request) -> web.StreamResponse:
    """Answer with when which label came and went."""
    Parameters(request.query).check()
    recording = await annotated(request)
    found = await asyncio.to_thread(
        revisions.of_recording,
        request.app[SERVICES].catalogue,
        request[SCOPE],
        Kind.RECORDING_LABEL,
        recording,
    )
    return history_response(request, found)


async def label_asked(request: web.Request) -> Label:
    """Return the label the path names; raises NotFound."""
    label_id = recording_id_of(request)
    return await asyncio.to_thread(labels.get, request.app[SERVICES].catalogue, request[SCOPE], label_id)


def label_document(label: Label) -> dict[str, Json]:
    """Return a label as the API shows it."""
    return {
        "id": label.id,
        "name": label.name,
        "colour": label.colour.value,
        "shape": label.shape.value,
        "retired": label.retired,
        "revision": label.revision,
    }


def _new_label(body: Body) -> NewLabel:
    return NewLabel(
        body.need("name", read_name, ""),
        body.read("colour", json_word_of(Colour), None),
        body.read("shape", json_word_of(Shape), None),
    )


_OF_RECORDING = "/v1/recordings/{id}/labels"
_READ, _WRITE, _ADMINISTER = Scope.RECORDINGS_READ, Scope.RECORDINGS_ANNOTATE, Scope.ADMINISTRATION

LABEL_ROUTES = (
    Route("GET", "/v1/labels", list_labels, _READ, "labels.listed"),
    Route("POST", "/v1/labels", post_label, _WRITE, "label.added", "label"),
    Route("GET", "/v1/labels/{id}", get_label, _READ, "label.viewed", "label"),
    Route(
        "PATCH", "/v1/labels/{id}", administrators_only(patch_label), _ADMINISTER, "label.changed", "label"
    ),
    Route(
        "DELETE", "/v1/labels/{id}", administrators_only(delete_label), _ADMINISTER, "label.retired", "label"
    ),
    Route("GET", "/v1/labels/{id}/history", get_label_history, _READ, "label.history-viewed", "label"),
    Route("GET", _OF_RECORDING, list_recording_labels, _READ, "recording.labels-listed"),
    Route("POST", _OF_RECORDING, post_recording_label, _WRITE, "recording.labelled"),
    Route(
        "GET",
        f"{_OF_RECORDING}/history",
        get_recording_label_history,
        _READ,
        "recording.labels-history-viewed",
    ),
    Route("DELETE", f"{_OF_RECORDING}/{{label}}", delete_recording_label, _WRITE, "recording.unlabelled"),
)
