"""Files for spreadsheets hold the numbers of the report, as each language writes them, and no formula."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime

import pytest
from defusedxml import ElementTree

from archive.branding import Stationery
from archive.errors import Refused
from archive.reports import sheet
from archive.reports.period import Period
from archive.reports.report import By, Column, Kind, Name, Report, Value, summed
from archive.reports.spreadsheet import comma_separated_values, workbook
from archive.reports.words import COLUMNS, EXPLAINED, LANGUAGES, TITLES, size, written

COLUMNS_SHOWN = (
    Column("user", Kind.TEXT),
    Column("recordings", Kind.COUNT),
    Column("recordedSeconds", Kind.SECONDS),
    Column("percent", Kind.PERCENT),
    Column("reachedOn", Kind.DAY),
)
ROWS: tuple[tuple[Value, ...], ...] = (
    ("anna", 12345, 3723, 12.5, date(2026, 11, 2)),
    ("ben; cor", 2, 1, None, None),
)
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0")


def report(rows: tuple[tuple[Value, ...], ...] = ROWS) -> Report:
    period = Period(date(2026, 11, 1), date(2026, 11, 22))
    at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    totals = summed(COLUMNS_SHOWN, rows)
    return Report(Name.USAGE, By.USER, period, None, at, COLUMNS_SHOWN, rows, totals, "recordings")


def test_in_dutch_semicolons_stand_between_and_commas_in_numbers() -> None:
    content = comma_separated_values(report(), "nl")
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.decode("utf-8-sig").split("\r\n") == [
        "Gebruiker;Opnames;Opgenomen (minuten);Aandeel;Verbruikt op",
        "anna;12345;62,05;12,5;2026-11-02",
        '"ben; cor";2;0,02;;',
        "",
    ]


def test_in_english_commas_stand_between_and_points_in_numbers() -> None:
    content = comma_separated_values(report(), "en").decode("utf-8-sig")
    assert content.startswith(
        "User,Recordings,Recorded (minutes),Share,Used up on\r\nanna,12345,62.05,12.5,2026-11-02"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", FORMULAS)
def test_no_name_is_a_formula_in_a_spreadsheet(text: str, language: str) -> None:
    hostile = report(((text, 1, 1, None, None),))
    made = comma_separated_values(hostile, language).decode("utf-8-sig")
    cells = list(csv.reader(io.StringIO(made, newline=""), delimiter=";" if language == "nl" else ","))
    assert cells[1][0].startswith("'")
    assert cells[1][0].replace("'", "") == text.replace("'", "")
    with zipfile.ZipFile(io.BytesIO(workbook(hostile, language))) as book:
        tree = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert tree.findall(f".//{MAIN}f") == []


def test_a_workbook_has_real_numbers_days_and_sums() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(report(), "nl"))) as book:
        tree = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        texts = [
            each.findtext(f"{MAIN}t") for each in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
    cells = {
        cell.get("r"): texts[int(cell.findtext(f"{MAIN}v"))]
        if cell.get("t") == "s"
        else cell.findtext(f"{MAIN}v")
        for cell in tree.iter(f"{MAIN}c")
        if cell.find(f"{MAIN}v") is not None
    }
    assert cells["A1"] == "Gebruik"
    assert cells["A2"] == "1 november 2026 t/m 22 november 2026"
    assert cells["A3"] == "Bijgewerkt 22 nov 2026 10:30:00"
    assert (cells["A6"], cells["B6"]) == ("anna", "12345")
    assert float(cells["C6"] or 0) == pytest.approx(3723 / 86_400)
    assert float(cells["D6"] or 0) == pytest.approx(0.125)
    assert cells["E6"] == str((date(2026, 11, 2) - date(1899, 12, 30)).days)
    assert (cells["A8"], cells["B8"]) == ("Totaal", "12347")


@pytest.mark.parametrize("rows", [(), (("anna", 0, 0, None, None),)])
def test_a_workbook_of_a_period_in_which_nothing_happened_says_so(
    rows: tuple[tuple[Value, ...], ...],
) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(report(rows), "nl"))) as book:
        assert "Geen gegevens in deze periode" in book.read("xl/sharedStrings.xml").decode()
    with zipfile.ZipFile(io.BytesIO(workbook(report(), "nl"))) as book:
        assert "Geen gegevens" not in book.read("xl/sharedStrings.xml").decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pdf_is_made_of_any_letters_and_of_no_rows(language: str) -> None:
    for rows in (ROWS, (), (("Łukasz 明", 1, 1, None, None),)):
        assert sheet.page(report(rows), Stationery("Bakkerij “Ć”"), language).startswith(b"%PDF-")


def test_a_pdf_has_rows_at_most() -> None:
    row = ("anna", 1, 1, None, None)
    assert sheet.page(report((row,) * sheet.ROWS_MAX), Stationery("x"), "nl")
    with pytest.raises(Refused, match="CSV"):
        sheet.page(report((row,) * (sheet.ROWS_MAX + 1)), Stationery("x"), "nl")


def test_every_report_and_column_has_words_in_both_languages() -> None:
    for words in (*TITLES.values(), *EXPLAINED.values(), *COLUMNS.values()):
        assert set(words) == set(LANGUAGES)
        assert all(words.values())
    assert set(TITLES) == set(EXPLAINED) == set(Name)


@pytest.mark.parametrize(
    ("value", "kind", "dutch", "english"),
    [
        (12345, Kind.COUNT, "12.345", "12,345"),
        (48, Kind.SECONDS, "0:48", "0:48"),
        (367_323, Kind.SECONDS, "102:02:03", "102:02:03"),
        (99.9, Kind.PERCENT, "99,9 %", "99.9%"),
        (date(2026, 11, 1), Kind.MONTH, "november 2026", "November 2026"),
        (date(2026, 11, 1), Kind.DAY, "zo 1 nov 2026", "Sun 1 Nov 2026"),
        ("30s", Kind.LENGTH, "tot 30 seconden", "below 30 seconds"),
        ("7y-1000", Kind.LICENCE, "7 jaar, 1000 minuten", "7 years, 1000 minutes"),
        ("", Kind.TEXT, "onbekend", "unknown"),
        (None, Kind.COUNT, "", ""),
    ],
)
def test_values_are_written_as_people_read_them(value: Value, kind: Kind, dutch: str, english: str) -> None:
    assert (written(value, kind, "nl"), written(value, kind, "en")) == (dutch, english)


def test_sizes_are_in_the_unit_of_three_digits() -> None:
    assert [size(each, "nl") for each in (0, 999, 1000, 12_345_678, -5000)] == [
        "0 B", "999 B", "1,0 kB", "12,3 MB", "-5,0 kB",
    ]  # fmt: skip
