"""Making evaluation forms: sections and questions are added, moved and removed by buttons, then saved.

Each press sends the whole form and gets it back changed (`playback_portal.form_builder`); saving
other questions makes another version.

Rules: administrators and managers of a team make forms (`archive.access.may_make_forms`); others
do not come here.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope, may_administer, may_make_forms
from archive.catalogue import evaluation_forms, evaluation_results
from archive.catalogue.evaluation_forms import KeptForm, Version
from archive.errors import Conflict, Refused
from archive.evaluation_form import CATEGORIES_MAX, CommentRule, Form, FormFault, QuestionKind, read
from playback_portal import evaluating, form_builder, form_faults
from playback_portal.annotated import tell
from playback_portal.evaluation_forms import form_asked
from playback_portal.form_builder import Making
from playback_portal.form_faults import ToldFault
from playback_portal.language import language_of, mark, translated
from playback_portal.page import render, see_other
from playback_portal.pages.annotations import change, form_of
from playback_portal.parameters import Parameters, whole_number
from playback_portal.problems import Problem
from playback_portal.route import EVENT, SUBJECT, Handler, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES

PAGE = "/evaluations/forms"
MEANWHILE = mark(
    "Somebody changed this form meanwhile. What you made stands here; save again to replace theirs, "
    "which stays as a version."
)
TOO_MANY = mark("There are too many forms or versions already. Change or offer again one that is there.")
KINDS = {
    QuestionKind.YES_NO: mark("Yes or no"),
    QuestionKind.SCALE: mark("Scale"),
    QuestionKind.CHOICE: mark("Choice"),
}
COMMENTS = {
    CommentRule.NEVER: mark("not needed"),
    CommentRule.LOW: mark("with every answer but the best"),
    CommentRule.ALWAYS: mark("always"),
}


async def list_forms(request: web.Request) -> web.StreamResponse:
    """Show the forms of the organisation."""
    await _require_making(request)
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    found = await asyncio.to_thread(lambda: evaluation_forms.of_tenant(catalogue, scope, retired=True))
    hides = await asyncio.to_thread(evaluation_results.hides_few, catalogue, scope)
    return render(
        request, "evaluation_forms/list.html", forms=found, hides=hides, administers=may_administer(scope)
    )


async def get_new(request: web.Request) -> web.StreamResponse:
    """Show an empty form to fill in."""
    await _require_making(request)
    return _page(request, Making(), None, ())


async def get_form(request: web.Request) -> web.StreamResponse:
    """Show a form to change, in its newest version or an earlier one to begin from."""
    await _require_making(request)
    parameters = Parameters(request.query)
    version = parameters.read("version", whole_number(1, evaluation_forms.VERSIONS_MAX), None)
    parameters.check()
    kept = await form_asked(request, version)
    return _page(
        request,
        form_builder.of_form(kept.name, kept.form, kept.revision),
        kept,
        await _versions(request, kept),
    )


async def post_new(request: web.Request) -> web.StreamResponse:
    """Change what is being made by a press, or keep it as a new form."""
    await _require_making(request)
    return await _pressed(request, None)


async def post_form(request: web.Request) -> web.StreamResponse:
    """Change what is being made by a press, or keep it as the newest version."""
    await _require_making(request)
    return await _pressed(request, await form_asked(request))


async def post_offer(request: web.Request) -> web.StreamResponse:
    """Offer a form, or no more."""
    await _require_making(request)
    kept, form = await form_asked(request), await form_of(request)
    retired = form.get("on") != "true"
    tell(request, retired=retired)
    await change(
        request,
        lambda catalogue, scope, now: evaluation_forms.change(
            catalogue, scope, kept.id, retired=retired, now=now
        ),
    )
    return see_other(request, PAGE)


async def _pressed(request: web.Request, kept: KeptForm | None) -> web.StreamResponse:
    fields = await form_of(request)
    making, what = form_builder.of_fields(fields), fields.get("do", "save")
    versions = () if kept is None else await _versions(request, kept)
    if what not in {"save", "preview"}:
        request[EVENT] = "evaluation-form.drafted"
        return _page(request, form_builder.pressed(making, what), kept, versions)
    making = form_builder.ordered(making)
    try:
        name, form = _name_of(request, making), read(form_builder.document_of(making))
        if what == "preview":
            request[EVENT] = "evaluation-form.drafted"
            return _page(request, making, kept, versions, preview=form)
        await _save(request, kept, making.seen, name, form)
    except FormFault as error:
        fault = form_faults.told(error, language_of(request))
    except _NameFaultError as error:
        fault = error.fault
    except Conflict:
        revision = None if kept is None else (await form_asked(request)).revision
        meanwhile = making.seen is not None and making.seen != revision
        fault = form_faults.ToldFault(
            "", "", translated(language_of(request), MEANWHILE if meanwhile else TOO_MANY)
        )
        making = replace(making, seen=revision)
    else:
        return see_other(request, PAGE)
    await request[ENTRY].make("refused")
    return _page(request, making, kept, versions, fault=fault)


class _NameFaultError(Exception):
    """The name of a form can't be one."""

    def __init__(self, fault: ToldFault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def _name_of(request: web.Request, making: Making) -> str:
    """Return the name as it is kept."""
    try:
        return evaluation_forms.named(making.name)
    except Refused:
        raise _NameFaultError(
            form_faults.of_name(language_of(request), evaluation_forms.NAME_CHARS_MAX)
        ) from None


async def _save(request: web.Request, kept: KeptForm | None, seen: int | None, name: str, form: Form) -> None:
    if kept is None:
        made = await change(
            request,
            lambda catalogue, scope, now: evaluation_forms.make(catalogue, scope, name, form, now=now),
        )
        request[SUBJECT] = f"evaluation-form:{made.id}"
        return
    form_id = kept.id
    after = await change(
        request,
        lambda catalogue, scope, now: evaluation_forms.change(
            catalogue, scope, form_id, name=name, form=form, revision=seen, now=now
        ),
    )
    tell(request, version=after.version)


async def _versions(request: web.Request, kept: KeptForm) -> tuple[Version, ...]:
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]
    return tuple(await asyncio.to_thread(evaluation_forms.versions, catalogue, scope, kept.id))


