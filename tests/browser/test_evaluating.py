"""Evaluating a call while it is heard, and what comes of it, within the presses promised: reference, section 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from archive.access import Right
from archive.catalogue import rights
from archive.clock import SystemClock
from archive.model import new_id
from tests.behaviour.customer import operating
from tests.browser.desk import Desk, sounds
from tests.browser.effort import Cost, Hands, Keyboard
from tests.browser.house import BEHEER, JANSEN, MARK, PASSWORD, SANNE, House

HandsOn = Callable[[Page], Hands]
SECTIONS: list[dict[str, Any]] = [
    {
        "title": "Begin",
        "questions": [
            {"id": "name", "text": "Noemt de naam?", "kind": "yes-no", "fatal": True},
            {"id": "tone", "text": "Toon", "kind": "scale", "weight": 3},
        ],
    },
    {
        "title": "Afloop",
        "questions": [{"id": "offer", "text": "Aanbod?", "kind": "yes-no", "skippable": True}],
    },
]


@pytest.fixture
def form(desk: Desk) -> Iterator[dict[str, Any]]:
    """A form that comes first of all, and is offered no more afterwards; Mark may evaluate."""
    house = desk.house
    with operating(house.service) as catalogue:
        rights.set_rights(catalogue, house.tenant_id, house.ids[MARK.login], {Right.EVALUATE: True})
    name = f"AAA {new_id(SystemClock().now())}"
    made = house.says(None, "POST", "/v1/evaluation-forms", name=name, sections=SECTIONS)
    yield made
    house.says(None, "PATCH", f"/v1/evaluation-forms/{made['id']}", retired=True)


def path_of(house: House) -> str:
    return f"{house.url}/recordings/{house.recording_with(JANSEN)['id']}"


def answered(page: Page, count: int) -> None:
    expect(page.locator("#evaluations [role=status]")).to_contain_text(f"{count} van 3 beantwoord")


def test_a_call_is_evaluated_by_a_key_for_each_answer_and_two_more(
    desk: Desk, hands: HandsOn, form: dict[str, Any]
) -> None:
    """E, an answer a key, Enter; each answer leads back to where it was heard, and the person sees the result."""
    page = desk.page(MARK)
    page.goto(f"{path_of(desk.house)}?t=0")
    page.locator("svg.lanes path.wa").first.wait_for()
    page.locator("[data-play]").click()
    sounds(page, "audio")
    page.locator("h1").click()
    way = hands(page)
    by_key = isinstance(way, Keyboard)
    if by_key:
        way.key("e")
        page.locator("form.question.current").wait_for()
        for digit in "14n":
            way.key(digit)
    else:
        way.press(page.locator("#tab-evaluations"))
        for number, (question, digit) in enumerate((("name", "1"), ("tone", "4"), ("offer", "n"))):
            way.press(page.locator(f"#question-{question} [data-digit='{digit}']"))
            answered(page, number + 1)
    release = page.locator("[data-release]")
    expect(release).to_be_visible()
    if by_key:
        expect(release).to_be_focused()
        way.key("Enter")
    else:
        way.press(release)
    expect(page.locator("#evaluations .results")).to_contain_text(form["name"])
    way.within(Cost(presses=1 + 3 + 1))
    # (1 x 1 + 3 x 3/4) / 4
    expect(page.locator("#evaluations .results")).to_contain_text("81,2")
    seen_by_sanne(desk, form)


def seen_by_sanne(desk: Desk, form: dict[str, Any]) -> None:
    """The person it is about finds it in her list, listens to the place of an answer, and acknowledges it."""
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/evaluations")
    page.locator("tr", has_text=form["name"]).get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text(form["name"])
    place = page.locator("a.at").first
    assert "?t=" in (place.get_attribute("href") or "")
    page.get_by_role("button", name="Ik heb het gezien").click()
    expect(page.locator("main")).to_contain_text("Gezien")


def test_a_dispute_is_written_found_and_settled_by_the_keyboard(desk: Desk, form: dict[str, Any]) -> None:
    """Ctrl+Enter sends the words; an answer changed meanwhile leaves them where they are, and the focus on them."""
    house = desk.house
    path = f"/v1/recordings/{house.recording_with(JANSEN)['id']}/evaluations"
    made = house.says(MARK, "POST", path, formId=form["id"])["id"]
    house.says(
        MARK,
        "PATCH",
        f"{path}/{made}",
        answers={"name": {"value": 1}, "tone": {"value": 2}, "offer": {"value": 1}},
    )
    house.says(MARK, "POST", f"{path}/{made}/releases")
    page = desk.page(SANNE)
    page.goto(f"{house.url}/evaluations/{made}")
    page.locator("#objection").focus()
    page.keyboard.type("Zo kortaf was ik niet.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("main")).to_contain_text("Bezwaar")
    expect(page.locator("#objection")).to_have_count(0)
    page = desk.page(MARK)
    page.goto(f"{house.url}/evaluations")
    page.locator("#disputes tr", has_text=form["name"]).get_by_role("link").press("Enter")
    words = page.locator("#settlement")
    words.focus()
    page.keyboard.type("Je hebt gelijk.")
    page.locator("#question-tone [data-digit='4']").press("Enter")
    answered(page, 3)
    expect(page.locator("#question-tone [aria-pressed=true]")).to_have_text("4")
    expect(words).to_be_focused()
    expect(words).to_have_value("Je hebt gelijk.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("afgehandeld")
    expect(page.locator("#evaluations .results")).to_contain_text(form["name"])


def test_an_answer_leads_back_to_where_it_was_heard(desk: Desk, form: dict[str, Any]) -> None:
    """The offset of the player is stamped on the answer; a press on it seeks there."""
    page = desk.page(MARK)
    page.goto(f"{path_of(desk.house)}?t=4")
    page.locator("svg.lanes path.wa").first.wait_for()
    page.keyboard.press("e")
    page.locator("form.question.current").wait_for()
    page.keyboard.press("1")
    answered(page, 1)
    stamped = page.locator("#question-name .at")
    expect(stamped).to_have_text("0:04")
    slider = page.locator("[role=slider]")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    stamped.click()
    expect(slider).to_have_attribute("aria-valuenow", "4")
    withdraw(page)


def withdraw(page: Page) -> None:
    """Leave the call as it was, for whoever evaluates it next."""
    page.get_by_role("button", name="Trek het concept in").click()
    expect(page.locator("#toasts")).to_contain_text("ingetrokken")


def test_words_that_were_typed_and_not_sent_are_lost_by_no_press_and_by_no_way_out(
    desk: Desk, form: dict[str, Any]
) -> None:
    """They go along with an answer to another question, by key and by mouse, and are sent as the page is left."""
    low = [
        {
            "title": "Begin",
            "questions": [
                {"id": "tone", "text": "Toon", "kind": "scale", "comment": "low"},
                {"id": "pace", "text": "Tempo", "kind": "scale", "comment": "low"},
                {"id": "name", "text": "Noemt de naam?", "kind": "yes-no"},
            ],
        }
    ]
    desk.house.says(None, "PATCH", f"/v1/evaluation-forms/{form['id']}", sections=low)
    page = desk.page(MARK)
    page.goto(f"{path_of(desk.house)}#evaluations")
    page.locator("form.question.current").wait_for()
    page.keyboard.press("e")
    page.keyboard.press("2")
    words = page.locator("#words-tone")
    # A low answer wants words, and they have the focus.
    expect(words).to_be_focused()
    page.keyboard.type("Kortaf 2")
    page.locator("#question-pace [data-digit='5']").click()
    expect(page.locator("#question-pace [aria-pressed=true]")).to_have_text("5")
    expect(words).to_have_text("Kortaf 2")
    page.locator("#words-pace").fill("Vlot")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator("[data-release]")).to_be_focused()
    expect(page.locator("#words-pace")).to_have_text("Vlot")
    words.fill("Kortaf, maar beleefd")
    page.goto(f"{desk.house.url}/evaluations")
    page.go_back()
    expect(words).to_have_value("Kortaf, maar beleefd")
    page.reload()
    expect(words).to_have_text("Kortaf, maar beleefd")
    withdraw(page)


def test_words_sent_after_the_session_ended_are_back_after_signing_in(
    desk: Desk, form: dict[str, Any]
) -> None:
    """In a form that comes by itself, later than the page."""
    house = desk.house
    page = desk.page()
    desk.sign_in(page, MARK)
    page.goto(f"{path_of(house)}#evaluations")
    page.locator("form.question.current").wait_for()
    low = [{**SECTIONS[0], "questions": [{**SECTIONS[0]["questions"][1], "comment": "low"}]}]
    house.says(None, "PATCH", f"/v1/evaluation-forms/{form['id']}", sections=low)
    page.reload()
    page.locator("#question-tone [data-digit='2']").click()
    words = page.locator("#words-tone")
    words.fill("Mark vond het vlug")
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{house.url}/help")
    elsewhere.get_by_role("button", name="Log uit").click()
    elsewhere.wait_for_url("**/sign-in")
    elsewhere.close()
    words.press("Control+Enter")
    page.wait_for_url("**/sign-in?next=/recordings/**")
    page.fill("[name=login]", MARK.address)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/recordings/**")
    page.locator("#tab-evaluations").click()
    expect(words).to_have_value("Mark vond het vlug")
    expect(page.locator("#toasts")).to_contain_text("Wat je aan het schrijven was, staat er weer.")
    assert "vlug" not in page.evaluate("JSON.stringify({...sessionStorage})")
    words.press("Control+Enter")
    expect(words).to_have_text("Mark vond het vlug")
    withdraw(page)


def test_a_form_is_made_by_keyboard_alone(desk: Desk) -> None:
    """Name, heading and question are typed; buttons add and move; what is wrong is told before it is kept."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/evaluations/forms/new")
    expect(page.locator("#f-name")).to_be_focused()
    name = f"ZZZ {new_id(SystemClock().now())}"
    page.keyboard.type(name)
    page.locator("#s0-title").focus()
    page.keyboard.type("Begin")
    page.locator("#s0-q0-text").focus()
    page.keyboard.type("Eerste?")
    page.locator("button[value='add:0']").press("Enter")
    expect(page.locator("#s0-q1-text")).to_be_focused()
    page.keyboard.type("Tweede?")
    page.locator("button[value='up:0:1']").press("Enter")
    expect(page.locator("#s0-q0-text")).to_have_value("Tweede?")
    expect(page.locator("#s0-q0-text")).to_be_focused()
    page.locator("button[value=preview]").press("Enter")
    expect(page.locator(".questions")).to_contain_text("Tweede?")
    page.keyboard.press("Tab")
    page.locator("#f-name").press("Enter")
    page.wait_for_url("**/evaluations/forms")
    row = page.locator("tr", has_text=name)
    expect(row).to_be_visible()
    row.get_by_role("button").press("Enter")
    expect(page.locator("tr", has_text=name).get_by_role("button")).to_contain_text("Bied weer aan")


def test_a_sample_is_drawn_by_one_press(desk: Desk, hands: HandsOn, form: dict[str, Any]) -> None:
    """Trek steekproef: of each person of the team the same number, as a list with its progress."""
    page = desk.page(MARK)
    page.goto(f"{desk.house.url}/evaluations")
    way = hands(page)
    way.press(page.get_by_role("button", name="Trek steekproef"))
    expect(page.locator("main table tbody tr").first).to_be_visible()
    way.within(Cost(presses=1))
    expect(page.locator("h1 + .sub, .page-head .sub")).to_contain_text("0 van")
