"""Times, durations, numbers and counts as people write them, in both languages."""

from datetime import UTC, date, datetime

import pytest

from playback_portal import formats
from playback_portal.language import Language

NL, EN = Language.DUTCH, Language.ENGLISH
MOMENT = datetime(2026, 11, 20, 13, 2, 12, tzinfo=UTC)


def test_times_are_the_wall_clock_of_the_netherlands_in_winter_and_summer() -> None:
    assert formats.clock(NL, MOMENT) == formats.clock(EN, MOMENT) == "14:02"
    assert formats.clock(NL, MOMENT, seconds=True) == "14:02:12"
    assert formats.clock(NL, datetime(2026, 7, 1, 22, 30, tzinfo=UTC)) == "00:30"
    assert formats.iso(NL, MOMENT) == "2026-11-20T14:02:12+01:00"


@pytest.mark.parametrize(
    ("style", "dutch", "english"),
    [
        ("full", "vrijdag 20 november 2026", "Friday 20 November 2026"),
        ("long", "20 november 2026", "20 November 2026"),
        ("short", "vr 20 nov", "Fri 20 Nov"),
        ("date", "20 nov 2026", "20 Nov 2026"),
    ],
)
def test_days_are_written_in_words_of_the_language(style: str, dutch: str, english: str) -> None:
    assert formats.day(NL, MOMENT, style) == dutch
    assert formats.day(EN, MOMENT, style) == english
    assert formats.day(NL, date(2026, 11, 20), style) == dutch


def test_the_day_is_the_one_on_the_wall_and_not_that_of_utc() -> None:
    assert formats.day(NL, datetime(2026, 11, 20, 23, 30, tzinfo=UTC), "short") == "za 21 nov"


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (0, "0:00"),
        (999, "0:00"),
        (48_000, "0:48"),
        (580_000, "9:40"),
        (3_599_999, "59:59"),
        (3_723_000, "1:02:03"),
    ],
)
def test_durations_have_minutes_and_seconds(span_ms: int, text: str) -> None:
    assert formats.duration(NL, span_ms) == text


def test_counts_are_grouped_as_the_language_does() -> None:
    assert formats.count(NL, 12_300) == "12.300"
    assert formats.count(EN, 12_300) == "12,300"
    assert formats.count(NL, 99.93, 2) == "99,93"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("+31200123418", "020 012 34 18"),
        ("+31612345678", "06 1234 5678"),
        ("+31850001147", "085 000 11 47"),
        ("+31113123456", "0113 12 34 56"),
        ("+3225551234", "+32 2 555 12 34"),
        ("214", "214"),
        ("Anoniem", "Anoniem"),
        ("+", "+"),
        ("", ""),
        (None, ""),
    ],
)
def test_numbers_are_grouped_as_people_say_them_and_anything_else_is_left_alone(
    stored: str | None, shown: str
) -> None:
    assert formats.number(NL, stored) == shown
