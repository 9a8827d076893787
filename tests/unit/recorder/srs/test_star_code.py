"""A star code commands, and nothing else that is pressed stays anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.srs.recording_mode import COMMANDS, Event
from recorder.srs.star_code import DIGIT_GAP_NS_MAX, STAR_CODES, StarCodes

SECOND_NS = 1_000_000_000
STARTED_NS = 1_790_000_000 * SECOND_NS


def press(codes: StarCodes, digits: str, gap_ns: int = SECOND_NS // 5) -> list[Event | None]:
    return [codes.press(digit, STARTED_NS + number * gap_ns) for number, digit in enumerate(digits)]


@pytest.mark.parametrize(
    ("code", "command"),
    [("*44", Event.START), ("*45", Event.STOP), ("*48", Event.PAUSE), ("*49", Event.RESUME)],
)
def test_the_last_digit_of_a_star_code_is_the_command(code: str, command: Event) -> None:
    assert press(StarCodes(), code) == [None, None, command]
    assert command in COMMANDS


@pytest.mark.parametrize("digits", ["*46", "*4", "48", "#48", "*84", "*4#8", "*4A", "4*8", "*5", "*488"])
def test_other_digits_command_nothing(digits: str) -> None:
    found = press(StarCodes(), digits)
    assert found[3:] == [None] * len(found[3:])
    assert digits == "*488" or found == [None] * len(found)


@pytest.mark.parametrize("digits", ["**48", "*4*48", "1234*48", "*46*48", "*#*48", "#*48"])
def test_a_star_begins_anew_after_a_slip(digits: str) -> None:
    assert press(StarCodes(), digits)[-1] is Event.PAUSE


def test_codes_may_follow_each_other_at_once() -> None:
    found = press(StarCodes(), "*44*48*49*45")
    assert [event for event in found if event] == [Event.START, Event.PAUSE, Event.RESUME, Event.STOP]


def test_four_seconds_between_digits_are_one_code_and_more_are_not() -> None:
    assert press(StarCodes(), "*48", DIGIT_GAP_NS_MAX)[-1] is Event.PAUSE
    assert press(StarCodes(), "*48", DIGIT_GAP_NS_MAX + 1)[-1] is None
    assert DIGIT_GAP_NS_MAX == 4 * SECOND_NS


def test_a_star_pressed_too_late_for_the_last_code_begins_the_next() -> None:
    codes = StarCodes()
    codes.press("*", STARTED_NS)
    later_ns = STARTED_NS + DIGIT_GAP_NS_MAX + 1
    assert [codes.press(digit, later_ns) for digit in "*48"] == [None, None, Event.PAUSE]


def test_a_digit_from_before_the_last_one_does_not_complete_a_code() -> None:
    codes = StarCodes()
    codes.press("*", STARTED_NS)
    codes.press("4", STARTED_NS)
    assert codes.press("8", STARTED_NS - 1) is None


def test_what_is_pressed_is_neither_shown_nor_kept() -> None:
    """A card number leaves no digit, not even its last three."""
    codes = StarCodes()
    press(codes, "4111111111111111#123")
    held = [getattr(codes, name) for name in StarCodes.__slots__]
    assert "" in held
    assert not any(isinstance(item, str) and item for item in held)
    codes.press("*", STARTED_NS + 60 * SECOND_NS)
    assert repr(codes) == str(codes) == "StarCodes()"


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789*#ABCD", max_size=40))
def test_a_command_comes_where_a_code_ends_and_nowhere_else(digits: str) -> None:
    expected = [
        STAR_CODES.get(digits[max(end - 3, 0) : end]) if end >= 3 else None
        for end in range(1, len(digits) + 1)
    ]
    assert press(StarCodes(), digits) == expected
