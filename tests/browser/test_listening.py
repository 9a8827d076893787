"""What people who listen do all day, with no more presses than we promise: reference, section 3."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, at_least, sounds
from tests.browser.effort import Cost, Hands
from tests.browser.house import DAAN, GARAGE, JANSEN, MARK, SANNE, TOEZICHT

HandsOn = Callable[[Page], Hands]

NEWEST = "/recordings?sort=-start"
"""The list without a filter; without a query it remembers what was asked last."""


def test_hearing_my_last_call_takes_one_press(desk: Desk, hands: HandsOn) -> None:
    """The portal opens on the list with the newest call first; one press plays it in its place."""
    page = desk.page(DAAN)
    # What he asked for last stands there otherwise.
    page.goto(desk.house.url + NEWEST)
    page.goto(desk.house.url + "/")
    way = hands(page)
    way.press(page.locator(".recs .playbtn").first)
    sounds(page, "#inline-audio")
    way.within(Cost(presses=1))
    began = [str(each.get_attribute("datetime")) for each in page.locator(".recs tbody time").all()]
    assert began == sorted(began, reverse=True)


def test_a_press_on_the_waveform_and_a_key_move_on_in_the_list(desk: Desk) -> None:
    """The row that plays is sought by mouse and by arrow."""
    page = desk.page(SANNE)
    page.goto(desk.house.url + NEWEST)
    row = page.locator(f"#row-{desk.house.recording_with(JANSEN)['id']}")
    row.locator(".playbtn").click()
    sounds(page, "#inline-audio")
    row.locator(".mini").click(position={"x": 80, "y": 14})
    at_least(page, "#inline-audio", 3)
    row.locator(".playbtn").focus()
    page.keyboard.press("ArrowRight")
    at_least(page, "#inline-audio", 8)


def test_that_call_with_jansen_is_typed_and_pressed(desk: Desk, hands: HandsOn) -> None:
    """One box takes a name; one press opens the call that is found."""
    page = desk.page(SANNE)
    page.goto(desk.house.url + NEWEST)
    way = hands(page)
    way.write(page.locator("#q"), "jansen")
    expect(page.locator(".recs tbody tr[id]")).to_have_count(1)
    way.press(page.locator(".recs tbody tr[id] a.cell"))
    expect(page.locator("h1")).to_contain_text("Jansen")
    way.within(Cost(presses=1, typed=1))


def test_a_call_is_found_by_its_id(desk: Desk, hands: HandsOn) -> None:
    """The same box takes what the exchange calls a call."""
    page = desk.page(TOEZICHT)
    page.goto(desk.house.url + NEWEST)
    way = hands(page)
    way.write(page.locator("#q"), desk.house.recording_with(JANSEN)["callId"])
    expect(page.locator(".recs tbody tr[id]")).to_have_count(1)
    way.within(Cost(typed=1))


def test_a_listener_sees_the_calls_of_the_team_at_once(desk: Desk, hands: HandsOn) -> None:
    """Nothing to press: the list is theirs; one press plays a colleague's call."""
    page = desk.page(MARK)
    page.goto(desk.house.url + NEWEST)
    expect(page.locator(".recs td.user").filter(has_text="daan").first).to_be_visible()
    expect(page.locator(".recs td.user").filter(has_text="sanne").first).to_be_visible()
    expect(page.locator(".recs td.user").filter(has_text="noor")).to_have_count(0)
    way = hands(page)
    way.press(page.locator(".recs .playbtn").first)
    sounds(page, "#inline-audio")
    way.within(Cost(presses=1))


def test_calls_with_a_pause_are_one_chip_away(desk: Desk, hands: HandsOn) -> None:
    """A filter is one press, stands in the address, and lasts when the page is loaded again."""
    page = desk.page(SANNE)
    page.goto(desk.house.url + NEWEST)
    way = hands(page)
    way.press(page.locator("#chip-has-pause"))
    expect(page.locator(".recs tbody tr[id]")).to_have_count(1)
    way.within(Cost(presses=1))
    assert "has=pause" in page.url
    page.reload()
    expect(page.locator(".recs tbody tr[id]")).to_have_count(1)
    way.press(page.locator("#chip-has-pause"))
    expect(page.locator(".recs tbody tr[id]").nth(1)).to_be_visible()


