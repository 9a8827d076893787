"""What people choose for their browser: kept in cookies, refused from other sites, and back to where they were."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from playback_portal.app import create_app
from playback_portal.exposure import Exposure
from playback_portal.pages.preferences import local


async def chosen(api: Any, headers: dict[str, str] | None = None, **fields: str) -> Any:
    return await api.client.post("/preferences", data=fields, headers=headers, allow_redirects=False)


@pytest.mark.parametrize(
    ("field", "value", "cookie"),
    [
        ("language", "en", "ew_language"),
        ("language", "nl", "ew_language"),
        ("theme", "dark", "ew_theme"),
        ("theme", "system", "ew_theme"),
        ("shortcuts", "off", "ew_shortcuts"),
        ("silence", "700", "ew_silence"),
    ],
)
async def test_a_choice_is_kept_for_a_year_out_of_reach_of_scripts(
    api: Any, field: str, value: str, cookie: str
) -> None:
    answer = await chosen(api, **{field: value, "next": "/help"})
    assert (answer.status, answer.headers["Location"]) == (303, "/help")
    assert set(answer.cookies) == {cookie}
    kept = answer.cookies[cookie]
    assert kept.value == value
    assert (kept["httponly"], kept["samesite"], kept["path"], kept["max-age"]) == (
        True,
        "Lax",
        "/",
        "31536000",
    )
    assert not kept["secure"]


@pytest.mark.parametrize("field", ["language", "theme", "shortcuts", "silence"])
@pytest.mark.parametrize("value", ["", "fr", "<script>", "x" * 9000])
async def test_what_is_no_choice_changes_nothing(api: Any, field: str, value: str) -> None:
    answer = await chosen(api, **{field: value})
    assert answer.status == 303
    assert not answer.cookies


async def test_the_switch_turns_the_theme_around(api: Any) -> None:
    assert (await chosen(api, theme="toggle")).cookies["ew_theme"].value == "dark"
    dark = {"Cookie": "ew_theme=dark"}
    assert (await chosen(api, headers=dark, theme="toggle")).cookies["ew_theme"].value == "light"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_of_another_site_is_refused(api: Any, site: str) -> None:
    answer = await chosen(api, headers={"Sec-Fetch-Site": site}, language="en")
    assert answer.status == 403
    assert not answer.cookies


@pytest.fixture
async def over_tls(house: Any) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(create_app(house.services(exposure=Exposure(tls=True))))) as client:
        yield client


async def test_over_tls_the_cookie_stays_there(over_tls: TestClient[Any, Any]) -> None:
    answer = await over_tls.post("/preferences", data={"theme": "dark"}, allow_redirects=False)
    assert answer.cookies["ew_theme"]["secure"]


@pytest.mark.parametrize(
    ("address", "led_to"),
    [
        ("/recordings?q=a", "/recordings?q=a"),
        ("", "/"),
        ("recordings", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
    ],
)
def test_nobody_is_led_to_another_site(address: str, led_to: str) -> None:
    assert local(address) == led_to


async def test_strangers_begin_at_sign_in(api: Any) -> None:
    answer = await api.client.get("/", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")


async def test_the_page_of_settings_shows_what_is_chosen(api: Any) -> None:
    headers = {"Cookie": "ew_theme=dark; ew_shortcuts=off; ew_language=en"}
    answer = await api.get("/me", "anna", headers=headers)
    text = await answer.text()
    assert answer.status == 200
    assert '<option value="dark" selected>' in text
    assert '<option value="off" selected>' in text
    assert '<option value="en" selected>English' in text
