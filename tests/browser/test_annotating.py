"""Writing on a call and passing it on, with no more presses than we promise: reference, section 3."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, sounds
from tests.browser.effort import Cost, Hands
from tests.browser.house import DAAN, JANSEN, PASSWORD, SANNE, Person

HandsOn = Callable[[Page], Hands]
GARAGE = "+31612340079"


def opened(desk: Desk) -> Page:
    """Return a window with a call that is played."""
    page = desk.page(DAAN)
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(GARAGE)['id']}?t=0")
    page.locator("svg.lanes path.wa").first.wait_for()
    return page


def test_a_comment_is_a_key_and_its_text_while_the_sound_goes_on(desk: Desk, hands: HandsOn) -> None:
    """C, the words, Ctrl Enter: it stands in the timeline at the moment that was heard."""
    page = opened(desk)
    page.locator("[data-play]").click()
    sounds(page, "audio")
    way = hands(page)
    text = f"Commentaar met {type(way).__name__}"
    way.key("c")
    way.write(page.locator("#comment-text"), text, end="Control+Enter")
    expect(page.locator("#marks")).to_contain_text(text)
    way.within(Cost(presses=1, typed=1))
    expect(page.locator("#comment-text")).to_have_value("")


def test_a_favourite_is_one_key_or_one_press(desk: Desk, hands: HandsOn) -> None:
    """F or the star; the same again takes it back."""
    page = opened(desk)
    star = page.locator("[data-star]")
    way = hands(page)
    way.press(star)
    expect(star).to_have_attribute("aria-pressed", "true")
    way.within(Cost(presses=1))
    page.locator("h1").click()
    way.key("f")
    expect(star).to_have_attribute("aria-pressed", "false")


def test_a_label_is_a_key_and_its_name(desk: Desk, hands: HandsOn) -> None:
    """Shift L, a name and Enter; a new one is made of it, and a press takes it off again."""
    page = opened(desk)
    way = hands(page)
    name = f"Klacht {type(way).__name__}"
    way.key("Shift+L")
    way.write(page.locator("#label-name"), name, end="Enter")
    expect(page.locator("#labels .tag", has_text=name)).to_be_visible()
    way.within(Cost(presses=1, typed=1))
    way.press(page.get_by_role("button", name=f"Haal label {name} weg"))
    expect(page.locator("#labels .body .tag", has_text=name)).to_have_count(0)


def test_a_note_is_typed_and_found_again(desk: Desk, hands: HandsOn) -> None:
    """Into the field, the words, Ctrl Enter; a word of it finds the call in the list."""
    page = opened(desk)
    way = hands(page)
    word = f"bezorgadres{type(way).__name__.lower()}"
    page.locator("#note-text").fill("")
    # The call may have a note of before, and so say already that it was saved.
    with page.expect_response(lambda answer: answer.url.endswith("/note") and answer.ok):
        way.write(page.locator("#note-text"), f"Nieuw {word} doorgegeven", end="Control+Enter")
    expect(page.locator("#note [role=status]")).to_contain_text("daan")
    way.within(Cost(presses=1, typed=1))
    page.goto(f"{desk.house.url}/recordings?q={word}")
    expect(page.locator(".recs tbody tr[id]")).to_have_count(1)


def test_a_call_is_sent_to_somebody_by_two_presses_and_an_address(desk: Desk, hands: HandsOn) -> None:
    """Share, the address, Enter; whoever gets the mail hears it by its link, and nothing else."""
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(JANSEN)['id']}")
    way = hands(page)
    to = f"klant.{type(way).__name__.lower()}@elders.example"
    way.press(page.get_by_role("button", name="Deel", exact=True))
    way.write(page.locator("#share-to"), to, end="Enter")
    expect(page.locator("#share-inner")).to_contain_text(to)
    way.within(Cost(presses=3, typed=1))
    stranger = desk.page()
    stranger.goto(desk.house.letterbox.link_to(to))
    stranger.locator("[data-play]").click()
    sounds(stranger, "audio")


def test_a_link_is_ended_where_links_are_listed(desk: Desk, hands: HandsOn) -> None:
    """One press ends it; the notice brings it back."""
    made = desk.house.says(
        SANNE, "POST", f"/v1/recordings/{desk.house.recording_with(JANSEN)['id']}/shares", title="Voor even"
    )
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/shares")
    row = page.locator(f"#share-{made['id']}")
    way = hands(page)
    way.press(row.get_by_role("button").last)
    expect(page.locator("[data-toast]")).to_be_visible()
    way.within(Cost(presses=1))
    stranger = desk.page()
    answer = stranger.goto(made["link"])
    assert answer is not None
    assert answer.status in {404, 410}


def signed_out_while_writing(desk: Desk, text: str) -> Page:
    """Return a window that shows the way in, for a comment was sent after its session had ended."""
    page = desk.page()
    desk.sign_in(page, DAAN)
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(GARAGE)['id']}?t=2")
    page.locator("svg.lanes path.wa").first.wait_for()
    page.locator("#comment-text").fill(text)
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{desk.house.url}/help")
    elsewhere.get_by_role("button", name="Log uit").click()
    elsewhere.wait_for_url("**/sign-in")
    elsewhere.close()
    page.locator("#comment-text").press("Control+Enter")
    page.wait_for_url("**/sign-in?next=/recordings/**")
    return page


def enters(page: Page, person: Person) -> None:
    """Sign in on the page that is there."""
    page.fill("[name=login]", person.address)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")


def kept(page: Page) -> bool:
    """Whether any storage of the window holds what was written, under whatever name."""
    return "Daan" in page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")


def test_a_comment_typed_after_the_session_ended_is_back_after_signing_in(desk: Desk) -> None:
    """In its place and at its moment, ready to be sent; nothing of it is left in the browser then."""
    page = signed_out_while_writing(desk, "Daan belooft dinsdag")
    enters(page, DAAN)
    field = page.locator("#comment-text")
    expect(field).to_have_value("Daan belooft dinsdag")
    expect(field).to_be_focused()
    expect(page.locator("#toasts")).to_contain_text("Wat je aan het schrijven was, staat er weer.")
    assert page.locator("#compose [name=at_ms]").input_value() == "2000"
    assert not kept(page)
    field.press("Control+Enter")
    expect(page.locator("#marks")).to_contain_text("Daan belooft dinsdag")
    expect(field).to_have_value("")


def test_what_somebody_was_writing_is_shown_to_nobody_else_and_goes_with_signing_out(desk: Desk) -> None:
    """Another person at the same browser finds nothing, in no page and in no storage of it."""
    page = signed_out_while_writing(desk, "Alleen voor Daan")
    assert kept(page)
    enters(page, SANNE)
    # She may not see Daan's call.
    page.wait_for_url("**/recordings/**")
    assert "Alleen voor Daan" not in page.content()
    page.goto(f"{desk.house.url}/help")
    assert not kept(page)
    again = signed_out_while_writing(desk, "Alleen voor Daan")
    again.goto(f"{desk.house.url}/sign-in?next=/help")
    enters(again, DAAN)
    again.wait_for_url("**/help")
    assert kept(again)
    again.get_by_role("button", name="Log uit").click()
    again.wait_for_url("**/sign-in")
    assert not kept(again)
