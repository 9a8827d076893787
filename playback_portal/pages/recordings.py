"""The list of recordings: one search box, filters in the address, rows that play in place.

The address says all that is shown, so that it can be sent, kept and gone back to; the bare
address goes on with the view of earlier today. htmx asks for pieces: the results when a
filter changes, more rows at their end. Without scripts the same addresses work as links.

Pages go by key. Rows that were added are counted in the address (`rows`), so that a reload
or the way back shows as many; behind `ROWS_MAX` the next page begins, with a way to the
one before it (`before`).

Rules: what is found is asked within the scope of who asks, row by row what they may do with
it; nothing here decides either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from archive.access import AccessScope, Scope, may_hold
from archive.catalogue import case_people, cases, labels, listing, recordings, saved_searches
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.listing import Count
from archive.catalogue.recordings import PAGE_ROWS_MAX, RecordingQuery, Sort
from archive.catalogue.saved_searches import SavedSearch
from archive.errors import NotFound
from archive.model import UserId
from playback_portal import filters
from playback_portal.filters import LIST, Filters
from playback_portal.formats import ZONE
from playback_portal.page import is_htmx, partial, render, see_other
from playback_portal.parameters import Parameters, cursor, whole_number
from playback_portal.recordings import archived_recording
from playback_portal.route import Route
from playback_portal.rows import Row, by_day, rows, undivided
from playback_portal.saved_searches import keep, renew, saved_search
from playback_portal.services import SCOPE, SERVICES

PAGE_ROWS = 50
DAYS_OFFERED = (1, 7, 30, 90, 365)
MINUTES_OFFERED = (1, 5, 10, 20, 60)
ROWS_MAX = PAGE_ROWS_MAX
"""More in one page make it slow to read and to draw."""

VIEW, CURSOR, BEFORE, ROWS = "view", "cursor", "before", "rows"
"""Parameters of the page alone: the saved search that is open, where the rows begin or end, how many."""

RESULTS = "results"
"""The element htmx replaces when a filter changes."""


@dataclass(frozen=True)
class Asked:
    """What one request for the list asks for."""

    filters: Filters
    after: str | None
    before: str | None
    rows: int
    view: SavedSearch | None

    def address(self, **changes: str | None) -> str:
        """Return the address of the list, in the same view, with some parameters changed."""
        view = None if self.view is None else self.view.id
        return self.filters.address(LIST, **{VIEW: view, **changes})


@dataclass(frozen=True)
class Found:
    """What the catalogue answered."""

    rows: Sequence[Row]
    next: str | None

    def begin(self, query: RecordingQuery) -> str | None:
        """Return the cursor where these rows begin, None when there are none."""
        return recordings.cursor_of(query.sort, self.rows[0].recording) if self.rows else None


@dataclass(frozen=True)
class Chip:
    """A filter that is on: its parameter, what stands there in words, and the way without it."""

    name: str
    value: str
    text: str
    href: str


async def list_recordings(request: web.Request) -> web.StreamResponse:
    """Show the list, a part of it to htmx."""
    values = filters.given(request.query.items())
    if not values and not is_htmx(request):
        last = await _last_view(request)
        if last and last != filters.EVERYTHING:
            return see_other(request, f"{LIST}?{last}")
    asked = await _asked(request, values)
    if asked.before is not None:
        return see_other(request, await asyncio.to_thread(_page_before, request, asked, asked.before))
    found = await asyncio.to_thread(_find, request, asked)
    if asked.after is not None and is_htmx(request):
        return _more(request, asked, found)
    context = await _context(request, asked, found)
    if is_htmx(request):
        response = partial(request, "recordings/_changed.html", **context)
        response.headers["HX-Push-Url"] = asked.filters.address()
        return response
    return render(request, "recordings/list.html", **context)


def _more(request: web.Request, asked: Asked, found: Found) -> web.Response:
    """Return the rows that follow those in the window, and the address that shows both."""
    begun = _begun(request.headers.get("HX-Current-URL", ""))
    total = int(begun[ROWS]) + PAGE_ROWS
    shown = _shown(request, asked, found) | {"grows": total + PAGE_ROWS <= ROWS_MAX}
    response = partial(request, "recordings/_rows.html", **shown)
    response.headers["HX-Replace-Url"] = asked.address(**{**begun, ROWS: str(total)})
    return response


def _begun(window: str) -> dict[str, str]:
    """Return where the rows in a window began and how many there are, by its address."""
    try:
        values = filters.given(filters.pairs(urlsplit(window).query))
        rows = whole_number(1, ROWS_MAX)(values.get(ROWS, str(PAGE_ROWS)))
        return {ROWS: str(rows), **({CURSOR: cursor(values[CURSOR])} if CURSOR in values else {})}
    except ValueError:
        return {ROWS: str(PAGE_ROWS)}


def _page_before(request: web.Request, asked: Asked, before: str) -> str:
    """Return the address of the page that ends where another begins."""
    services, scope = request.app[SERVICES], request[SCOPE]
    query = asked.filters.query
    begin = listing.cursor_before(services.catalogue, scope, query, PAGE_ROWS, before)
    return asked.address(**{CURSOR: begin})


async def next_recording(request: web.Request) -> web.StreamResponse:
    """Lead to the recording behind this one in the list the person left, or to the list at its end."""
    return see_other(request, await _neighbour(request, onwards=True))


async def previous_recording(request: web.Request) -> web.StreamResponse:
    """Lead to the recording before this one in the list the person left, or to the list at its begin."""
    return see_other(request, await _neighbour(request, onwards=False))


async def _neighbour(request: web.Request, *, onwards: bool) -> str:
    services, scope = request.app[SERVICES], request[SCOPE]
    recording = (await archived_recording(request)).recording
    left = filters.of_saved(await _last_view(request) or "")
    query = filters.read(Parameters(left), now=services.clock.now(), user_id=scope.user_id)
    found = await asyncio.to_thread(
        listing.neighbour, services.catalogue, scope, query, recording, onwards=onwards
    )
    return LIST if found is None else f"{LIST}/{found}"


async def count_recordings(request: web.Request) -> web.StreamResponse:
    """Tell how many there are, once the list itself is shown."""
    asked = await _asked(request, filters.given(request.query.items()))
    services, scope = request.app[SERVICES], request[SCOPE]
    counted: Count = await asyncio.to_thread(listing.count, services.catalogue, scope, asked.filters.query)
    return partial(request, "recordings/_count.html", counted=counted)


async def open_view(request: web.Request) -> web.StreamResponse:
    """Lead to the list as a saved search has it."""
    view = await saved_search(request)
    return see_other(request, filters.address_of({**filters.of_saved(view.query), VIEW: view.id}))


async def post_view(request: web.Request) -> web.StreamResponse:
    """Keep what the list shows under a name, a new one or one of their own, and open it."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    name, query, shared = form.get("name", ""), form.get("query", ""), "shared" in form
    kept = await renew(request, name, query, shared=shared) or await keep(request, name, query, shared=shared)
    return see_other(request, f"/saved/{kept.id}")


