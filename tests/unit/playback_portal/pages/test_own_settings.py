"""What people choose of how they are recorded: their mode where they may, and to keep the next call."""

from __future__ import annotations

import html
from typing import Any

import pytest

from archive.catalogue import audit_entries, directory, keep_next
from archive.model import RecordingMode


async def page_of(api: Any, key: str = "anna") -> str:
    answer = await api.get("/me", key, {"Accept-Language": "en"})
    assert answer.status == 200, await answer.text()
    return html.unescape(await answer.text())


async def posted(api: Any, path: str, key: str = "anna", **fields: str) -> Any:
    headers = {"Authorization": f"Bearer {api.house.keys[key]}", "Accept-Language": "en"}
    return await api.client.post(path, data=fields, headers=headers, allow_redirects=False)


def anna(api: Any) -> Any:
    return directory.user_by_id(api.house.portal, api.house.tenant_id, api.house.people["anna"].id)


def until(api: Any) -> Any:
    now = api.house.services().clock.now()
    return keep_next.until_of(api.house.portal, api.house.tenant_id, anna(api).id, now=now)


async def test_the_page_offers_the_modes_the_administrator_allows_and_no_other(api: Any) -> None:
    text = await page_of(api)
    person = anna(api)
    for mode in RecordingMode:
        assert (f'value="{mode.value}"' in text) == (mode in person.own_modes), mode


async def test_a_mode_is_changed_with_one_form_and_one_that_is_not_allowed_is_refused(api: Any) -> None:
    before = anna(api)
    other = next((mode for mode in before.own_modes if mode is not before.mode), None)
    assert other is not None
    try:
        answer = await posted(api, "/me/mode", mode=other.value)
        assert (answer.status, answer.headers["Location"]) == (303, "/me")
        assert anna(api).mode is other
        forbidden = next(mode for mode in RecordingMode if mode not in before.own_modes)
        assert (await posted(api, "/me/mode", mode=forbidden.value)).status in {403, 409}
        assert (await posted(api, "/me/mode", mode="sometimes")).status == 400
        assert anna(api).mode is other
    finally:
        await posted(api, "/me/mode", mode=before.mode.value)
    assert anna(api).mode is before.mode


@pytest.mark.parametrize("minutes", ["60", "1440"])
async def test_the_next_call_is_promised_and_the_promise_taken_back(api: Any, minutes: str) -> None:
    answer = await posted(api, "/me/keep-next", minutes=minutes)
    assert (answer.status, answer.headers["Location"]) == (303, "/me")
    left = until(api) - api.house.services().clock.now()
    assert left.total_seconds() == int(minutes) * 60
    await posted(api, "/me/keep-next", minutes="0")
    assert until(api) is None
    house = api.house
    told = audit_entries.of_object(house.portal, house.tenant_id, f"user:{anna(api).id}")
    assert [each.action for each in told][-2:] == ["keep-next.set", "keep-next.cleared"]


@pytest.mark.parametrize("minutes", ["", "-1", "7", "99999999999", "x"])
async def test_what_is_no_choice_promises_nothing(api: Any, minutes: str) -> None:
    assert (await posted(api, "/me/keep-next", minutes=minutes)).status == 400
    assert until(api) is None


async def test_a_program_that_is_nobody_has_no_settings_to_change(api: Any) -> None:
    assert (await posted(api, "/me/mode", "all", mode="never")).status == 403
    assert (await posted(api, "/me/keep-next", "all", minutes="60")).status == 403
    assert "How you are recorded" not in await page_of(api, "all")
