"""Kept searches over the API: made, changed, shared and deleted, each as the description tells."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from archive.model import new_id
from playback_portal.openapi import document
from playback_portal.routes import ROUTES

DOCUMENT = document(ROUTES)
PATH = "/v1/saved-searches"


def fits(schema: str, content: Any) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(reference, format_checker=jsonschema.FormatChecker()).validate(content)


async def made(api: Any, key: str = "anna", **changes: Any) -> dict[str, Any]:
    now = api.house.services().clock.now()
    body = {"name": new_id(now), "query": "has=pause", "shared": False, **changes}
    fits("NewSavedSearch", body)
    answer = await api.send("POST", PATH, key, body)
    assert answer.status == 201, await answer.text()
    found: dict[str, Any] = await answer.json()
    assert answer.headers["Location"] == f"{PATH}/{found['id']}"
    fits("SavedSearch", found)
    return found


async def test_a_search_is_kept_in_the_one_order_of_its_parameters(api: Any) -> None:
    search = await made(api, query="?sort=-start&has=pause&has=gap&q=a b")
    assert search["query"] == "q=a+b&has=pause,gap&sort=-start"
    assert search["own"] is True
    answer = await api.get(f"{PATH}/{search['id']}", "anna")
    assert await answer.json() == search
    assert answer.headers["ETag"]


async def test_searches_are_listed_to_who_sees_them(api: Any) -> None:
    mine, shared = await made(api), await made(api, shared=True)
    listed = await (await api.get(PATH, "anna")).json()
    fits("SavedSearchPage", listed)
    assert {mine["id"], shared["id"]} <= {each["id"] for each in listed["items"]}
    others = {each["id"]: each["own"] for each in (await (await api.get(PATH, "bert")).json())["items"]}
    assert mine["id"] not in others
    assert others[shared["id"]] is False
    assert (await (await api.get(PATH, "strangers")).json())["items"] == []
    assert (await api.get(f"{PATH}/{shared['id']}", "strangers")).status == 404


async def test_a_search_is_changed_by_a_merge_patch_unless_somebody_was_first(api: Any) -> None:
    search = await made(api)
    tag = (await api.get(f"{PATH}/{search['id']}", "anna")).headers["ETag"]
    answer = await api.send("PATCH", f"{PATH}/{search['id']}", "anna", {"query": "q=x", "shared": True})
    assert answer.status == 200
    changed = await answer.json()
    assert (changed["query"], changed["shared"], changed["name"]) == ("q=x", True, search["name"])
    answer = await api.send(
        "PATCH", f"{PATH}/{search['id']}", "anna", {"shared": False}, headers={"If-Match": tag}
    )
    assert answer.status == 412
    answer = await api.send("PATCH", f"{PATH}/{search['id']}", "bert", {"shared": False})
    assert answer.status == 403


async def test_a_search_is_deleted_by_who_made_it_or_an_administrator(api: Any) -> None:
    mine, shared = await made(api), await made(api, shared=True)
    assert (await api.send("DELETE", f"{PATH}/{mine['id']}", "bert")).status == 404
    assert (await api.send("DELETE", f"{PATH}/{shared['id']}", "bert")).status == 403
    for search in (mine, shared):
        assert (await api.send("DELETE", f"{PATH}/{search['id']}", "anna")).status == 204
        assert (await api.get(f"{PATH}/{search['id']}", "anna")).status == 404


async def test_a_name_twice_is_a_conflict(api: Any) -> None:
    search = await made(api)
    answer = await api.send("POST", PATH, "anna", {"name": search["name"], "query": ""})
    assert answer.status == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "query": ""},
        {"name": "x" * 61, "query": ""},
        {"name": "x"},
        {"name": "x", "query": "has=x"},
        {"name": "x", "query": "unknown=1"},
        {"name": "x", "query": "cursor=x"},
        {"name": "x", "query": "q=" + "x" * 2000},
        {"name": "x", "query": "&".join(["has=pause"] * 51)},
        {"name": "x", "query": "", "shared": 1},
        {"name": "x", "query": "", "owner": "me"},
    ],
)
async def test_what_is_wrong_is_told(api: Any, body: Any) -> None:
    answer = await api.send("POST", PATH, "anna", body)
    assert answer.status == 400
    fits("Problem", await answer.json(content_type=None))


async def test_a_key_that_acts_for_nobody_keeps_nothing(api: Any) -> None:
    answer = await api.send("POST", PATH, "all", {"name": "x", "query": ""})
    assert answer.status == 403
    assert "acts for nobody" in (await answer.json(content_type=None))["detail"]
