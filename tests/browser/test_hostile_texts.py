"""Names, notes and metadata that are scripts, turn text around, are formulas or headers show as text."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk
from tests.browser.house import BEHEER, HOSTILE, MARK, SANNE, TOEZICHT, House, Person

TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
HEADERS = ("\r\nX-Injected: yes", "\nSet-Cookie: ew_session=stolen", "%0d%0aX-Injected:%20yes")


def shown(page: Page, text: str) -> None:
    """Wait until a text stands on the page letter by letter, and hold that it made no element."""
    expect(page.locator("main")).to_contain_text(straight(text))
    made_nothing(page)


def made_nothing(page: Page) -> None:
    """Hold that no text of others became a part of the page, or turned a part of it around."""
    assert page.locator("script:not([src]), img[src='x'], [onerror], a[href^='javascript:']").count() == 0
    # A box to write in holds the very text that is kept, turning marks and all: it turns nothing around it.
    shown = page.locator("html").evaluate(
        "page => {"
        " const copy = page.cloneNode(true);"
        " copy.querySelectorAll('textarea').forEach((box) => { box.textContent = ''; });"
        " copy.querySelectorAll('input').forEach((box) => box.removeAttribute('value'));"
        " return copy.outerHTML; }"
    )
    assert not TURNING & set(shown)


def straight(text: str) -> str:
    """Return a text as a page shows it: what would turn it around stands there as a sign."""
    shown = "".join("\ufffd" if letter in TURNING else letter for letter in text)
    return shown.replace("\u2028", " ")


def of_name(house: House, number: int) -> str:
    return str(house.recording_with(f"+3161234010{number}")["id"])


@pytest.mark.parametrize("person", [SANNE, TOEZICHT], ids=["owner", "auditor"])
def test_names_from_the_exchange_are_text_in_the_list(desk: Desk, person: Person) -> None:
    """All of them stand in one list, and none changes it."""
    page = desk.page(person)
    page.goto(f"{desk.house.url}/recordings?sort=-start")
    for name in HOSTILE:
        shown(page, name)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_name_from_the_exchange_is_text_on_the_page_of_the_call(desk: Desk, number: int) -> None:
    """In its head, its reasons and its history, to its owner or to an auditor by turns."""
    page = desk.page((SANNE, TOEZICHT)[number % 2])
    page.goto(f"{desk.house.url}/recordings/{of_name(desk.house, number)}")
    page.locator("svg.lanes path.wa").first.wait_for()
    shown(page, HOSTILE[number])
    page.locator("#tab-why").click()
    page.locator("#why .trace").wait_for()
    page.locator("#tab-history").click()
    page.locator("#history li").first.wait_for()
    made_nothing(page)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_searched_for_is_text(desk: Desk, text: str) -> None:
    """The box, the address and the page of nothing found give it back as it was typed."""
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/recordings?q={quote(text)}&has=pause")
    assert page.locator("#q").input_value().replace("\u2028", " ") == text.replace("\u2028", " ")
    made_nothing(page)


def test_names_people_give_are_text(desk: Desk) -> None:
    """A team may be called like that where the letters can be shown; else it is refused with a word."""
    page = desk.page(BEHEER)
    given: list[str] = []
    for text in HOSTILE:
        page.goto(f"{desk.house.url}/admin/teams/new")
        page.fill("[name=name]", text)
        page.press("[name=name]", "Enter")
        # The page of the team, or the form again with what is wrong.
        page.locator("#members, .error").first.wait_for()
        if page.locator(".error").count():
            assert page.locator("[name=name]").input_value().replace("\u2028", " ") == text.replace(
                "\u2028", " "
            )
        else:
            shown(page, text)
            given.append(text)
    assert given
    for path in ("/admin/teams", "/admin/rights", "/admin/users"):
        page.goto(desk.house.url + path)
        made_nothing(page)
    page.goto(f"{desk.house.url}/admin/rights")
    for text in given:
        shown(page, text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_saved_view_is_called_like_that(desk: Desk, text: str) -> None:
    """In the menu, as the heading of its page, and in the notice that it is gone."""
    page = desk.page(MARK)
    page.goto(f"{desk.house.url}/recordings?has=pause")
    page.locator("[data-opens=save-view]").click()
    page.fill("#view-name", text[:60])
    page.press("#view-name", "Enter")
    page.wait_for_load_state()
    if page.locator("#delete-view").count():
        shown(page, text[:60])
        page.locator("#delete-view").click()
        expect(page.locator("[data-toast]")).to_be_visible()
    made_nothing(page)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_write_on_a_call_is_text(desk: Desk, text: str) -> None:
    """A comment, a note, a label and the title of a play link, on the pages of people and of strangers."""
    path = f"/v1/recordings/{of_name(desk.house, 0)}"
    desk.house.says(None, "POST", f"{path}/comments", text=text, atMs=500)
    desk.house.says(None, "PUT", f"{path}/note", text=text)
    page = desk.page(SANNE)
    page.goto(f"{desk.house.url}/recordings/{of_name(desk.house, 0)}")
    shown(page, text)
    expect(page.locator("#marks")).to_contain_text(straight(text))
    # Who goes on writing writes on in what was written, and not in what is shown of it.
    assert page.locator("#note-text").input_value().replace("\u2028", " ") == text.replace("\u2028", " ")
    page.locator("#add-label").click()
    page.fill("#label-name", text[:40])
    page.press("#label-name", "Enter")
    expect(page.locator("#labels .body .tag, #toasts > *").first).to_be_visible()
    made_nothing(page)
    page.goto(f"{desk.house.url}/recordings?sort=-start")
    expect(page.locator(".recs tbody tr[id]").first).to_be_visible()
    made_nothing(page)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_title_of_a_play_link_is_text(desk: Desk, text: str) -> None:
    """Strangers read it as a heading; what can't be shown is refused when the link is made."""
    path = f"/v1/recordings/{of_name(desk.house, 0)}/shares"
    answer = desk.house.service.send("POST", path, {"title": text}, desk.house.keys[SANNE.login])
    if answer.status in {400, 403}:
        return
    assert answer.status == 201, answer.body
    page = desk.page()
    page.goto(desk.house.url + urlsplit(answer.json()["link"]).path)
    shown(page, text)
    assert not TURNING & set(page.title())


@pytest.mark.parametrize("text", HEADERS)
def test_no_text_becomes_a_header(house: House, text: str) -> None:
    """Where to go next, what to search and the name of a view end in no header of their own."""
    for path in (
        f"/sign-in?next=/{quote(text)}",
        f"/recordings?q={quote(text)}",
        f"/sign-in?next={text if '%' in text else quote(text)}",
    ):
        connection = http.client.HTTPConnection("127.0.0.1", house.service.portal_port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.getheader("X-Injected") is None
            assert "stolen" not in str(answer.getheader("Set-Cookie"))
            assert answer.status < 500
        finally:
            connection.close()
