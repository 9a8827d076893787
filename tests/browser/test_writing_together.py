"""Several people write on the same calls: answers, a note at the same time, labels on many, hostile texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, sounds
from tests.browser.effort import Cost, Hands
from tests.browser.house import DAAN, HOSTILE, JANSEN, MARK, SANNE, TOEZICHT
from tests.browser.test_hostile_texts import made_nothing, straight

HandsOn = Callable[[Page], Hands]

_words = itertools.count()


def word() -> str:
    """Return a word that stands nowhere else."""
    return f"woord{next(_words)}x"


def opened(desk: Desk, page: Page, number: str = JANSEN, query: str = "?t=0") -> None:
    page.goto(f"{desk.house.url}/recordings/{desk.house.recording_with(number)['id']}{query}")
    page.locator("svg.lanes path.wa").first.wait_for()


def test_a_comment_is_answered_changed_deleted_and_brought_back(desk: Desk, hands: HandsOn) -> None:
    """A listener answers; its author changes and deletes it, and takes that back."""
    page, text = desk.page(SANNE), word()
    opened(desk, page)
    way = hands(page)
    way.write(page.locator("#comment-text"), text, end="Control+Enter")
    line = page.locator("#marks li.thread", has_text=text)
    expect(line).to_be_visible()
    listener, answer = desk.page(MARK), word()
    opened(desk, listener)
    theirs = listener.locator("#marks li.thread", has_text=text)
    assert theirs.get_by_role("button", name="Wis").count() == 0
    theirs.locator("summary", has_text="Antwoord").click()
    expect(theirs.locator("details[open] textarea")).to_be_focused()
    listener.keyboard.type(answer)
    listener.keyboard.press("Control+Enter")
    expect(theirs.locator(".reply", has_text=answer)).to_be_visible()
    page.reload()
    expect(line.locator(".reply", has_text=answer)).to_be_visible()
    way.press(line.locator("summary", has_text="Wijzig"))
    expect(line.locator("details[open] textarea")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type(f"{text} anders")
    page.keyboard.press("Control+Enter")
    expect(line.locator(".said").first).to_have_text(f"{text} anders")
    way.press(line.locator(".linkbtn").first)
    expect(page.locator("#marks li.thread", has_text=answer)).to_contain_text("Dit commentaar is gewist.")
    way.press(page.locator("[data-toast] button"))
    expect(line.locator(".said").first).to_have_text(f"{text} anders")


def test_all_rows_that_are_ticked_get_a_label_at_once(desk: Desk, hands: HandsOn) -> None:
    """Tick all, press Label, type its name: done, with a way back."""
    page, name = desk.page(DAAN), word()
    page.goto(f"{desk.house.url}/recordings?sort=-start")
    rows = page.locator(".recs tbody tr[id]").count()
    way = hands(page)
    way.press(page.locator("#results input[data-all]"))
    way.press(page.locator("[popovertarget=bulk-label]"))
    way.write(page.locator("#bulk-name"), name, end="Enter")
    way.within(Cost(presses=2, typed=1))
    expect(page.locator(".recs .labels-of", has_text=name)).to_have_count(rows)
    expect(page.locator("#bulk-label")).to_be_hidden()
    way.press(page.locator("[data-toast]", has_text=name).locator("button"))
    expect(page.locator(".recs .labels-of", has_text=name)).to_have_count(0)


def test_two_who_write_the_note_at_once_lose_nothing(desk: Desk) -> None:
    """Who saves second sees both texts and puts them together."""
    first, second = desk.page(SANNE), desk.page(MARK)
    one, two = word(), word()
    for page in (first, second):
        opened(desk, page)
    first.locator("#note-text").fill(one)
    first.locator("#save-note").click()
    expect(first.locator("#note [role=status]")).to_contain_text("sanne")
    second.locator("#note-text").fill(two)
    second.locator("#save-note").click()
    expect(second.locator("#note .notice")).to_be_visible()
    expect(second.locator("#note .theirs")).to_have_text(one)
    expect(second.locator("#note-text")).to_have_value(two)
    second.locator("#note-text").fill(f"{one} {two}")
    second.locator("#save-note").click()
    expect(second.locator("#note [role=status]")).to_contain_text("mark")
    second.locator("#note .earlier summary").click()
    expect(second.locator("#note .values")).to_contain_text(one)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_write_is_text(desk: Desk, text: str) -> None:
    """In the timeline, the note, a label, the list and the histories, to its author and an auditor."""
    page = desk.page(SANNE)
    opened(desk, page)
    before = page.locator("#marks li.thread").count()
    page.locator("#comment-text").fill(text)
    page.locator("#compose button").click()
    expect(page.locator("#marks li.thread")).to_have_count(before + 1)
    page.locator("#note-text").fill(text)
    page.locator("#save-note").click()
    expect(page.locator("#note [role=status]")).to_contain_text("sanne")
    made_nothing(page)
    name = "".join(letter for letter in text if letter.isprintable())[:40]
    page.locator("[data-labels]").click()
    page.locator("#label-name").fill(name)
    page.locator("#label-name").press("Enter")
    expect(page.locator("#labels .carried", has_text=name).first).to_be_visible()
    made_nothing(page)
    for person in (SANNE, TOEZICHT):
        other = desk.page(person)
        opened(desk, other)
        expect(other.locator("#marks")).to_contain_text(straight(text))
        made_nothing(other)
        other.goto(f"{desk.house.url}/recordings?sort=-start")
        made_nothing(other)


def test_the_keys_are_dead_while_somebody_types(desk: Desk) -> None:
    """C, F and Shift L are letters in a field."""
    page = desk.page(SANNE)
    opened(desk, page)
    pressed = page.locator("[data-star]").get_attribute("aria-pressed")
    page.locator("#note-text").fill("")
    page.locator("#note-text").press_sequentially("cfL")
    expect(page.locator("#note-text")).to_have_value("cfL")
    assert page.locator("[data-star]").get_attribute("aria-pressed") == pressed
    assert page.locator("#label-choice:popover-open").count() == 0


def test_escape_plays_and_pauses_while_somebody_types(desk: Desk) -> None:
    """So that what is heard can be written down."""
    page = desk.page(SANNE)
    opened(desk, page)
    page.locator("#comment-text").focus()
    page.keyboard.press("Escape")
    sounds(page, "audio")
    expect(page.locator("#comment-text")).to_be_focused()
