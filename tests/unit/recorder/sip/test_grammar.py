"""Splitting and quoting of field values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sip.grammar import format_parameters, parameter, parse_parameters, split, unquote


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ('"a, b" <sip:x,y@z>;q="1,2", <sip:c>', ['"a, b" <sip:x,y@z>;q="1,2"', "<sip:c>"]),
        ('"quote \\" and comma, here" <sip:a>, b', ['"quote \\" and comma, here" <sip:a>', "b"]),
        ('"never closed, a', ['"never closed, a']),
        ("<sip:never, closed", ["<sip:never, closed"]),
        (" , ,a,", ["a"]),
        ("", []),
        ('"ends in a backslash\\', ['"ends in a backslash\\']),
    ],
)
def test_a_comma_divides_only_outside_quotes_and_brackets(text: str, pieces: list[str]) -> None:
    assert split(text, ",") == pieces


def test_parameters_are_read_without_case_and_written_back() -> None:
    parameters = parse_parameters('; Branch = z9 ;rport; text="a;b \\"c\\""')
    assert parameters == (("branch", "z9"), ("rport", None), ("text", 'a;b "c"'))
    assert format_parameters(parameters) == ';branch=z9;rport;text="a;b \\"c\\""'
    assert parameter(parameters, "rport") == ""
    assert parameter(parameters, "lr") is None


def test_only_a_quoted_string_is_unquoted() -> None:
    assert unquote('"a\\\\b"') == "a\\b"
    assert unquote('a"b') == 'a"b'
    assert unquote('"') == '"'


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs")), max_size=40))
def test_any_value_survives_quoting(value: str) -> None:
    written = format_parameters((("name", value),))
    (read,) = parse_parameters(written)
    assert read[1] == value


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='",;<>\\ a', max_size=200))
def test_splitting_loses_nothing_but_separators_and_blanks(text: str) -> None:
    joined = ",".join(split(text, ",")).replace(" ", "")
    assert set(joined) - {","} == set(text) - {",", " "}
