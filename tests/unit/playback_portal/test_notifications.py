"""People choose what they are told of by mail, over the API and on their page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest

from archive.catalogue import audit_entries, notifications
from archive.catalogue.notifications import OFF_BY_DEFAULT, Choices, Kind

PATH = "/v1/me/notifications"
TICKED = re.compile(r'id="mail-([a-z-]+)" name="\1"( checked)?')


@pytest.fixture(autouse=True)
def as_before(house: Any, clock: Any) -> Iterator[None]:
    """Put back what a test changed."""
    yield
    usual = Choices({kind: kind not in OFF_BY_DEFAULT for kind in Kind})
    for login in ("anna", "bert"):
        with house.portal.transaction(house.tenant_id) as connection:
            person = house.people[login].id
            notifications.choose(connection, house.tenant_id, person, usual, now=clock.now())


async def wanted(api: Any, key: str) -> dict[str, bool]:
    answer = await api.get(PATH, key)
    assert answer.status == 200
    found: dict[str, bool] = (await answer.json())["wanted"]
    return found


async def shown(api: Any, key: str) -> dict[str, bool]:
    """Return what the page offers, and whether it is ticked."""
    answer = await api.get("/me", key, {"Accept-Language": "en"})
    assert answer.status == 200
    return {kind: bool(ticked) for kind, ticked in TICKED.findall(html.unescape(await answer.text()))}


async def test_what_one_chooses_is_ones_own_and_stands_in_the_log(api: Any) -> None:
    body = {"wanted": {"heard": True, "reply": False}, "language": "en"}
    answer = await api.send("PATCH", PATH, "anna", body)
    assert answer.status == 200
    assert await answer.json() == {
        "wanted": {**dict.fromkeys(Kind, True), "reply": False, "link-ends": False},
        "language": "en",
    }
    assert await wanted(api, "anna") == (await answer.json())["wanted"]
    assert (await wanted(api, "bert"))["reply"]
    anna = api.house.people["anna"].id
    entries = audit_entries.of_object(api.house.portal, api.house.tenant_id, f"user:{anna}")
    changed = next(each for each in reversed(entries) if each.action == "notifications.changed")
    assert changed.result == "ok"
    assert changed.body is not None
    assert changed.body["mails"] == {"heard": True, "reply": False}


@pytest.mark.parametrize(
    "body",
    [
        {"wanted": {"reset": False}},
        {"wanted": {"reply": "no"}},
        {"wanted": ["reply"]},
        {"language": "de"},
        {"what": 1},
    ],
)
async def test_what_is_no_choice_changes_nothing(api: Any, body: Any) -> None:
    before = await wanted(api, "anna")
    assert (await api.send("PATCH", PATH, "anna", body)).status == 400
    assert await wanted(api, "anna") == before


async def test_a_change_of_what_one_has_not_seen_is_refused(api: Any) -> None:
    tag = (await api.get(PATH, "anna")).headers["ETag"]
    assert (
        await api.send("PATCH", PATH, "anna", {"wanted": {"heard": True}}, {"If-Match": tag})
    ).status == 200
    answer = await api.send("PATCH", PATH, "anna", {"wanted": {"heard": False}}, {"If-Match": tag})
    assert answer.status == 412
    assert (await wanted(api, "anna"))["heard"]


async def test_a_program_that_is_nobody_chooses_nothing(api: Any) -> None:
    assert (await api.get(PATH, "all")).status == 403
    assert (await api.send("PATCH", PATH, "all", {"wanted": {"reply": False}})).status == 403
    assert await shown(api, "all") == {}


async def test_the_page_ticks_what_is_chosen_and_one_form_changes_it_all(api: Any) -> None:
    assert await shown(api, "anna") == {
        "reply": True,
        "evaluation": True,
        "settlement": True,
        "heard": False,
        "link-opened": True,
        "link-ends": False,
    }
    headers = {"Authorization": f"Bearer {api.house.keys['anna']}", "Accept-Language": "en"}
    fields = {"heard": "on", "evaluation": "on", "export": "on", "nonsense": "on"}
    answer = await api.client.post("/me/notifications", data=fields, headers=headers, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/me?told=1#mails")
    after = await shown(api, "anna")
    assert {kind for kind, ticked in after.items() if ticked} == {"heard", "evaluation"}
    # What was not offered to her was not changed either; the mails come in the language of the page.
    answer = await (await api.get(PATH, "anna")).json()
    assert answer["wanted"]["export"]
    assert answer["language"] == "en"
