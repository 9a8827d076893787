"""What administrators change, and what a second person grants, takes a sign-in of a short while ago."""

from __future__ import annotations

import re
from typing import Any

import pytest

from archive.access import Scope
from archive.catalogue import directory, teams
from archive.model import Role, User
from playback_portal.admission import FRESH_S_MAX
from playback_portal.route import Route
from playback_portal.routes import ROUTES

GRANTING = {
    "POST /v1/approvals/{id}/approval",
    "POST /approvals/{id}/approval",
    "POST /v1/cases/{id}/approvals",
    "POST /cases/{id}/approval",
}
CHANGING = [
    each
    for each in ROUTES
    if (each.permission is Scope.ADMINISTRATION and each.method != "GET")
    or f"{each.method} {each.path}" in GRANTING
]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_way_of_granting_is_a_row() -> None:
    assert {name_of(route) for route in CHANGING} >= GRANTING


@pytest.fixture
def ada(browser: Any, door: Any) -> User:
    """An administrator who is in, in `browser`."""
    user: User = door.person(Role.ADMINISTRATOR)
    door.let_in(browser, user)
    return user


async def ask(browser: Any, route: Route, named: str) -> Any:
    """Ask for a row as a script of a page does."""
    sent = {"Sec-Fetch-Site": "same-origin", "Origin": browser.origin, "X-CSRF-Token": browser.token}
    path = re.sub(r"\{\w+\}", named, route.path)
    body: dict[str, Any] = {"data": {}} if route.page else {"json": {}}
    return await browser.client.request(route.method, path, headers=sent, allow_redirects=False, **body)


@pytest.mark.parametrize("route", CHANGING, ids=name_of)
async def test_a_browser_left_open_changes_nothing(
    browser: Any, door: Any, clock: Any, ada: User, route: Route
) -> None:
    """No row is excepted: who hears whom is decided by teams as much as by roles and rights."""
    await browser.get("/admin/teams")
    clock.passes(FRESH_S_MAX)
    answer = await ask(browser, route, door.person().id)
    if route.page:
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?again=yes&next=/")
    else:
        assert answer.status == 403
        assert (await answer.json(content_type=None))["type"] == "urn:earwitness:problem:sign-in-again"
    assert door.events(ada)[-1] == (route.audit, "refused")


@pytest.mark.parametrize("route", CHANGING, ids=name_of)
async def test_who_just_signed_in_is_not_asked_again(
    browser: Any, door: Any, clock: Any, ada: User, route: Route
) -> None:
    await browser.get("/admin/teams")
    clock.passes(FRESH_S_MAX - 1)
    answer = await ask(browser, route, door.person().id)
    assert "again=yes" not in answer.headers.get("Location", "")
    assert "sign-in-again" not in await answer.text()


async def test_a_team_is_left_as_it_is_by_a_browser_left_open(
    browser: Any, door: Any, clock: Any, ada: User
) -> None:
    """Else such a browser would hear everybody, by a team of its own making."""
    catalogue = door.house.portal
    team_id = directory.add_team(catalogue, door.tenant_id, f"Team {ada.login}", now=clock.now())
    before = teams.team_of(catalogue, door.tenant_id, team_id)
    await browser.get("/admin/teams")
    clock.passes(FRESH_S_MAX)
    sent = {"Sec-Fetch-Site": "same-origin", "Origin": browser.origin, "X-CSRF-Token": browser.token}
    path, client = f"/v1/teams/{team_id}", browser.client
    body = {"rights": {"share": True}, "hearsEarlier": True}
    changed = await client.patch(path, json=body, headers=sent)
    entered = await client.post(f"{path}/members", json={"userId": ada.id, "as": "listener"}, headers=sent)
    assert (changed.status, entered.status) == (403, 403)
    assert teams.team_of(catalogue, door.tenant_id, team_id) == before
