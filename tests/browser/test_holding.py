"""An auditor holds what is found, lets somebody hear it, and a second person helps to release it.

What each task may cost is `reference` section 3: a search on hold is 1t and two presses, a
case with access, hold and export four and 1t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import axe
from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import BEHEER, DAAN, MARK, NOOR, TOEZICHT, House

HandsOn = Callable[[Page], Hands]


def of_call(house: House) -> dict[str, Any]:
    """Return the recording Noor has of her call with Daan, which no other test holds."""
    return next(each for each in house.recordings if each["owner"] == house.ids[NOOR.login])


def heard_by_mark(house: House, case_id: str) -> set[str]:
    """Return what Mark hears of a case."""
    return {each["id"] for each in house.says(MARK, "GET", f"/v1/recordings?case={case_id}")["items"]}


def found(desk: Desk, hands: HandsOn) -> tuple[Page, Hands]:
    """Return the list of an auditor in which a number was searched, at the cost of typing it."""
    page = desk.page(TOEZICHT)
    page.goto(f"{desk.house.url}/recordings?sort=-start")
    page.locator(".recs tbody tr[id]").first.wait_for()
    way = hands(page)
    way.write(page.locator("#q"), NOOR.number, end="Enter")
    expect(page.locator(".recs tbody tr[id]")).to_have_count(2)
    return page, way


def test_all_calls_with_a_number_are_held_at_the_cost_of_typing_it_and_two_presses(
    desk: Desk, hands: HandsOn
) -> None:
    page, way = found(desk, hands)
    way.press(page.locator("a[hx-get^='/holds/new']"))
    page.locator("#hold-dialog[open]").wait_for()
    assert not axe.look(page).violations
    way.press(page.locator("#hold-dialog button.primary"))
    page.wait_for_url("**/cases/*")
    way.within(Cost(presses=2, typed=1))
    expect(page.locator(".table tbody tr")).to_have_count(2)
    assert desk.house.says(None, "GET", f"/v1/recordings/{of_call(desk.house)['id']}")["onHold"]
    assert not axe.look(page).violations


def test_a_case_gets_its_name_hold_access_and_export_at_four_presses_and_a_name(
    desk: Desk, hands: HandsOn
) -> None:
    """Who is admitted hears it from then on; before and beside it they hear nothing of hers."""
    page, way = found(desk, hands)
    # Searching is not part of this task.
    way.typed = way.presses = 0
    name = f"Zaak {type(way).__name__}"
    way.press(page.locator("a[hx-get^='/holds/new']"))
    # It has the focus, and what stands in it is the number that was searched.
    expect(page.locator("#hold-name")).to_be_focused()
    way.write(page.locator("#hold-name"), name, anew=True)
    way.choose(page.locator("#hold-hears"), MARK.login)
    way.press(page.locator("#hold-dialog button[value=export]"))
    page.wait_for_url("**/cases/*")
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator("main")).to_contain_text(MARK.login)
    case_id = page.url.rpartition("/")[2].partition("?")[0]
    heard = heard_by_mark(desk.house, case_id)
    assert of_call(desk.house)["id"] in heard
    # The case stands in what an export asks for.
    expect(page.locator("#export-reference")).to_have_value(name)
    way.press(page.locator("#export-dialog button[type=submit]"))
    expect(page.locator("tr", has_text=name).first).to_be_visible()
    way.within(Cost(presses=4, typed=1))
    listener = desk.page(MARK)
    listener.goto(f"{desk.house.url}/recordings?case={case_id}&sort=-start")
    expect(listener.locator(".chips")).to_contain_text(name)
    expect(listener.locator(".recs tbody tr[id]")).to_have_count(len(heard))
    page.goto(f"{desk.house.url}/cases/{case_id}")
    remove = page.locator("form[action$='/removal'] button")
    way.press(remove)
    expect(remove).to_have_count(0)
    # What he hears by his team he goes on hearing.
    assert of_call(desk.house)["id"] not in heard_by_mark(desk.house, case_id)


def test_one_recording_is_held_from_its_page_with_a_reason(desk: Desk, hands: HandsOn) -> None:
    recording = next(each for each in desk.house.recordings if each["owner"] == desk.house.ids[DAAN.login])
    page = desk.page(TOEZICHT)
    page.goto(f"{desk.house.url}/recordings/{recording['id']}")
    way = hands(page)
    way.press(page.locator("a[hx-get$='/holds']"))
    # The reason has the focus when the dialog comes up.
    expect(page.locator("#hold-reason")).to_be_focused()
    way.write(page.locator("#hold-reason"), f"Klacht, {type(way).__name__}", end="Enter")
    expect(page.locator(".page-head .badge.lock")).to_be_visible()
    way.within(Cost(presses=1, typed=1))
    expect(page.locator(".page-head a[href^='/cases/']").first).to_be_visible()
    assert desk.house.says(None, "GET", f"/v1/recordings/{recording['id']}")["onHold"]


def test_two_people_release_a_case_and_neither_does_it_alone(desk: Desk, hands: HandsOn) -> None:
    recording = of_call(desk.house)
    opened = desk.house.says(
        None, "POST", "/v1/cases", name="Twee mensen", reason="Klacht", recordingIds=[recording["id"]]
    )
    page = desk.page(TOEZICHT)
    page.goto(f"{desk.house.url}/cases/{opened['id']}")
    way = hands(page)
    way.write(page.locator("form[action$='/release'] textarea"), "Afgehandeld")
    way.press(page.locator("form[action$='/release'] button"))
    expect(page.locator("form[action$='/refusal']")).to_be_visible()
    expect(page.locator("[data-opens=grant]")).to_have_count(0)
    other = desk.page(BEHEER)
    other.goto(f"{desk.house.url}/cases/{opened['id']}")
    second = hands(other)
    second.press(other.locator("[data-opens=grant]"))
    second.press(other.locator("#grant [data-sure]"))
    other.wait_for_load_state()
    expect(other.locator("form[action$='/release'], form[action$='/refusal']")).to_have_count(0)
    assert desk.house.says(None, "GET", f"/v1/cases/{opened['id']}")["state"] == "released"