def test_calls_with_a_long_silence_are_one_chip_away(desk: Desk, hands: HandsOn) -> None:
    """Nobody spoke for twelve seconds of the call with the garage; in the others somebody did."""
    page = desk.page(MARK)
    page.goto(desk.house.url + NEWEST)
    way = hands(page)
    way.press(page.locator("#chip-has-silence"))
    expect(page.locator(".recs tbody tr[id]")).to_have_count(1)
    way.within(Cost(presses=1))
    garage = desk.house.recording_with(GARAGE)["id"]
    expect(page.locator(f"#row-{garage}")).to_be_visible()


def test_the_player_is_one_press_and_one_key_from_the_sound(desk: Desk, hands: HandsOn) -> None:
    """On the page of a call, K plays; the slider is sought by keys and by pointing."""
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(JANSEN)['id']}")
    page.locator("svg.lanes path.wa").first.wait_for()
    way = hands(page)
    way.press(page.locator("[data-play]"))
    sounds(page, "audio")
    way.within(Cost(presses=1))
    way.key("k")
    way.press(page.locator("[data-marks] li:has(.badge.pause) button"))
    at_least(page, "audio", 4)


def test_who_listened_to_my_call_is_one_press(desk: Desk, hands: HandsOn) -> None:
    """A tab tells who heard it and when."""
    listener = desk.page(MARK)
    listener.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(JANSEN)['id']}?t=0")
    listener.locator("[data-play]").click()
    sounds(listener, "audio")
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(JANSEN)['id']}")
    way = hands(page)
    way.press(page.locator("#tab-history"))
    expect(page.locator("#history li", has_text="mark").first).to_be_visible()
    way.within(Cost(presses=1))


def test_who_listened_in_a_period_is_a_file_by_two_presses(desk: Desk, hands: HandsOn) -> None:
    """The audit log, and as a file: a line for each deed, who did it and with what."""
    page = desk.page(TOEZICHT)
    page.goto(desk.house.url + NEWEST)
    way = hands(page)
    way.press(page.locator("nav a[href='/admin/audit']"))
    with page.expect_download() as taking:
        way.press(page.get_by_role("link", name="Als bestand"))
    way.within(Cost(presses=2))
    head, *deeds = taking.value.path().read_text("utf-8-sig").splitlines()
    assert head.startswith("at,actor,action,object")
    assert any(f"user:{desk.house.ids[TOEZICHT.login]}" in deed for deed in deeds)


def test_the_next_recording_is_one_key(desk: Desk, hands: HandsOn) -> None:
    """Shift N opens the one below in the list, Shift P the one above; so do the arrows on the page."""
    page = desk.page(MARK)
    page.goto(desk.house.url + NEWEST)
    rows = page.locator(".recs tbody tr[id] a.cell")
    addresses = [str(each.get_attribute("href")) for each in rows.all()]
    rows.first.click()
    page.wait_for_url(f"**{addresses[0]}")
    way = hands(page)
    way.key("Shift+N")
    page.wait_for_url(f"**{addresses[1]}")
    way.within(Cost(presses=1))
    way.press(page.locator("a[rel=prev]"))
    page.wait_for_url(f"**{addresses[0]}")


def test_what_did_not_arrive_is_drawn_in_the_lane_of_who_was_not_heard_and_said(desk: Desk) -> None:
    """The caller's packets of a second were lost; the other lane has no hole, and the slider says where one is."""
    page = desk.page(DAAN)
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(GARAGE)['id']}?t=2.5")
    page.locator("svg.lanes path.wa").first.wait_for()
    words = json.loads(page.locator("#player").get_attribute("data-words") or "{}")
    expect(page.locator("[role=slider]")).to_have_attribute("aria-valuetext", re.compile(words["bandLoss"]))
    bands = [each.bounding_box() for each in page.locator("svg.lanes rect.b-loss").all()]
    lanes = page.locator("svg.lanes").bounding_box()
    assert lanes is not None
    tallest = max(each["height"] for each in bands if each is not None)
    assert 0 < tallest < lanes["height"] / 2
    expect(page.locator("#marks [data-from]").filter(has_text=re.compile("Garage De Vries"))).to_have_count(1)
