"""Exports for people: asked for from the list of recordings, looked after while they are made, fetched.

Rules: for auditors (`Scope.EVIDENCE`). A row that waits asks for itself anew until it is
ready; without scripts the page is asked for again. What was filled in stays in the dialog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.approval import Proposal
from archive.catalogue import cases, exports, people
from archive.catalogue.cases import Case
from archive.catalogue.exports import (
    RECORDINGS_COUNT_MAX,
    TEXT_CHARS_MAX,
    Container,
    Export,
    ExportState,
    Order,
)
from archive.errors import Conflict, NotFound, Refused
from archive.model import RecordingId
from playback_portal.exports import ask, export_of
from playback_portal.language import mark
from playback_portal.page import partial, render, see_other
from playback_portal.pages.approvals import PAGE as APPROVALS
from playback_portal.pages.sign_in import fields_of
from playback_portal.parameters import Parameters
from playback_portal.parameters import cursor as cursor_text
from playback_portal.route import Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, is_recording_id

PAGE = "/exports"
EXPORTS_PER_PAGE = 50

STATES: Mapping[ExportState, str] = {
    ExportState.WAITING: mark("Being made"),
    ExportState.READY: mark("Ready"),
    ExportState.FAILED: mark("Failed"),
    ExportState.ENDED: mark("Over"),
}
NO_SELECTION = mark("Select at least one recording in the list.")
NO_TEXT = mark("Fill this in: it stands in the report and in the audit log.")
NO_SOUND = mark("This case holds no recording with sound.")
NOT_POSSIBLE = mark("These recordings can't be exported now. One may be gone, or too many exports wait.")


@dataclass(frozen=True)
class Wanted:
    """What is to be exported: recordings that were selected, or all of a case."""

    ids: Sequence[RecordingId]
    case: Case | None = None


@dataclass(frozen=True)
class ExportRow:
    """An export and the name of who asked for it."""

    export: Export
    asker: str


async def list_exports(request: web.Request) -> web.StreamResponse:
    """Show exports, newest first."""
    parameters = Parameters(request.query)
    cursor = parameters.read("cursor", cursor_text, None)
    parameters.check()
    services, scope = request.app[SERVICES], request[SCOPE]
    page = await asyncio.to_thread(
        exports.page, services.catalogue, scope.tenant_id, limit=EXPORTS_PER_PAGE, cursor=cursor
    )
    rows = await _rows(request, page.items)
    return render(request, "exports/list.html", rows=rows, next=page.next, cursor=cursor, states=STATES)


async def get_row(request: web.Request) -> web.StreamResponse:
    """Show one row of the list as it is now."""
    (row,) = await _rows(request, (await export_of(request),))
    return partial(request, "exports/_row.html", row=row, states=STATES)


async def get_dialog(request: web.Request) -> web.StreamResponse:
    """Ask what the recordings that are selected, or those of a case, are exported for."""
    case = await _case_of(request, request.query.get("case", ""))
    ids = _ids(request.query.getall("id", []))
    if case is None:
        return _dialog(request, "exports/dialog.html", Wanted(ids), {}, {} if ids else {"": NO_SELECTION})
    given = {"reference": case.name, "purpose": " ".join(case.reason.split())[:TEXT_CHARS_MAX]}
    return _dialog(request, "exports/dialog.html", Wanted((), case), given, {})


async def post_export(request: web.Request) -> web.StreamResponse:
    """Ask for an export, and go to where it is looked after."""
    form = await fields_of(request)
    case = await _case_of(request, form.get("case", ""))
    wanted = Wanted(_ids((await request.post()).getall("id", [])), case)
    given = {name: form.get(name, "").strip()[:TEXT_CHARS_MAX] for name in ("reference", "purpose")}
    faults = {name: NO_TEXT for name, value in given.items() if not value}
    if not wanted.ids and case is None:
        faults[""] = NO_SELECTION
    if faults:
        return _dialog(request, "exports/_form.html", wanted, form, faults, status=HTTPStatus.BAD_REQUEST)
    container = Container.ASICE if form.get("container") == Container.ASICE else Container.ZIP
    order = Order(tuple(wanted.ids), given["reference"], given["purpose"], container)
    if case is not None:
        order = replace(order, recording_ids=(), case_id=case.id)
    try:
        made = await ask(request, order)
    except (Refused, Conflict, NotFound) as error:
        await request[ENTRY].make("refused")
        told = NO_SOUND if case is not None and isinstance(error, Conflict) else NOT_POSSIBLE
        return _dialog(request, "exports/_form.html", wanted, form, {"": told}, status=HTTPStatus.CONFLICT)
    return see_other(request, APPROVALS if isinstance(made, Proposal) else PAGE)


async def _case_of(request: web.Request, case_id: str) -> Case | None:
    """Return the case an export is asked of, None without one; raises NotFound."""
    if not case_id:
        return None
    if not is_recording_id(case_id):
        raise NotFound("There is no such case.")
    return await asyncio.to_thread(cases.get, request.app[SERVICES].catalogue, request[SCOPE], case_id)


def _dialog(
    request: web.Request,
    template: str,
    wanted: Wanted,
    form: Mapping[str, str],
    faults: Mapping[str, str],
    *,
    status: int = HTTPStatus.OK,
) -> web.Response:
    return partial(
        request,
        template,
        status=status,
        ids=wanted.ids,
        case=wanted.case,
        count_wanted=len(wanted.ids) if wanted.case is None else wanted.case.recordings,
        form=form,
        faults=faults,
        chars_max=TEXT_CHARS_MAX,
    )


async def _rows(request: web.Request, found: Sequence[Export]) -> list[ExportRow]:
    services, scope = request.app[SERVICES], request[SCOPE]
    ids = {each.user_id for each in found}
    named = await asyncio.to_thread(people.of_ids, services.catalogue, scope.tenant_id, ids)
    return [ExportRow(each, named[each.user_id].login) for each in found]


def _ids(given: Sequence[object]) -> list[RecordingId]:
    """Return the ids that were sent, each once; one more than the limit is refused where it is written."""
    ids = dict.fromkeys(RecordingId(str(each)) for each in given if str(each))
    return list(ids)[: RECORDINGS_COUNT_MAX + 1]


EXPORT_PAGE_ROUTES = (
    Route("GET", PAGE, list_exports, Scope.EVIDENCE, "exports.listed", page=True),
    Route("GET", f"{PAGE}/new", get_dialog, Scope.EVIDENCE, "export.begun", page=True),
    Route("POST", PAGE, post_export, Scope.EVIDENCE, "export.asked", page=True),
    Route("GET", f"{PAGE}/{{id}}", get_row, Scope.EVIDENCE, "export.viewed", "export", page=True),
)
