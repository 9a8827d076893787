"""Labels: those of the organisation for its administrator, and putting one on all rows that are ticked.

Rules: the page is for administrators; a label that is retired is offered no more and stays
where it is. In the list, recordings that somebody may not write on stay as they are, and the
notice says how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from archive.access import AccessScope, Scope, may_annotate, needs_purpose
from archive.catalogue import labels, recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.labels import Label
from archive.errors import ArchiveError, Conflict, NotFound
from archive.model import Recording, RecordingId
from playback_portal import panel
from playback_portal.administration import administrators_only
from playback_portal.annotated import tell
from playback_portal.filters import LIST
from playback_portal.labels import label_asked
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.pages.annotations import change, form_of, new_label
from playback_portal.problems import ParameterFault, Problem, not_found, wrong_parameters
from playback_portal.route import SUBJECT, Handler, Route
from playback_portal.services import ENTRY, REFERENCE, SCOPE, SERVICES

PAGE = "/admin/labels"
BULK_COUNT_MAX = 200
"""Four pages of the list, changed in one transaction."""


@dataclass(frozen=True)
class Done:
    """What became of a change to many recordings: the labels of each that changed, and how many stayed."""

    label: Label
    changed: Mapping[RecordingId, tuple[Label, ...]]
    left: int


async def list_labels(request: web.Request) -> web.StreamResponse:
    """Show the labels of the organisation, and how many recordings carry each."""
    return await _page(request)


async def post_label(request: web.Request) -> web.StreamResponse:
    """Add a label."""
    form = await form_of(request)
    try:
        wanted = new_label(form)
        made = await change(
            request, lambda catalogue, scope, now: labels.make(catalogue, scope, wanted, now=now)
        )
    except (Conflict, Problem) as error:
        await request[ENTRY].make("refused")
        return await _page(request, fault=_fault(error), name=form.get("name", ""))
    request[SUBJECT] = f"label:{made.id}"
    return see_other(request, PAGE)


async def post_change(request: web.Request) -> web.StreamResponse:
    """Give a label another name, colour or shape."""
    before, form = await label_asked(request), await form_of(request)
    try:
        wanted = new_label(form)
        await change(
            request,
            lambda catalogue, scope, now: labels.change(
                catalogue,
                scope,
                before.id,
                name=wanted.name,
                colour=wanted.colour,
                shape=wanted.shape,
                now=now,
            ),
        )
    except (Conflict, Problem) as error:
        await request[ENTRY].make("refused")
        return await _page(request, fault=_fault(error), at=before.id)
    return see_other(request, PAGE)


async def post_offer(request: web.Request) -> web.StreamResponse:
    """Offer a label, or no more; the notice takes it back."""
    before, form = await label_asked(request), await form_of(request)
    retired = form.get("on") != "true"
    tell(request, retired=retired)
    after = await change(
        request,
        lambda catalogue, scope, now: labels.change(catalogue, scope, before.id, retired=retired, now=now),
    )
    if not is_htmx(request):
        return see_other(request, PAGE)
    carried = await asyncio.to_thread(labels.uses, request.app[SERVICES].catalogue, request[SCOPE], after.id)
    return partial(
        request,
        "labels/_retired.html",
        label=after,
        uses=carried.get(after.id, 0),
        counted=labels.USES_COUNT_MAX,
    )


async def post_bulk(request: web.Request) -> web.StreamResponse:
    """Put a label on every recording that is ticked."""
    return await _bulk(request, attaches=True)


async def post_bulk_removal(request: web.Request) -> web.StreamResponse:
    """Take a label off several recordings: the way back from putting it there."""
    return await _bulk(request, attaches=False)


async def _bulk(request: web.Request, *, attaches: bool) -> web.StreamResponse:
    ids, form = _ids(await request.post()), await form_of(request)
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()

    def run() -> Done:
        found = list(_writable(services.catalogue, scope, ids))
        with request[ENTRY].transaction() as connection:
            if attaches:
                label, changed = labels.attach_all(connection, scope, found, new_label(form), now)
            else:
                label, changed = labels.detach_all(connection, scope, found, form.get("label", ""), now)
            carried = labels.of_recordings(connection, changed)
            # The history of each recording tells it, as if it had been labelled alone.
            services.audit.append_each(
                connection,
                [f"recording:{each}" for each in changed],
                tenant_id=scope.tenant_id,
                actor=scope.actor,
                action="recording.labelled" if attaches else "recording.unlabelled",
                at=now,
                body={"label": label.id, "request": request[REFERENCE]},
            )
            tell(request, label=label.id, changed=len(changed), left=len(ids) - len(changed))
        return Done(label, {each: carried.get(each, ()) for each in changed}, len(ids) - len(changed))

    done = await asyncio.to_thread(run)
    if not is_htmx(request):
        return see_other(request, LIST)
    return partial(request, "labels/_bulk_done.html", done=done, attached=attaches)


def _ids(form: Mapping[str, object]) -> list[RecordingId]:
    """Return the recordings a form names, in `id` one by one or in `ids` with commas.

    Raises NotFound, or the 400 Problem for none or too many.
    """
    named = [str(value) for name, value in form.items() if name == "id"]
    named += [each for each in str(form.get("ids", "")).split(",") if each]
    if not 0 < len(named) <= BULK_COUNT_MAX:
        raise wrong_parameters(ParameterFault("id", f"It names 1 to {BULK_COUNT_MAX} recordings."))
    try:
        return [RecordingId(str(UUID(each))) for each in dict.fromkeys(named)]
    except ValueError:
        raise not_found() from None


def _writable(catalogue: Catalogue, scope: AccessScope, ids: Iterable[RecordingId]) -> Iterable[Recording]:
    """Yield those somebody may write on; one that asks for a purpose is opened on its own page."""
    for recording_id in ids:
        try:
            recording = recordings.get(catalogue, scope, recording_id).recording
        except NotFound:
            continue
        if may_annotate(scope, recording) and not needs_purpose(scope, recording):
            yield recording


async def _page(request: web.Request, *, fault: str = "", at: str = "", name: str = "") -> web.Response:
    catalogue, scope = request.app[SERVICES].catalogue, request[SCOPE]

    def read() -> tuple[list[Label], Mapping[str, int]]:
        return labels.of_tenant(catalogue, scope, retired=True), labels.uses(catalogue, scope)

    every, uses = await asyncio.to_thread(read)
    status = HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK
    shown = {
        "labels": every,
        "uses": uses,
        "counted": labels.USES_COUNT_MAX,
        "fault": fault,
        "at": at,
        "name": name,
    }
    return render(request, "labels/page.html", status=status, **shown, **panel.words())


def _fault(error: ArchiveError | Problem) -> str:
    if isinstance(error, Conflict):
        return mark("There is a label of this name already, or there are too many.")
    return mark("A name has 1 to 40 characters that can be shown.")


def _row(method: str, path: str, handler: Handler, audit: str) -> Route:
    return Route(method, path, administrators_only(handler), Scope.ADMINISTRATION, audit, "label", page=True)


LABEL_PAGE_ROUTES = (
    _row("GET", PAGE, list_labels, "labels.listed"),
    _row("POST", PAGE, post_label, "label.added"),
    _row("POST", f"{PAGE}/{{id}}", post_change, "label.changed"),
    _row("POST", f"{PAGE}/{{id}}/offer", post_offer, "label.retired"),
    Route("POST", f"{LIST}/labels", post_bulk, Scope.RECORDINGS_ANNOTATE, "recordings.labelled", page=True),
    Route(
        "POST",
        f"{LIST}/labels/removal",
        post_bulk_removal,
        Scope.RECORDINGS_ANNOTATE,
        "recordings.unlabelled",
        page=True,
    ),
)
