"""The menu offers what the visitor may open, and nothing else."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from archive.access import AccessScope, Scope
from archive.model import TenantId
from playback_portal.navigation import SECTIONS, current, may_enter, sections_for
from playback_portal.route import PAGES, Route
from playback_portal.services import SCOPE


async def nothing(request: web.Request) -> web.StreamResponse:
    return web.Response()


ROWS = (
    Route("GET", "/recordings", nothing, Scope.RECORDINGS_READ, "x", page=True),
    Route("GET", "/admin/users", nothing, Scope.ADMINISTRATION, "x", page=True),
    Route("POST", "/shares", nothing, Scope.RECORDINGS_READ, "x", page=True),
    Route("GET", "/help", nothing, None, None, page=True),
)


def asked(*scopes: Scope, known: bool = True) -> web.Request:
    app = web.Application()
    app[PAGES] = {(route.method, route.path): route for route in ROWS}
    request = make_mocked_request("GET", "/", app=app)
    if known:
        request[SCOPE] = AccessScope(TenantId("t"), "api-client:1", scopes=frozenset(scopes))
    return request


def paths_of(request: web.Request) -> list[str]:
    return [place.path for section in sections_for(request) for place in section.places]


def test_a_place_appears_when_its_page_stands_in_the_table_and_the_visitor_may_open_it() -> None:
    assert paths_of(asked(Scope.RECORDINGS_READ, Scope.ADMINISTRATION)) == ["/recordings", "/admin/users"]
    assert paths_of(asked(Scope.ADMINISTRATION)) == ["/admin/users"]
    assert paths_of(asked(Scope.SETTINGS)) == []
    assert paths_of(asked(known=False)) == []


def test_a_heading_without_places_is_left_out() -> None:
    assert [section.heading for section in sections_for(asked(Scope.RECORDINGS_READ))] == [""]


def test_open_pages_are_for_everyone_and_pages_that_are_not_there_for_nobody() -> None:
    assert may_enter(asked(known=False), "/help")
    assert not may_enter(asked(*Scope), "/nowhere")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/recordings", "/recordings"),
        ("/recordings/0190", "/recordings"),
        ("/recordingsx", ""),
        ("/admin/teams/1/members", "/admin/teams"),
        ("/admin", ""),
        ("/", ""),
    ],
)
def test_a_page_belongs_to_the_place_above_it(path: str, place: str) -> None:
    assert current(path) == place


def test_each_place_has_an_icon_of_the_sprite_and_a_key_of_its_own() -> None:
    from pathlib import Path

    from playback_portal import static

    sprite = (Path(static.__file__).parent / "web/icons.svg").read_text()
    places: list[Any] = [place for section in SECTIONS for place in section.places]
    assert all(f'id="i-{place.icon}"' in sprite for place in places)
    keys = [place.key for place in places if place.key]
    assert len(keys) == len(set(keys))
