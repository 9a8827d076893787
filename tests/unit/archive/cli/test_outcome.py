"""How things are printed, for people and for programs."""

from __future__ import annotations

import json

import pytest

from archive.cli.outcome import explained, print_row, print_rows, table
from archive.errors import Refused
from keys.errors import KeyringLocked


def test_a_table_is_aligned_under_its_headings() -> None:
    """Numbers, nothing, yes and lists included."""
    text = table(
        [
            {"name": "a", "n": 10, "x": None},
            {"name": "longer", "n": 2, "x": True},
            {"name": "", "n": 0, "x": ["1", "2"]},
        ]
    )
    assert text.splitlines() == ["name    n   x", "a       10  -", "longer  2   yes", "        0   1, 2"]


def test_no_rows_are_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON they are an empty array."""
    print_rows([], as_json=False)
    print_rows([], as_json=True)
    assert capsys.readouterr().out == "(none)\n[]\n"


def test_json_keeps_names_and_letters(capsys: pytest.CaptureFixture[str]) -> None:
    """Dutch names come out as they are."""
    print_row({"name": "Zoë"}, as_json=True)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": "Zoë"}
    assert "Zoë" in printed
    print_row({"name": "Zoë", "id": "1"}, as_json=False)
    assert capsys.readouterr().out == "name  Zoë\nid    1\n"


def test_refusals_are_explained_and_defects_are_not() -> None:
    """A defect needs its traceback."""
    assert explained(Refused("do this")) == "do this"
    assert explained(KeyringLocked("unlock it")) == "unlock it"
    assert explained(TypeError("x")) is None
