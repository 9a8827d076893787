"""Reports in a browser: mailed weekly by two presses, taken away as files, and read without a mouse."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from defusedxml import ElementTree
from playwright.sync_api import Page, expect

from tests.browser import axe
from tests.browser.desk import Desk
from tests.browser.effort import Cost, Hands
from tests.browser.house import BEHEER, ILSE, LEEGBEHEER, NOOR

HandsOn = Callable[[Page], Hands]
CELL = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}v"


def test_a_report_is_mailed_weekly_by_two_presses(desk: Desk, hands: HandsOn) -> None:
    """Reports, Mail me weekly; the page tells that it is set, and ends it by a press."""
    page = desk.page(NOOR)
    page.goto(f"{desk.house.url}/recordings")
    way = hands(page)
    way.press(page.locator("nav a[href='/reports']"))
    way.press(page.get_by_role("button", name="Mail mij wekelijks"))
    row = page.locator("main tbody tr", has_text="Elke maandag")
    expect(row).to_contain_text("Gebruik")
    expect(page.locator(".page-head")).to_contain_text("Ingesteld")
    way.within(Cost(presses=2))
    assert not axe.look(page).violations
    way.press(row.get_by_role("button", name="Stop"))
    expect(page.locator("main")).to_contain_text("Er komt geen rapportage per mail")


def test_without_a_proved_address_the_press_tells_what_is_missing(desk: Desk) -> None:
    page = desk.page(LEEGBEHEER)
    page.goto(f"{desk.house.url}/reports")
    page.get_by_role("button", name="Mail mij wekelijks").click()
    expect(page.locator("main")).to_contain_text("geen bevestigd e-mailadres")
    expect(page.locator("main tbody tr")).to_have_count(0)


def shown(page: Page) -> list[list[str]]:
    """Return the cells of the table, its line of heads first and its sums last."""
    rows = page.locator("#figures tr")
    return [rows.nth(n).locator("th, td").all_inner_texts() for n in range(rows.count())]


def test_a_chart_a_table_and_the_files_have_the_same_numbers(
    desk: Desk, hands: HandsOn, tmp_path: Path
) -> None:
    """One press takes a file away; by keyboard as by mouse."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/reports/usage")
    page.locator(".report-chart canvas").wait_for()
    people = {row[0]: row[1] for row in shown(page)[1:-1]}
    way = hands(page)
    kept = {}
    for name in ("CSV", "XLSX", "PDF"):
        with page.expect_download() as fetched:
            way.press(page.get_by_role("link", name=name, exact=True))
        assert fetched.value.suggested_filename.endswith(f".{name.lower()}")
        kept[name] = tmp_path / name
        fetched.value.save_as(kept[name])
    way.within(Cost(presses=3))
    text = kept["CSV"].read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert rows[0][:2] == ["Gebruiker", "Opnames"]
    assert {row[0]: row[1] for row in rows[1:]} == people
    with zipfile.ZipFile(kept["XLSX"]) as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    numbers = {cell.text for cell in sheet.iter(CELL)}
    assert set(people.values()) <= numbers
    assert kept["PDF"].read_bytes().startswith(b"%PDF-")


def test_days_rows_and_team_are_chosen_and_stand_in_the_address(desk: Desk, hands: HandsOn) -> None:
    """Another period, another report and another row cost a press each; the address says all of it."""
    page = desk.page(BEHEER)
    page.goto(f"{desk.house.url}/reports")
    way = hands(page)
    way.press(page.get_by_role("link", name="Laatste 7 dagen"))
    expect(page.locator("#figures caption")).to_contain_text("t/m")
    way.press(page.locator(".segments").get_by_role("link", name="Per dag"))
    expect(page.locator("#figures tbody tr")).to_have_count(7)
    way.press(page.locator(".picks").get_by_role("link", name="Opslag"))
    expect(page.locator("h2#report-title")).to_have_text("Opslag")
    way.within(Cost(presses=3))
    for part in ("/reports/storage?", "from=", "to="):
        assert part in page.url
    expect(page.locator("#figures tbody tr")).to_have_count(7)


def test_who_manages_a_team_chooses_it_and_sees_its_numbers(desk: Desk, hands: HandsOn) -> None:
    page = desk.page(ILSE)
    page.goto(f"{desk.house.url}/reports/usage")
    expect(page.locator("main")).to_contain_text("Geen gegevens")
    way = hands(page)
    way.choose(page.locator("select[name=team]"), "Verkoop")
    way.press(page.get_by_role("button", name="Toon", exact=True))
    expect(page.locator("#figures tbody")).to_contain_text("sanne")
    expect(page.locator("#figures tbody")).not_to_contain_text("noor")
    way.within(Cost(presses=2))


@pytest.mark.parametrize("language", ["nl", "en"])
def test_what_stands_in_the_table_is_told_to_readers_and_the_drawing_is_not(
    desk: Desk, language: str
) -> None:
    page = desk.page(BEHEER, language=language)
    page.goto(f"{desk.house.url}/reports/usage")
    page.locator(".report-chart canvas").wait_for()
    assert page.locator(".report-chart .plot").get_attribute("aria-hidden") == "true"
    assert page.locator("#figures caption").count() == 1
    assert page.locator("#figures thead th[scope=col]").count() == page.locator("#figures thead th").count()
