"""Signing in as people do it, by mouse and by keyboard alone, and going away again."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, from_a_mail
from tests.browser.effort import Cost, Hands, Mouse
from tests.browser.house import BEHEER, DAAN, NOOR, PASSWORD, TOEZICHT

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


def test_a_second_factor_is_one_value_more(desk: Desk, hands: HandsOn) -> None:
    """The cursor waits in the field of the code; Enter leads to where one was going."""
    person = BEHEER if hands is Mouse else TOEZICHT
    desk.page(person)
    page = desk.page()
    page.goto(f"{desk.house.url}/sign-in?next=/help")
    way = hands(page)
    way.write(page.locator("[name=login]"), person.address)
    way.write(page.locator("[name=password]"), PASSWORD, end="Enter")
    way.write(page.locator("[name=code]"), desk.house.authenticators[person.login].code(), end="Enter")
    expect(page.locator("h1")).to_have_text("Hulp")
    way.within(Cost(presses=1, typed=3))


def test_an_invitation_is_a_password_typed_twice(desk: Desk, hands: HandsOn) -> None:
    """The link of the mail leads to a form of one password, and on to the recordings."""
    page = desk.page()
    page.goto(f"{desk.house.url}/invitation/{desk.house.invite(NOOR)}")
    way = hands(page)
    way.write(page.locator("#f-password"), PASSWORD)
    way.write(page.locator("#f-again"), PASSWORD, end="Enter")
    expect(page.locator("h1")).to_have_text("Opnames")
    way.within(Cost(presses=1, typed=2))


def test_what_a_stranger_asks_for_is_shown_after_signing_in(desk: Desk) -> None:
    """The address somebody was sent is where they are once they are in, and no other site ever."""
    page = desk.page()
    page.goto(f"{desk.house.url}/recordings?has=pause&sort=-start")
    page.fill("[name=login]", DAAN.address)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/recordings?has=pause&sort=-start")
    for elsewhere in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        page.goto(f"{desk.house.url}/sign-in?next={quote(elsewhere)}")
        page.wait_for_load_state()
        assert page.url.startswith(desk.house.url)


def test_a_link_of_another_site_opens_what_it_names_for_who_is_signed_in(desk: Desk) -> None:
    """A session is never sent with what another site begins; a page of ours leads on, without a press.

    So it is with the addresses everybody links to, and with what stands behind the "#".
    """
    page, url = desk.page(DAAN), desk.house.url
    for wanted, shown in (
        ("/recordings?has=pause", "/recordings?has=pause"),
        ("/recordings?has=pause#bulk", "/recordings?has=pause#bulk"),
        ("/", "/recordings*"),
        ("/sign-in", "/recordings*"),
    ):
        from_a_mail(page, url + wanted)
        page.wait_for_url(url + shown)
        expect(page.locator("h1")).to_have_text("Opnames")


def test_what_a_stranger_asks_for_behind_the_hash_is_there_after_signing_in(desk: Desk) -> None:
    """A link to one tab of a page leads to that tab, for who has to prove themselves on the way too."""
    page, wanted = desk.page(), f"{desk.house.url}/recordings?has=pause#bulk"
    from_a_mail(page, wanted)
    page.fill("[name=login]", DAAN.address)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(wanted)


def test_a_link_of_another_site_leads_on_without_scripts(desk: Desk) -> None:
    """The page of ours refreshes by itself where scripts are off."""
    context = desk.browser.new_context(java_script_enabled=False, locale="nl-NL")
    try:
        page = context.new_page()
        from_a_mail(page, f"{desk.house.url}/recordings?has=pause")
        expect(page.locator("h1")).to_have_text("Log in")
        assert page.locator("#main [name=next]").get_attribute("value") == "/recordings?has=pause"
    finally:
        context.close()


def test_keys_alone_are_dead_where_they_were_switched_off(desk: Desk, hands: HandsOn) -> None:
    """Single keys can be switched off, and mean nothing while somebody types (WCAG 2.1.4)."""
    page = desk.page(DAAN)
    page.goto(f"{desk.house.url}/recordings?sort=-start")
    page.locator("#q").fill("")
    page.locator("#q").press_sequentially("g?/")
    assert page.locator("#q").input_value() == "g?/"
    page.goto(f"{desk.house.url}/me")
    page.select_option("[name=shortcuts]", "off")
    own = page.locator("form[action='/preferences']")
    hands(page).press(own.get_by_role("button", name="Sla op"))
    page.wait_for_load_state()
    expect(page.locator("body")).to_have_attribute("data-shortcuts", "off")
    page.keyboard.press("/")
    page.goto(f"{desk.house.url}/recordings?sort=-start")
    page.keyboard.press("/")
    assert not page.locator("#q").evaluate("element => element === document.activeElement")
