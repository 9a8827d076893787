"""Tables for spreadsheets: nothing in a cell is ever a formula."""

from __future__ import annotations

import csv
import io
import re
import time

import pytest

from archive.comma_separated import guarded, table


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "+31201234567", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1"),
        *("\ufeff=1", "\u200b=1", "\u202e=1", "\x1b=1", " \u2066 @SUM(A1)"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", " \uff1d1"),
    ],
)
def test_what_begins_like_a_formula_is_shown_as_text(cell: str) -> None:
    assert guarded(cell).startswith("'")
    assert guarded(cell).replace("'", "") == cell


@pytest.mark.parametrize(
    "cell",
    [
        "x;=1+1",
        "x,=1+1",
        "x; =1+1",
        'x;"=1+1',
        "x\n=1",
        "x\t@SUM(A1)",
        ";+1;-1",
        "=1;=2,=3",
        "x;\u200b=1",
        "x;\uff1d1",
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("divided_at", [",", ";", "\t"])
def test_no_spreadsheet_finds_a_formula_however_it_divides_the_row(
    cell: str, delimiter: str, divided_at: str
) -> None:
    """A Dutch one divides a file of commas at semicolons, an English one the other way round."""
    text = table(("head",), [["before", cell, "behind"]], delimiter).decode("utf-8-sig")
    for piece in re.split(f"[{divided_at}\r\n]", text):
        assert not piece.strip(' "\u200b').startswith(("=", "+", "-", "@", "\uff1d")), piece


@pytest.mark.parametrize(
    "cell", ["", "anna", "1", "a=b", "'=1", "a, b; c", "a - b", "x;y=1", "\u200banna", " anna", "\uff21"]
)
def test_everything_else_stays_as_it_is(cell: str) -> None:
    assert guarded(cell) == cell


def test_a_long_stretch_of_blanks_is_read_once() -> None:
    """From each of them on it would be seconds a cell: somebody's note could keep a whole export busy."""
    began = time.process_time()
    assert guarded("x" + "\n" * 100_000 + "y=").count("\n") == 100_000
    assert time.process_time() - began < 1


def test_a_table_is_read_back_with_its_quotes_line_ends_and_letters() -> None:
    rows = [["é", 'say "hi"'], ["two\nlines", "a,b"], ["half \ud800 letter", "x"]]
    made = table(("one", "two"), rows)
    assert made.startswith(b"\xef\xbb\xbf")
    found = list(csv.reader(io.StringIO(made.decode("utf-8-sig"), newline="")))
    assert found == [["one", "two"], *rows[:2], ["half ? letter", "x"]]
