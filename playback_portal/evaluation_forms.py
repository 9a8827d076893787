"""Evaluation forms over the API: what is asked, in versions, of which the newest is used.

A form is changed by a merge patch; other questions or categories make another version, and what was evaluated
by an earlier one goes on being read by it.

Rules: who evaluates or is evaluated may read forms; administrators and managers of a team make
them (`archive.access.may_make_forms`).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from archive import evaluation_form
from archive.access import Scope
from archive.audit import Json
from archive.catalogue import evaluation_forms
from archive.catalogue.evaluation_forms import KeptForm, Version
from archive.evaluation_form import Category, Form
from playback_portal import documents
from playback_portal.annotated import checked, tell
from playback_portal.entity_tag import revision_seen, tagged_response
from playback_portal.parameters import Parameters, flag, json_flag, read_body, text, whole_number
from playback_portal.route import SUBJECT, Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of

read_name = checked(lambda value: evaluation_forms.named(text(value)))
_NO_FORM = Form(())
_NO_CATEGORIES: tuple[Category, ...] = ()


def read_sections(value: Json) -> Form:
    """Read the sections of a form; raises ValueError saying what is wrong and where."""
    return checked(lambda sections: evaluation_form.read({"sections": sections}))(value)


def read_categories(value: Json) -> tuple[Category, ...]:
    """Read the performance categories of a form; raises ValueError saying what is wrong and where."""
    return checked(evaluation_form.read_categories)(value)


async def list_evaluation_forms(request: web.Request) -> web.StreamResponse:
    """Answer with the forms of the tenant by name, with `retired=1` also those that are offered no more."""
    parameters = Parameters(request.query)
    retired = parameters.read("retired", flag, False)
    parameters.check()
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(lambda: evaluation_forms.of_tenant(catalogue, scope, retired=retired))
    return documents.list_response(request, map(form_document, found), None)


async def post_evaluation_form(request: web.Request) -> web.StreamResponse:
    """Make a form."""
    Parameters(request.query).check()
    body = await read_body(request)
    name, form = body.need("name", read_name, ""), body.need("sections", read_sections, _NO_FORM)
    categories = body.read("categories", read_categories, _NO_CATEGORIES)
    body.check()
    form = replace(form, categories=categories)
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    made = await asyncio.to_thread(
        lambda: evaluation_forms.make(services.catalogue, scope, name, form, now=now)
    )
    request[SUBJECT] = f"evaluation-form:{made.id}"
    response = tagged_response(form_document(made))
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/evaluation-forms/{made.id}"
    return response


async def get_evaluation_form(request: web.Request) -> web.StreamResponse:
    """Answer with one form, in its newest version or the one asked for."""
    parameters = Parameters(request.query)
    version = parameters.read("version", whole_number(1, evaluation_forms.VERSIONS_MAX), None)
    parameters.check()
    return tagged_response(form_document(await form_asked(request, version)))


async def get_evaluation_form_versions(request: web.Request) -> web.StreamResponse:
    """Answer with the versions of a form, newest first."""
    Parameters(request.query).check()
    kept = await form_asked(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(evaluation_forms.versions, catalogue, scope, kept.id)
    return documents.list_response(request, map(_version_document, found), None)


async def patch_evaluation_form(request: web.Request) -> web.StreamResponse:
    """Change a form by a merge patch; other sections make another version."""
    Parameters(request.query).check()
    before = await form_asked(request)
    body = await read_body(request)
    name = body.read("name", read_name, None)
    form = body.read("sections", read_sections, None)
    categories = body.read("categories", read_categories, None)
    retired = body.read("retired", json_flag, None)
    body.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    seen = revision_seen(request, form_document(before), before.revision)
    now = services.clock.now()
    after = await asyncio.to_thread(
        lambda: evaluation_forms.change(
            services.catalogue,
            scope,
            before.id,
            name=name,
            sections=None if form is None else form.sections,
            categories=categories,
            retired=retired,
            revision=seen,
            now=now,
        )
    )
    tell(request, version=after.version)
    return tagged_response(form_document(after))


async def form_asked(request: web.Request, version: int | None = None) -> KeptForm:
    """Return the form the path names; raises NotFound."""
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    form_id = recording_id_of(request)
    return await asyncio.to_thread(evaluation_forms.get, catalogue, scope, form_id, version)


def form_document(kept: KeptForm) -> dict[str, Json]:
    """Return a form as the API shows it."""
    return {
        "id": kept.id,
        "name": kept.name,
        "version": kept.version,
        "newestVersion": kept.newest,
        "retired": kept.retired,
        "revision": kept.revision,
        **evaluation_form.document_of(kept.form),
    }


def _version_document(version: Version) -> dict[str, Json]:
    return {
        "version": version.number,
        "madeBy": version.made_by,
        "madeAt": documents.time_of(version.made_at),
        "evaluations": version.evaluations,
    }


_FORMS = "/v1/evaluation-forms"
_OF_FORM = f"{_FORMS}/{{id}}"
_READ, _WRITE, _SUBJECT = Scope.RECORDINGS_READ, Scope.RECORDINGS_EVALUATE, "evaluation-form"

EVALUATION_FORM_ROUTES = (
    Route("GET", _FORMS, list_evaluation_forms, _READ, "evaluation-forms.listed"),
    Route("POST", _FORMS, post_evaluation_form, _WRITE, "evaluation-form.added", _SUBJECT),
    Route("GET", _OF_FORM, get_evaluation_form, _READ, "evaluation-form.viewed", _SUBJECT),
    Route("PATCH", _OF_FORM, patch_evaluation_form, _WRITE, "evaluation-form.changed", _SUBJECT),
    Route(
        "GET",
        f"{_OF_FORM}/versions",
        get_evaluation_form_versions,
        _READ,
        "evaluation-form.versions-viewed",
        _SUBJECT,
    ),
)
