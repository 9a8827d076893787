"""Searches people keep, over the API: their own, and those shared in their tenant.

`query` is the query string of the list of recordings; what it holds is checked as the list
would, so that a kept search always opens.

Rules: only people keep searches; a key that acts for nobody sees the shared ones.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from archive.access import AccessScope, Scope
from archive.audit import Json
from archive.catalogue import saved_searches
from archive.catalogue.saved_searches import NAME_CHARS_MAX, QUERY_CHARS_MAX, SavedSearch
from playback_portal import documents, filters
from playback_portal.entity_tag import require_match, tagged_response
from playback_portal.parameters import Parameters, bounded_text, read_body
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.route import SUBJECT, Route
from playback_portal.services import SCOPE, SERVICES, recording_id_of


async def list_saved_searches(request: web.Request) -> web.StreamResponse:
    """Answer with the searches the person sees."""
    Parameters(request.query).check()
    scope = request[SCOPE]
    found = await asyncio.to_thread(saved_searches.visible, request.app[SERVICES].catalogue, scope)
    return documents.list_response(request, [document(scope, each) for each in found], None)


async def post_saved_search(request: web.Request) -> web.StreamResponse:
    """Keep a search."""
    Parameters(request.query).check()
    body = await read_body(request)
    name = body.need("name", bounded_text(NAME_CHARS_MAX, chars_min=1), "")
    query = body.need("query", bounded_text(QUERY_CHARS_MAX), "")
    shared = body.read("shared", _flag, False)
    body.check()
    made = await keep(request, name, query, shared=shared)
    response = tagged_response(document(request[SCOPE], made))
    response.set_status(HTTPStatus.CREATED)
    response.headers["Location"] = f"/v1/saved-searches/{made.id}"
    return response


async def get_saved_search(request: web.Request) -> web.StreamResponse:
    """Answer with one search."""
    Parameters(request.query).check()
    return tagged_response(document(request[SCOPE], await saved_search(request)))


async def patch_saved_search(request: web.Request) -> web.StreamResponse:
    """Change one's own search by a merge patch."""
    Parameters(request.query).check()
    body = await read_body(request)
    name = body.read("name", bounded_text(NAME_CHARS_MAX, chars_min=1), None)
    query = body.read("query", bounded_text(QUERY_CHARS_MAX), None)
    shared = body.read("shared", _flag, None)
    body.check()
    scope, before = request[SCOPE], await saved_search(request)
    asked = request.headers.get("If-Match")
    changed = await asyncio.to_thread(
        saved_searches.change,
        request.app[SERVICES].catalogue,
        scope,
        before.id,
        name=name,
        query=None if query is None else checked(request, query),
        shared=shared,
        expect=lambda seen: require_match(asked, document(scope, seen)),
    )
    return tagged_response(document(scope, changed))


async def delete_saved_search(request: web.Request) -> web.StreamResponse:
    """Delete a search."""
    Parameters(request.query).check()
    await asyncio.to_thread(
        saved_searches.remove, request.app[SERVICES].catalogue, request[SCOPE], recording_id_of(request)
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def saved_search(request: web.Request) -> SavedSearch:
    """Return the search the path names; raises NotFound."""
    search_id = recording_id_of(request)
    return await asyncio.to_thread(
        saved_searches.get, request.app[SERVICES].catalogue, request[SCOPE], search_id
    )


async def renew(request: web.Request, name: str, query: str, *, shared: bool) -> SavedSearch | None:
    """Let the person's own search of a name find this from now on; None when they keep none of that name."""
    services, scope = request.app[SERVICES], request[SCOPE]
    found = await asyncio.to_thread(saved_searches.visible, services.catalogue, scope)
    own = next((each for each in found if each.user_id == scope.user_id and each.name == name.strip()), None)
    if own is None:
        return None
    request[SUBJECT], query = f"saved-search:{own.id}", checked(request, query)
    return await asyncio.to_thread(
        saved_searches.change, services.catalogue, scope, own.id, query=query, shared=shared
    )


async def keep(request: web.Request, name: str, query: str, *, shared: bool) -> SavedSearch:
    """Keep a search for who asks, and let the audit log name it."""
    services = request.app[SERVICES]
    made = await asyncio.to_thread(
        saved_searches.add,
        services.catalogue,
        request[SCOPE],
        name,
        checked(request, query),
        shared=shared,
        now=services.clock.now(),
    )
    request[SUBJECT] = f"saved-search:{made.id}"
    return made


def checked(request: web.Request, query: str) -> str:
    """Return a query string in the one order they are kept in; raises the 400 Problem for a wrong one."""
    try:
        values = filters.given(filters.pairs(query))
    except ValueError:
        raise wrong_parameters(ParameterFault("/query", "It has too many parameters.")) from None
    parameters = Parameters(values)
    filters.read(parameters, now=request.app[SERVICES].clock.now(), user_id=request[SCOPE].user_id)
    try:
        parameters.check()
    except Problem as problem:
        raise wrong_parameters(ParameterFault("/query", problem.detail)) from None
    return filters.address_of(values, "").removeprefix("?")


def document(scope: AccessScope, search: SavedSearch) -> dict[str, Json]:
    """Return a search as JSON."""
    return {
        "id": search.id,
        "name": search.name,
        "query": search.query,
        "shared": search.shared,
        "own": search.user_id == scope.user_id,
        "savedAt": documents.time_of(search.saved_at),
    }


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("It is true or false.")  # noqa: TRY004 - a fault of the value, told to who sent it
    return value


SAVED_SEARCH_ROUTES = (
    Route("GET", "/v1/saved-searches", list_saved_searches, Scope.RECORDINGS_READ, "saved-searches.listed"),
    Route("POST", "/v1/saved-searches", post_saved_search, Scope.RECORDINGS_READ, "saved-search.added"),
    Route(
        "GET",
        "/v1/saved-searches/{id}",
        get_saved_search,
        Scope.RECORDINGS_READ,
        "saved-search.viewed",
        "saved-search",
    ),
    Route(
        "PATCH",
        "/v1/saved-searches/{id}",
        patch_saved_search,
        Scope.RECORDINGS_READ,
        "saved-search.changed",
        "saved-search",
    ),
    Route(
        "DELETE",
        "/v1/saved-searches/{id}",
        delete_saved_search,
        Scope.RECORDINGS_READ,
        "saved-search.deleted",
        "saved-search",
    ),
)
