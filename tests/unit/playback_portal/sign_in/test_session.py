"""A page asks how long its session lasts without keeping it open, and one press keeps it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from archive.catalogue import policies
from archive.catalogue.portal_sessions import IDLE_S, SESSION_S_MAX
from archive.model import IDLE_MINUTES_DEFAULT, IDLE_MINUTES_MAX

HERE = "/me/session"
REFRESH = re.compile(r'http-equiv="refresh" content="0;url=([^"]+)"')
GIVEN = re.compile(r'data-session-s="([0-9]+)"')


async def left(browser: Any) -> Any:
    answer = await browser.get(HERE)
    assert answer.status == 200
    return await answer.json()


async def test_a_page_knows_how_long_its_session_lasts_and_has_the_warning_ready(
    browser: Any, door: Any
) -> None:
    await browser.sign_in(door.login(door.person()))
    await browser.get("/me")
    found = GIVEN.search(browser.page)
    assert found is not None
    assert int(found[1]) == IDLE_S
    assert 'role="alertdialog"' in browser.page
    assert browser.page.count('id="session-ends"') == 1


async def test_asking_keeps_nothing_open_and_saying_that_one_is_there_does(
    browser: Any, door: Any, clock: Any
) -> None:
    await browser.sign_in(door.login(door.person()))
    await browser.get("/me")
    clock.passes(IDLE_S - 100)
    assert await left(browser) == {"seconds": 100, "lasts": True}
    clock.passes(40)
    assert await left(browser) == {"seconds": 60, "lasts": True}
    answer = await browser.send(HERE, {})
    assert (answer.status, await answer.json()) == (200, {"seconds": IDLE_S, "lasts": True})
    clock.passes(IDLE_S - 1)
    assert await left(browser) == {"seconds": 1, "lasts": True}
    clock.passes(1)
    assert await left(browser) == {"seconds": 0, "lasts": False}
    assert (await browser.get("/me")).status == 303


async def test_no_word_makes_a_day_longer(browser: Any, door: Any, clock: Any) -> None:
    await browser.sign_in(door.login(door.person()))
    for _ in range(SESSION_S_MAX // (IDLE_S - 60)):
        clock.passes(IDLE_S - 60)
        await browser.get("/me")
    told = await (await browser.send(HERE, {})).json()
    assert told["lasts"] is False
    assert 0 < told["seconds"] < IDLE_S


async def test_a_stranger_and_who_is_not_in_yet_have_no_seconds(browser: Any, door: Any) -> None:
    assert await left(browser) == {"seconds": 0, "lasts": False}
    user = door.person()
    door.give_authenticator(user)
    await browser.sign_in(door.login(user))
    assert await left(browser) == {"seconds": 0, "lasts": False}


async def test_only_our_own_pages_keep_a_session_open(browser: Any, door: Any) -> None:
    await browser.sign_in(door.login(door.person()))
    headers = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": "guessed"}
    assert (await browser.client.post(HERE, headers=headers)).status == 403


@pytest.fixture
def leave_alone(door: Any) -> Iterator[Callable[[int], object]]:
    """Return what sets for how many minutes the tenant of `house` leaves a browser alone."""

    def decide(minutes: int) -> object:
        return policies.set_policy(door.house.operator, door.tenant_id, idle_minutes=minutes)

    yield decide
    decide(IDLE_MINUTES_DEFAULT)


async def test_a_tenant_says_how_long_a_browser_may_be_left_alone(
    browser: Any, door: Any, clock: Any, leave_alone: Callable[[int], object]
) -> None:
    """It counts at once, for browsers that are open too, and for the time a page warns by."""
    await browser.sign_in(door.login(door.person()))
    leave_alone(5)
    await browser.get("/me")
    found = GIVEN.search(browser.page)
    assert found is not None
    assert int(found[1]) == 5 * 60
    clock.passes(5 * 60 - 1)
    assert await left(browser) == {"seconds": 1, "lasts": True}
    leave_alone(IDLE_MINUTES_MAX)
    assert (await left(browser))["seconds"] == IDLE_MINUTES_MAX * 60 - 5 * 60 + 1
    clock.passes(IDLE_MINUTES_MAX * 60 - 5 * 60)
    assert (await browser.get("/me")).status == 200
    leave_alone(5)
    clock.passes(5 * 60)
    assert (await browser.get("/me")).status == 303


FROM_A_MAIL = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
"""What a browser says of a link in a mail on the web; of a strict cookie it then says nothing."""


async def test_a_link_of_another_site_leads_on_by_a_page_of_ours_to_where_who_is_in_wanted_to_go(
    browser: Any, browsers: Callable[[], Any], door: Any
) -> None:
    wanted = "/recordings?has=pause&sort=-start"
    kept_back = browsers()
    answer = await kept_back.get(wanted, **FROM_A_MAIL)
    assert answer.status == 200
    found = REFRESH.search(kept_back.page)
    assert found is not None
    led_on = html.unescape(found[1])
    await browser.sign_in(door.login(door.person()))
    assert (await browser.get(led_on)).headers["Location"] == wanted
    # A stranger signs in there, and is led on no further.
    assert (await kept_back.get(led_on, **FROM_A_MAIL)).status == 200
    assert 'name="password"' in kept_back.page


@pytest.mark.parametrize("linked_to", ["/", "/sign-in", "/sign-in?next=/me"])
async def test_a_link_of_another_site_to_the_front_door_asks_nobody_in_to_sign_in(
    browser: Any, browsers: Callable[[], Any], door: Any, linked_to: str
) -> None:
    kept_back = browsers()
    assert (await kept_back.get(linked_to, **FROM_A_MAIL)).status == 200
    found = REFRESH.search(kept_back.page)
    assert found is not None
    led_on = html.unescape(found[1])
    await browser.sign_in(door.login(door.person()))
    answer = await browser.get(led_on)
    assert (answer.status, answer.headers["Location"]) == (303, "/me" if "next" in linked_to else "/")
    # A browser that says the same of every step is not led round for ever.
    assert (await kept_back.get(led_on, **FROM_A_MAIL)).status == 200
    assert 'name="password"' in kept_back.page


@pytest.mark.parametrize(
    "told",
    [{}, {**FROM_A_MAIL, "Sec-Fetch-Site": "none"}, {**FROM_A_MAIL, "Sec-Fetch-Mode": "no-cors"}],
    ids=["nothing", "typed", "no page"],
)
async def test_a_stranger_who_came_in_another_way_is_led_to_sign_in_at_once(
    browser: Any, told: dict[str, str]
) -> None:
    answer = await browser.get("/recordings", **told)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/recordings")


async def test_a_session_that_is_over_leads_to_sign_in_at_once(browser: Any) -> None:
    browser.cookie = "over"
    assert (await browser.get("/recordings", **FROM_A_MAIL)).status == 303