async def delete_view(request: web.Request) -> web.StreamResponse:
    """Delete a saved search, with a way back."""
    view = await saved_search(request)
    await asyncio.to_thread(saved_searches.remove, request.app[SERVICES].catalogue, request[SCOPE], view.id)
    if not is_htmx(request):
        return see_other(request, LIST)
    return partial(request, "recordings/_deleted.html", view=view)


async def _last_view(request: web.Request) -> str | None:
    services, scope = request.app[SERVICES], request[SCOPE]
    if scope.user_id is None:
        return None
    now = services.clock.now()
    return await asyncio.to_thread(saved_searches.last_view, services.catalogue, scope, now=now)


async def _asked(request: web.Request, values: dict[str, str]) -> Asked:
    """Return what is asked for; raises the 400 Problem."""
    services, scope = request.app[SERVICES], request[SCOPE]
    parameters = Parameters(values)
    query = filters.read(parameters, now=services.clock.now(), user_id=scope.user_id)
    after = parameters.read(CURSOR, cursor, None)
    before = parameters.read(BEFORE, cursor, None)
    shown_rows = parameters.read(ROWS, whole_number(1, ROWS_MAX), PAGE_ROWS)
    view_id = parameters.read(VIEW, str, None)
    parameters.check()
    shown = {name: value for name, value in values.items() if name in filters.NAMES}
    if query.owner is not None:
        query = replace(query, owner=await asyncio.to_thread(_owner, services.catalogue, scope, query.owner))
        shown["user"] = query.owner or shown["user"]
    return Asked(Filters(shown, query), after, before, shown_rows, await _view(request, view_id))