async def _require_making(request: web.Request) -> None:
    if not may_make_forms(request[SCOPE]):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "no-forms",
            mark("Evaluation forms are made by administrators and managers of a team."),
        )


def _page(
    request: web.Request,
    making: Making,
    kept: KeptForm | None,
    versions: tuple[Version, ...],
    *,
    fault: ToldFault | None = None,
    preview: Form | None = None,
) -> web.Response:
    if fault is not None:
        making = replace(making, focus=fault.field)
    elif preview is not None:
        making = replace(making, focus="preview")
    asked = [(each.id, each.text or each.id) for part in making.parts for each in part.questions]
    return render(
        request,
        "evaluation_forms/page.html",
        status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
        making=making,
        kept=kept,
        versions=versions,
        fault=fault,
        asked=asked,
        preview=None if preview is None else evaluating.Sheet(preview, {}),
        kinds=KINDS,
        comments=COMMENTS,
        categories_max=CATEGORIES_MAX,
    )


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    return Route(
        method,
        f"{PAGE}{path}",
        handler,
        Scope.RECORDINGS_EVALUATE,
        f"evaluation-form{audit}",
        "evaluation-form",
        page=True,
    )


EVALUATION_FORM_PAGE_ROUTES = (
    _row("GET", "", list_forms, "s.listed"),
    _row("POST", "", post_new, ".added"),
    _row("GET", "/new", get_new, ".begun"),
    _row("GET", "/{id}", get_form, ".viewed"),
    _row("POST", "/{id}", post_form, ".changed"),
    _row("POST", "/{id}/offer", post_offer, ".retired"),
)
