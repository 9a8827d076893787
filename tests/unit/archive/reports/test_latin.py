"""Letters a PDF has: each is itself or its nearest, and what has none is told of."""

from __future__ import annotations

import sys

import pytest

from archive.reports.latin import is_whole, latin


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Renée d'Ancona", "Renée d'Ancona"),
        ("Rene\u0301e", "Renée"),
        ("Şahin Yılmaz-Güneş", "Sahin Yilmaz-Günes"),
        ("Łukasz Wiśniewski", "Lukasz Wisniewski"),
        ("Dvořák & Đorđe", "Dvorák & Dorde"),
        ("“O’Brien” – van Dijk… €", '"O\'Brien" - van Dijk... EUR'),
        ("ﬁets", "fiets"),
        ("Molen\r\n\u202ebcc\x02", "Molen   bcc "),
        ("", ""),
    ],
)
def test_a_letter_is_itself_or_its_nearest(text: str, written: str) -> None:
    assert latin(text) == written
    assert is_whole(text)


@pytest.mark.parametrize(("text", "written"), [("שלום?", "?????"), ("王 & Zn", "? & Zn")])
def test_what_has_no_such_letter_is_a_question_mark_that_is_told_of(text: str, written: str) -> None:
    assert latin(text) == written
    assert not is_whole(text)
    assert is_whole("Wie? Ik?")


def test_whatever_letter_goes_in_what_comes_out_can_be_drawn() -> None:
    for code in range(0, sys.maxunicode + 1, 7):
        if not 0xD800 <= code < 0xE000:
            assert all(" " <= each <= "~" or each >= "\xa0" for each in latin(chr(code))), hex(code)