def _owner(catalogue: Catalogue, scope: AccessScope, text: UserId) -> UserId:
    """Return the id of a person who may be named by the login, as people type it."""
    known = {login: user_id for user_id, login in listing.people(catalogue, scope)}
    return known.get(text.strip().lower(), text)


async def _view(request: web.Request, view_id: str | None) -> SavedSearch | None:
    """Return the saved search a list was opened by, None when it is gone."""
    if view_id is None:
        return None
    found = await asyncio.to_thread(saved_searches.visible, request.app[SERVICES].catalogue, request[SCOPE])
    return next((each for each in found if each.id == view_id), None)


def _find(request: web.Request, asked: Asked) -> Found:
    services, scope = request.app[SERVICES], request[SCOPE]
    query, now = asked.filters.query, services.clock.now()
    listed = listing.page(services.catalogue, scope, query, asked.rows, asked.after, now=now)
    shown = rows(listed.page.items, scope, listed.beside, listed.logins, now)
    return Found(shown, listed.page.next)


async def _context(request: web.Request, asked: Asked, found: Found) -> dict[str, Any]:
    """Return all a page of results shows, and remember the view."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def load() -> dict[str, Any]:
        with services.catalogue.transaction(scope.tenant_id) as connection:
            if asked.after is None:
                query = asked.filters.address("").removeprefix("?")
                saved_searches.remember_within(connection, scope, query, now=services.clock.now())
            chips = _chips(connection, scope, asked)
            surroundings = {
                "chips": chips,
                "views": saved_searches.visible_within(connection, scope),
                "people": listing.people_within(connection, scope),
                "teams": listing.teams_within(connection, scope),
                "offered": labels.of_tenant_within(connection, scope),
                "admitted": case_people.names(connection, scope),
            }
        empty = not (found.rows or asked.after)
        return {
            **surroundings,
            "cause": _cause(request, asked.filters, chips) if empty else None,
        }

    return {**_shown(request, asked, found), **await asyncio.to_thread(load)}


def _shown(request: web.Request, asked: Asked, found: Found) -> dict[str, Any]:
    """Return what the rows themselves need."""
    by_start = asked.filters.query.sort in {Sort.NEWEST, Sort.OLDEST}
    today = request.app[SERVICES].clock.now().astimezone(ZONE).date()
    return {
        "asked": asked.filters,
        "view": asked.view,
        # A view has a place of its own in the menu, and the reader is there.
        **({} if asked.view is None else {"current": None}),
        "days": by_day(found.rows, _day_before(asked)) if by_start else undivided(found.rows, today),
        "rows": found.rows,
        "by_start": by_start,
        "today": today,
        "next": None if found.next is None else asked.address(cursor=found.next),
        "grows": asked.rows + PAGE_ROWS <= ROWS_MAX,
        "previous": None if asked.after is None else asked.address(before=found.begin(asked.filters.query)),
        "downloads": any(row.downloads for row in found.rows),
        "annotates": any(row.annotates for row in found.rows),
        "days_offered": DAYS_OFFERED,
        "minutes_offered": MINUTES_OFFERED,
        "user_id": request[SCOPE].user_id,
    }


def _day_before(asked: Asked) -> date | None:
    """Return the day the rows before these ended with."""
    if asked.after is None:
        return None
    began: datetime = recordings.decode_cursor(asked.after)[0]
    return began.astimezone(ZONE).date()


def _chips(connection: Connection, scope: AccessScope, asked: Asked) -> list[Chip]:
    """Return the filters that are on; direction and order have places of their own."""
    values, found = asked.filters.values, []
    logins = listing.logins_within(connection, [UserId(values.get("user", ""))])
    names: dict[str, dict[str, str]] = {
        "user": {str(user_id): login for user_id, login in logins.items()},
        "team": dict(listing.teams_within(connection, scope)) if "team" in values else {},
        "label": _label_names(connection, scope) if "label" in values else {},
        "case": _case_names(connection, scope, values["case"]) if "case" in values else {},
    }
    for name in filters.NAMES:
        if name in values and name not in {"q", "direction", "sort", "has"}:
            text = names.get(name, {}).get(values[name], values[name])
            found.append(Chip(name, values[name], text, asked.filters.without(name)))
    found += [Chip("has", each, each, asked.filters.toggled(each)) for each in asked.filters.has]
    return found


def _label_names(connection: Connection, scope: AccessScope) -> dict[str, str]:
    return {label.id: label.name for label in labels.of_tenant_within(connection, scope, retired=True)}


def _case_names(connection: Connection, scope: AccessScope, case_id: str) -> dict[str, str]:
    """Return the name of a case for who may know of it."""
    if not may_hold(scope):
        return case_people.names(connection, scope)
    try:
        return {case_id: cases.read(connection, scope, case_id).name}
    except NotFound:
        return {}


CAUSES_COUNT_MAX = 4
"""Filters that are left out one after the other, beside direction and text; each is a search of its own."""


def _cause(request: web.Request, asked: Filters, chips: Sequence[Chip]) -> Chip | None:
    """Return the one filter without which there would be something, if there is one such."""
    services, scope = request.app[SERVICES], request[SCOPE]
    candidates = list(chips[:CAUSES_COUNT_MAX])
    candidates += [
        Chip(name, asked.values[name], asked.values[name], asked.without(name))
        for name in ("direction", "q")
        if name in asked.values
    ]
    for chip in candidates:
        parameters = Parameters(filters.given(_pairs(chip.href)))
        query = filters.read(parameters, now=services.clock.now(), user_id=scope.user_id)
        if recordings.find(services.catalogue, scope, query, 1).items:
            return chip
    return None


def _pairs(address: str) -> list[tuple[str, str]]:
    return filters.pairs(address.partition("?")[2])


RECORDING_PAGE_ROUTES = (
    Route("GET", LIST, list_recordings, Scope.RECORDINGS_READ, "recordings.searched", page=True),
    Route("GET", f"{LIST}/count", count_recordings, Scope.RECORDINGS_READ, "recordings.counted", page=True),
    Route(
        "GET", f"{LIST}/{{id}}/next", next_recording, Scope.RECORDINGS_READ, "recordings.searched", page=True
    ),
    Route(
        "GET",
        f"{LIST}/{{id}}/previous",
        previous_recording,
        Scope.RECORDINGS_READ,
        "recordings.searched",
        page=True,
    ),
    Route("POST", f"{LIST}/views", post_view, Scope.RECORDINGS_READ, "saved-search.added", page=True),
    Route(
        "GET",
        "/saved/{id}",
        open_view,
        Scope.RECORDINGS_READ,
        "saved-search.opened",
        "saved-search",
        page=True,
    ),
    Route(
        "POST",
        "/saved/{id}/delete",
        delete_view,
        Scope.RECORDINGS_READ,
        "saved-search.deleted",
        "saved-search",
        page=True,
    ),
)
