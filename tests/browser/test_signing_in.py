"""Signing in as people do it, by mouse and by keyboard alone, and going away again."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import DAAN, PASSWORD

HandsOn = Callable[[Page], Hands]


def test_a_user_signs_in_with_two_typed_values(desk: Desk, hands: HandsOn) -> None:
    """The cursor waits in the first field; Enter does the rest, and the recordings are there."""
    page = desk.page()
    page.goto(desk.house.url)
    way = hands(page)
    way.write(page.locator("[name=login]"), DAAN.address)
    way.write(page.locator("[name=password]"), PASSWORD, end="Enter")
    expect(page.locator("h1")).to_have_text("Opnames")
    # A mouse clicks into the second field.
    way.within(Cost(presses=1, typed=2))
    way.press(page.get_by_role("button", name="Log uit"))
    expect(page.locator("h1")).to_have_text("Log in")
