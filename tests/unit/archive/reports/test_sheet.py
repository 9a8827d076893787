"""A report as PDF carries the name, logo and colour of whose it is, and nothing of them does anything."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, date, datetime

import pytest

from archive.branding import Stationery
from archive.logo import remade
from archive.reports import sheet
from archive.reports.period import Period
from archive.reports.report import By, Column, Kind, Name, Report, summed
from tests.drawn_logo import drawn_logo

PLAIN = Stationery("De Warme Bakker")
OWN = Stationery("Molen & Zn", "#0a4f8a", remade(drawn_logo()).png)
HOSTILE = (
    "Molen) Tj ET /JS (app.alert(1)) (",
    "Molen\\) /Launch <</F (x)>>",
    "<script>alert(1)</script>",
    "\u202eneloM",
    "\u05e9\u05dc\u05d5\u05dd",
    "Molen\r\n%%EOF\r\n1 0 obj",
)


def page(paper: Stationery, language: str = "nl") -> bytes:
    columns = (Column("user", Kind.TEXT), Column("recordings", Kind.COUNT))
    rows = (("anna", 12), ("ben", 2))
    period = Period(date(2026, 11, 1), date(2026, 11, 22))
    at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    made = Report(Name.USAGE, By.USER, period, None, at, columns, rows, summed(columns, rows), "recordings")
    return sheet.page(made, paper, language)


def drawn(pdf: bytes) -> bytes:
    """Return what a PDF draws on its pages: the streams that are no picture."""
    found = re.findall(rb"<<([^>]*(?:<<[^>]*>>[^>]*)*)>>\s*stream\n(.*?)\nendstream", pdf, re.DOTALL)
    return b"\n".join(zlib.decompress(stream) for words, stream in found if b"/Image" not in words)


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
