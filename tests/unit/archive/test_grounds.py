"""Why a customer records: what is tidied, and which fields are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archive.grounds import (
    BALANCING_CHARS_MAX,
    NOTICE_CHARS_MAX,
    PURPOSE_CHARS_MAX,
    PURPOSES_MAX,
    STANDARD,
    LegalBasis,
    Telling,
    faults,
    tidied,
)


def test_blanks_empty_lines_and_doubles_go_and_ends_of_lines_become_one() -> None:
    given = replace(
        STANDARD,
        purposes=("  Training ", "", "Training", "Proof"),
        notice_nl=" Regel een\r\nregel twee \r\n",
        told_by=(Telling.STAFF_RULES, Telling.ANNOUNCEMENT, Telling.STAFF_RULES),
    )
    found = tidied(given)
    assert found.purposes == ("Training", "Proof")
    assert found.notice_nl == "Regel een\nregel twee"
    assert found.told_by == (Telling.ANNOUNCEMENT, Telling.STAFF_RULES)
    assert faults(found) == ()


def test_only_a_legitimate_interest_takes_a_balancing() -> None:
    assert faults(tidied(replace(STANDARD, balancing=" "))) == ("balancing",)
    consent = tidied(replace(STANDARD, legal_basis=LegalBasis.CONSENT))
    assert (consent.balancing, faults(consent)) == ("", ())


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("purposes", tuple(map(str, range(PURPOSES_MAX))), tuple(map(str, range(PURPOSES_MAX + 1)))),
        ("purposes", ("x" * PURPOSE_CHARS_MAX,), ("x" * (PURPOSE_CHARS_MAX + 1),)),
        ("purposes", ("x",), ()),
        ("purposes", ("x",), ("\x07",)),
        ("notice_nl", "x" * NOTICE_CHARS_MAX, "x" * (NOTICE_CHARS_MAX + 1)),
        ("notice_en", "x\n\nx", ""),
        ("notice_en", "x", "x\x1b[31m"),
        ("balancing", "x" * BALANCING_CHARS_MAX, "x" * (BALANCING_CHARS_MAX + 1)),
        ("told_by", (Telling.CONTRACT,), ()),
    ],
)
def test_what_is_missing_too_long_or_can_not_be_shown_is_named(field: str, good: Any, bad: Any) -> None:
    assert faults(tidied(replace(STANDARD, **{field: good}))) == ()
    assert faults(tidied(replace(STANDARD, **{field: bad}))) == (field,)
