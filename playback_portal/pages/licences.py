"""Licences: who has which, the minutes of the month and when they are used up, and giving them to many.

What is chosen is shown before it counts: from when on, what exists and keeps its term, who
would be recorded and who no more. The button that does it comes with that, so that nothing
is confirmed which was not shown.

Rules: for administrators. A change of many is one transaction and stands in the audit log of
each of them. Nothing that exists is ever kept for shorter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from yarl import URL

from archive.allowance import cap_s, is_too_early, month_of, reached_on
from archive.audit import Json
from archive.catalogue import licensed, people
from archive.catalogue.licensed import Changed
from archive.catalogue.recordings import SEARCH_CHARS_MAX
from archive.errors import Refused
from archive.licensing import Assignment
from archive.model import RecordingMode, RetentionClass, Tenant, User, UserId
from archive.roll import changes
from archive.roster import NONE
from playback_portal import words
from playback_portal.admission import again
from playback_portal.language import mark
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.pages.approvals import ABOVE_CAP
from playback_portal.pages.teams import row
from playback_portal.people import user_document
from playback_portal.problems import Problem, not_found
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES

PAGE = "/admin/licences"

LACKS = mark("Nothing was changed: without a licence nobody can be recorded.")
TOO_MANY = mark("Nothing was changed. Select fewer users at once.")
NOT_CHOSEN = mark("Choose a licence or a mode.")

_SHOWN = ("q", "licence", "cursor")
"""The parameters that say which people the page shows."""


@dataclass(frozen=True)
class Line:
    """A person with what they used of their minutes this month; `reached_on` is the day they are used up."""

    user: User
    minutes: int
    minutes_max: int | None
    reached_on: date | None

    @property
    def is_near(self) -> bool:
        """Whether four fifths of the minutes are used."""
        return self.minutes_max is not None and self.minutes * 5 >= self.minutes_max * 4

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left of them."""
        return self.minutes_max is not None and self.minutes >= self.minutes_max


@dataclass(frozen=True)
class Shown:
    """Which people the page shows: whose login holds `text`, of one licence ('' any), from a cursor on."""

    text: str
    licence: str
    cursor: str | None

    @property
    def licences(self) -> tuple[RetentionClass | None, ...]:
        """The licences asked for, none of them for any."""
        if not self.licence:
            return ()
        return (None if self.licence == NONE else RetentionClass(self.licence),)

    def address(self, **changed: str | None) -> str:
        """Return the address of the page with some of it changed."""
        values = {"q": self.text, "licence": self.licence, "cursor": self.cursor, **changed}
        return str(URL(PAGE).with_query({name: value for name, value in values.items() if value}))


async def list_licences(request: web.Request) -> web.StreamResponse:
    """Show people with licence, mode and minutes."""
    shown = _shown(dict(request.query))
    try:
        context = await _listed(request, shown)
    except Refused:
        return see_other(request, PAGE)
    template = "licences/_list.html" if is_htmx(request) else "licences/page.html"
    return render(request, template, again=again(request), **context)


async def post_preview(request: web.Request) -> web.StreamResponse:
    """Show what the choice would do, with the button that does it."""
    form = await request.post()
    ids, assignment = _ids(form.getall("id", [])), _chosen(form)
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    if assignment is None or not ids:
        return partial(request, "licences/_effect.html", preview=None)
    try:
        preview = await asyncio.to_thread(
            licensed.preview, services.catalogue, tenant_id, ids, assignment, now=services.clock.now()
        )
    except Refused:
        raise Problem(HTTPStatus.BAD_REQUEST, "too-many", TOO_MANY) from None
    return partial(request, "licences/_effect.html", preview=preview, assignment=assignment, words=words)


