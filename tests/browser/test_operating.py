"""Running the instance in a browser, within the presses promised: reference, section 3, Operator/SRE."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import BEDRIJF, JANSEN

HandsOn = Callable[[Page], Hands]


def test_whether_everything_is_recorded_now_is_seen_without_a_press(desk: Desk) -> None:
    """Whoever signs in is there: the start of an operator is the status."""
    page = desk.page(BEDRIJF)
    page.goto(f"{desk.house.url}/")
    expect(page).to_have_url(f"{desk.house.url}/operator")
    verdict = page.locator("#verdict")
    expect(verdict).to_have_attribute("data-verdict", "yes")
    expect(verdict).to_contain_text("Alles wordt nu opgenomen")
    expect(verdict).to_contain_text("1 van 1")


def test_a_call_is_found_by_its_call_id_with_one_value_typed(desk: Desk, hands: HandsOn) -> None:
    """The field has the focus already: the term and Enter, by mouse or keyboard."""
    call_id = str(desk.house.recording_with(JANSEN)["callId"])
    page = desk.page(BEDRIJF)
    page.goto(f"{desk.house.url}/operator")
    way = hands(page)
    way.write(page.locator("#q"), call_id, end="Enter")
    expect(page.locator("[data-session]")).to_have_count(1)
    expect(page.locator("[data-session]")).to_contain_text(call_id)
    expect(page.locator("main")).not_to_contain_text(JANSEN)
    way.within(Cost(typed=1))
