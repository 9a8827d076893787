"""Writing on a call and passing it on, with no more presses than we promise: reference, section 3."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, sounds
from tests.browser.effort import Cost, Hands
from tests.browser.house import DAAN, JANSEN, SANNE

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