async def post_licences(request: web.Request) -> web.StreamResponse:
    """Give the people who were selected a licence and a mode, all of them or nobody."""
    form = await request.post()
    ids, assignment = _ids(form.getall("id", [])), _chosen(form)
    if assignment is None or not ids:
        raise Problem(HTTPStatus.BAD_REQUEST, "nothing-chosen", NOT_CHOSEN)
    shown = _shown(dict(parse_qsl(str(form.get("shown", "")))))
    try:
        changed = await asyncio.to_thread(_assign, request, ids, assignment)
    except Refused:
        await request[ENTRY].make("refused")
        told = TOO_MANY if len(ids) > licensed.PEOPLE_COUNT_MAX else LACKS
        raise Problem(HTTPStatus.CONFLICT, "not-assigned", told) from None
    if not is_htmx(request):
        return see_other(request, shown.address())
    context = await _listed(request, shown)
    return partial(request, "licences/_assigned.html", changed=len(changed), **context)


def _assign(request: web.Request, ids: list[UserId], assignment: Assignment) -> list[Changed]:
    """Change them with an entry for each in the log, behind all of the changes; blocks."""
    services, scope = request.app[SERVICES], request[SCOPE]
    now = services.clock.now()
    tenant = people.tenant_of(services.catalogue, scope.tenant_id)
    with request[ENTRY].transaction() as connection:
        changed = licensed.assign(connection, scope.tenant_id, ids, assignment, now=now)
        for each in changed:
            services.audit.append(
                connection,
                tenant_id=scope.tenant_id,
                actor=scope.actor,
                action="user.changed",
                object=f"user:{each.after.id}",
                body={
                    "changed": changes(user_document(each.before, tenant), user_document(each.after, tenant))
                },
                at=now,
            )
        told: dict[str, Json] = {
            "people": len(changed),
            "licence": "kept" if assignment.keeps_licence else str(assignment.licence or NONE),
            "mode": str(assignment.mode or "fitting"),
        }
        request[DETAILS] = told
    return changed


async def _listed(request: web.Request, shown: Shown) -> dict[str, Any]:
    """Return what the list is made of; raises Refused for a cursor that is not ours."""
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
    catalogue, now = services.catalogue, services.clock.now()

    def read() -> tuple[people.PeoplePage, dict[RetentionClass | None, int], Tenant]:
        page = licensed.page(
            catalogue, tenant_id, text=shown.text or None, licences=shown.licences, cursor=shown.cursor
        )
        return page, licensed.counts(catalogue, tenant_id), people.tenant_of(catalogue, tenant_id)

    page, counts, tenant = await asyncio.to_thread(read)
    return {
        "lines": [_line(user, now) for user in page.items],
        "counts": counts,
        "total": sum(counts.values()),
        "shown": shown,
        "following": shown.address(cursor=page.next) if page.next else "",
        "early": is_too_early(now),
        "above_cap": ABOVE_CAP[tenant.policy.above_cap],
        "no_licence": NONE,
        "words": words,
    }


def _line(user: User, now: datetime) -> Line:
    used_s = user.booked_s if user.booked_month == month_of(now) else 0
    cap = cap_s(user.licence)
    return Line(
        user=user,
        minutes=used_s // 60,
        minutes_max=None if cap is None else cap // 60,
        reached_on=reached_on(used_s, cap, now),
    )


def _shown(values: dict[str, str]) -> Shown:
    text, licence, cursor = (values.get(name, "").strip()[:SEARCH_CHARS_MAX] for name in _SHOWN)
    known = licence if licence == NONE or licence in set(RetentionClass) else ""
    return Shown(text, known, cursor or None)


def _ids(ticked: Iterable[object]) -> list[UserId]:
    return [UserId(str(each)) for each in ticked]


def _chosen(form: Mapping[str, object]) -> Assignment | None:
    """Return what was chosen for all, None for nothing; raises the 404 Problem for what is no choice."""
    to, mode = str(form.get("to", "")), str(form.get("mode", ""))
    if to not in {"", NONE, *RetentionClass} or mode not in {"", *RecordingMode}:
        raise not_found()
    if not to and not mode:
        return None
    licence = RetentionClass(to) if to in set(RetentionClass) else None
    return Assignment(licence, keeps_licence=not to, mode=RecordingMode(mode) if mode else None)


LICENCE_ROUTES = (
    row("GET", PAGE, list_licences, "licences.listed", "licences"),
    row("POST", f"{PAGE}/preview", post_preview, "licences.previewed", "licences"),
    row("POST", PAGE, post_licences, "licences.assigned", "licences"),
)
