"""A page asks how long its session lasts without keeping it open, and one press keeps it."""

from __future__ import annotations

import re
from typing import Any

from archive.catalogue.portal_sessions import IDLE_S_MAX, SESSION_S_MAX

HERE = "/me/session"
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
    assert int(found[1]) == IDLE_S_MAX
    assert 'role="alertdialog"' in browser.page
    assert browser.page.count('id="session-ends"') == 1


async def test_asking_keeps_nothing_open_and_saying_that_one_is_there_does(
    browser: Any, door: Any, clock: Any
) -> None:
    await browser.sign_in(door.login(door.person()))
    await browser.get("/me")
    clock.passes(IDLE_S_MAX - 100)
    assert await left(browser) == {"seconds": 100, "lasts": True}
    clock.passes(40)
    assert await left(browser) == {"seconds": 60, "lasts": True}
    answer = await browser.send(HERE, {})
    assert (answer.status, await answer.json()) == (200, {"seconds": IDLE_S_MAX, "lasts": True})
    clock.passes(IDLE_S_MAX - 1)
    assert await left(browser) == {"seconds": 1, "lasts": True}
    clock.passes(1)
    assert await left(browser) == {"seconds": 0, "lasts": False}
    assert (await browser.get("/me")).status == 303


async def test_no_word_makes_a_day_longer(browser: Any, door: Any, clock: Any) -> None:
    await browser.sign_in(door.login(door.person()))
    for _ in range(SESSION_S_MAX // (IDLE_S_MAX - 60)):
        clock.passes(IDLE_S_MAX - 60)
        await browser.get("/me")
    told = await (await browser.send(HERE, {})).json()
    assert told["lasts"] is False
    assert 0 < told["seconds"] < IDLE_S_MAX


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
