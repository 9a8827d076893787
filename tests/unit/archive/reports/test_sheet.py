"""A report as PDF carries the name, logo and colour of whose it is, and nothing of them does anything."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, date, datetime

import pytest

from archive.branding import NAME_CHARS_MAX, Stationery
from archive.logo import remade
from archive.reports import sheet, words
from archive.reports.period import Period
from archive.reports.report import By, Column, Kind, Name, Report, summed
from tests.drawn_logo import drawn_logo
from tests.unit.archive.test_logo import drawn as picture

PLAIN = Stationery("De Warme Bakker")
OWN = Stationery("Molen & Zn", "#0a4f8a", remade(drawn_logo()).png)
HOSTILE = (
    "Molen) Tj ET /JS (app.alert(1)) (",
    "Molen\\) /Launch <</F (x)>>",
    "<script>alert(1)</script>",
    "\u202eneloM",
    "\x02\x02 {nb}",
    "Molen\r\n%%EOF\r\n1 0 obj",
)


def page(
    paper: Stationery,
    language: str = "nl",
    rows: tuple[tuple[str, int | None], ...] = (("anna", 12), ("ben", 2)),
) -> bytes:
    columns = (Column("user", Kind.TEXT), Column("recordings", Kind.COUNT))
    period = Period(date(2026, 11, 1), date(2026, 11, 22))
    at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    made = Report(Name.USAGE, By.USER, period, None, at, columns, rows, summed(columns, rows), "recordings")
    return sheet.page(made, paper, language)


def drawn(pdf: bytes) -> bytes:
    """Return what a PDF draws on its pages: the streams that are no picture."""
    found = re.findall(rb"<<([^>]*(?:<<[^>]*>>[^>]*)*)>>\s*stream\n(.*?)\nendstream", pdf, re.DOTALL)
    return b"\n".join(zlib.decompress(stream) for words, stream in found if b"/Image" not in words)


def told(pdf: bytes) -> list[str]:
    """Return the texts a PDF draws, as they stand one after the other."""
    found = re.findall(rb"\(((?:\\.|[^()\\])*)\) Tj", drawn(pdf), re.DOTALL)
    return [each.decode("latin-1") for each in found]


def outside(pdf: bytes) -> bytes:
    """Return a PDF without its streams: what its objects are."""
    return re.sub(rb"stream\n.*?\nendstream", b"", pdf, flags=re.DOTALL)


def skeleton(pdf: bytes) -> bytes:
    """Return what a PDF is made of without its strings (ISO 32000-1, 7.3.4), numbers and the id it has of both."""
    whole = outside(pdf) + drawn(pdf)
    without = re.sub(rb"\((?:\\.|[^()\\])*\)|<[0-9A-F]+>", b"()", whole, flags=re.DOTALL)
    return re.sub(rb"[0-9.]+", b"0", without)


def test_a_report_carries_name_logo_and_colour() -> None:
    pdf = page(OWN)
    assert b"(Molen & Zn, 1 november 2026 t/m 22 november 2026) Tj" in drawn(pdf)
    assert outside(pdf).count(b"/Subtype /Image") == 2  # the picture, and what of it is clear
    assert b"0.0392 0.3098 0.5412 RG" in drawn(pdf)


def test_what_follows_the_head_stands_where_it_stands_without() -> None:
    places = [re.findall(rb"([\d.]+ [\d.]+) Td \(", drawn(page(paper))) for paper in (OWN, PLAIN)]
    assert places[0] == places[1]


def test_who_chose_no_look_has_a_report_without_pictures() -> None:
    assert b"/Subtype /Image" not in outside(page(PLAIN))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_and_nothing_else_of_the_file_changes(name: str) -> None:
    assert skeleton(page(Stationery(name, OWN.accent, OWN.logo))) == skeleton(page(OWN))


def test_letters_beyond_the_fonts_are_their_nearest_and_a_question_mark_is_told_of() -> None:
    pdf = told(page(PLAIN, rows=(("Şahin d’Ancona – Łukasz", 1), ("Renée?", 2))))
    assert "Sahin d'Ancona - Lukasz" in pdf
    assert "Renée?" in pdf
    assert words.UNKNOWN_LETTERS["nl"] not in pdf
    assert {"????", words.UNKNOWN_LETTERS["nl"]} <= {*told(page(PLAIN, rows=(("שלום", 1),)))}
    assert words.UNKNOWN_LETTERS["en"] in told(page(Stationery("王"), "en"))


def test_every_page_says_what_it_is_of_and_which_of_how_many() -> None:
    pdf = told(page(OWN, rows=tuple((f"anna {n}", n) for n in range(100))))
    foot = "Gebruik, Molen & Zn, 1 november 2026 t/m 22 november 2026"
    pages = [each for each in pdf if each.startswith("Pagina")]
    assert pdf.count(foot) == 4
    assert pages == [f"Pagina {n} van " for n in range(1, 5)]


def test_the_widest_name_and_the_longest_words_stay_beside_the_logo() -> None:
    paper = Stationery("W" * NAME_CHARS_MAX, OWN.accent, OWN.logo)
    content = drawn(page(paper)).decode("latin-1")
    (head,) = re.findall(r"Td \((W+,[^)]*)\) Tj", content)
    assert head.startswith("W" * NAME_CHARS_MAX)
    assert "22 november" not in head


def test_a_figure_that_is_not_told_is_a_dash_and_a_sum_that_says_nothing_is_empty() -> None:
    assert "-" in told(page(PLAIN, rows=(("anna", None), ("ben", 2))))
    assert "-" not in told(page(PLAIN))


def test_names_have_the_room_that_figures_leave() -> None:
    long = "Wilhelmina Johanna van der Sluijs-Bakker"
    assert long in told(page(PLAIN, rows=((long, 1),)))


def test_a_small_logo_is_not_blown_up() -> None:
    small = remade(picture("png", "rgba", 32, 16)).png
    content = drawn(page(Stationery("Molen", None, small))).decode("latin-1")
    ((width, height),) = re.findall(r"q ([\d.]+) 0 0 ([\d.]+) [\d.]+ [\d.]+ cm", content)
    assert (float(width), float(height)) == (pytest.approx(24.0, abs=0.1), pytest.approx(12.0, abs=0.1))
