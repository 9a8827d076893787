"""Keeping a recording for longer, for people: a dialog with the day it is kept until and the day it becomes.

Rules: for administrators, hearing it or not, as over the API (`playback_portal.terms`). A term is only ever
made longer, and the dialog says so before it is pressed. The day that is chosen counts whole. Not
here: legal holds, which have no day (`holds`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus

from aiohttp import web

from archive.access import Scope
from archive.allowance import ZONE
from archive.audit import Json
from archive.catalogue import terms
from archive.catalogue.cases import BeingDestroyed
from archive.catalogue.terms import TERM_YEARS_MAX
from archive.errors import Conflict, Refused
from playback_portal.cases import follow
from playback_portal.documents import time_of
from playback_portal.language import mark
from playback_portal.page import is_htmx, render, see_other
from playback_portal.pages.sign_in import fields_of
from playback_portal.route import DETAILS, Route
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of
from playback_portal.terms import REASON_CHARS_MAX

PATH = "/recordings/{id}/term"
NO_DAY = mark("Choose a day behind the one it is kept until now.")
TOO_FAR = mark("A recording is kept for %(years)s years from now at most.")
NO_REASON = mark("Say why it is kept for longer.")
TOO_LATE = mark("This recording is being destroyed and can't be kept any longer.")
NO_TERM = mark("This recording has no term yet that could be made longer.")


async def get_term(request: web.Request) -> web.StreamResponse:
    """Ask until when a recording is to be kept."""
    return await _show(request, {}, {})


async def post_term(request: web.Request) -> web.StreamResponse:
    """Keep a recording until the end of a later day, and lead back to it."""
    form = await fields_of(request)
    recording_id, scope = recording_id_of(request), request[SCOPE]
    now = request.app[SERVICES].clock.now()
    until, reason = _until(form.get("until", "")), form.get("reason", "").strip()
    faults = {} if until is not None else {"until": NO_DAY}
    if not 1 <= len(reason) <= REASON_CHARS_MAX:
        faults["reason"] = NO_REASON
    if until is not None and until > now + timedelta(days=365.25 * TERM_YEARS_MAX):
        faults["until"] = TOO_FAR
    if faults or until is None:
        return await _refused(request, form, faults, HTTPStatus.BAD_REQUEST)

    def make() -> None:
        with request[ENTRY].transaction() as connection:
            was = terms.lengthen(connection, scope, recording_id, until, now=now)
            told: dict[str, Json] = {"from": time_of(was.former), "until": time_of(until), "reason": reason}
            request[DETAILS] = told | {"out_of_trash": was.out_of_trash}

    try:
        await asyncio.to_thread(make)
    except Conflict as error:
        told = TOO_LATE if isinstance(error, BeingDestroyed) else NO_TERM
        return await _refused(request, form, {"": told}, HTTPStatus.CONFLICT)
    except Refused:
        return await _refused(request, form, {"until": NO_DAY}, HTTPStatus.BAD_REQUEST)
    await follow(request)
    return see_other(request, f"/recordings/{recording_id}")


def _until(text: str) -> datetime | None:
    """Return the end of a local day, None for what is no day."""
    try:
        day = date.fromisoformat(text)
        return datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


async def _refused(
    request: web.Request, form: Mapping[str, str], faults: Mapping[str, str], status: HTTPStatus
) -> web.StreamResponse:
    await request[ENTRY].make("refused")
    return await _show(request, form, faults, status)


async def _show(
    request: web.Request,
    form: Mapping[str, str],
    faults: Mapping[str, str],
    status: HTTPStatus = HTTPStatus.OK,
) -> web.StreamResponse:
    services, scope, recording_id = request.app[SERVICES], request[SCOPE], recording_id_of(request)

    def read() -> datetime:
        with services.catalogue.transaction(scope.tenant_id) as connection:
            return terms.kept_until(connection, scope, recording_id)

    kept_until = await asyncio.to_thread(read)
    # A term that ends at midnight is kept until the day before; the next day is the first one later.
    first = (kept_until - timedelta(microseconds=1)).astimezone(ZONE).date() + timedelta(days=1)
    template = "terms/page.html"
    if is_htmx(request):
        template = "terms/_form.html" if request.method == "POST" else "terms/dialog.html"
    return render(
        request,
        template,
        status=status,
        recording_id=recording_id,
        kept_until=kept_until,
        first=first.isoformat(),
        last=(services.clock.now() + timedelta(days=365.25 * TERM_YEARS_MAX)).date().isoformat(),
        form=form,
        faults=faults,
        years=TERM_YEARS_MAX,
        reason_chars_max=REASON_CHARS_MAX,
        whole=template == "terms/page.html",
    )


TERM_PAGE_ROUTES = (
    Route("GET", PATH, get_term, Scope.ADMINISTRATION, "recording.term-viewed", page=True),
    Route("POST", PATH, post_term, Scope.ADMINISTRATION, "recording.lengthened", page=True),
)
