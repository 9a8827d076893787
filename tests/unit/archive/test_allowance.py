"""When the minutes of a month are used up, at the pace of the month so far."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from archive.allowance import forecast_s, is_too_early, reached_on

CAP_S = 60_000
MIDDLE = datetime(2026, 11, 15, 23, 0, tzinfo=UTC)
"""In Amsterdam the 16th begins: half of November is over."""


@pytest.mark.parametrize(
    ("used_s", "now", "day"),
    [
        # Half the month for half the cap: used up as the month ends, which is not before it.
        (30_000, MIDDLE, None),
        (31_000, MIDDLE, date(2026, 11, 30)),
        (45_000, MIDDLE, date(2026, 11, 21)),
        (59_999, MIDDLE, date(2026, 11, 16)),
        (10_000, MIDDLE, None),
        (0, MIDDLE, None),
        # Used up already is no forecast.
        (60_000, MIDDLE, None),
        # The first day says nothing.
        (50_000, datetime(2026, 11, 1, 22, 59, tzinfo=UTC), None),
        (50_000, datetime(2026, 11, 1, 23, 0, tzinfo=UTC), date(2026, 11, 2)),
        # A month that the clock goes back in is an hour longer.
        (30_000, datetime(2026, 10, 16, 10, 29, tzinfo=UTC), date(2026, 10, 31)),
        (30_000, datetime(2026, 10, 16, 10, 31, tzinfo=UTC), None),
    ],
)
def test_the_day_is_told_on_which_the_minutes_end(used_s: int, now: datetime, day: date | None) -> None:
    assert reached_on(used_s, CAP_S, now) == day


def test_what_nothing_caps_is_never_used_up() -> None:
    assert reached_on(10**6, None, MIDDLE) is None


def test_a_month_begins_in_amsterdam() -> None:
    assert is_too_early(datetime(2026, 10, 31, 23, 30, tzinfo=UTC))
    assert not is_too_early(datetime(2026, 11, 1, 23, 0, tzinfo=UTC))


def test_a_forecast_is_the_pace_so_far_and_not_of_the_first_hours() -> None:
    # October has an hour more: its middle is half past noon.
    assert forecast_s(1000, datetime(2026, 10, 16, 10, 30, tzinfo=UTC)) == 2000
    assert forecast_s(1000, datetime(2026, 10, 1, 20, tzinfo=UTC)) is None
    # 46 hours of the 743 that March has.
    assert forecast_s(46_000, datetime(2026, 3, 2, 21, tzinfo=UTC)) == 743_000
    assert reached_on(1000, 5000, datetime(2026, 10, 16, 10, 30, tzinfo=UTC)) is None
    assert reached_on(5000, 5000, datetime(2026, 10, 16, 10, 30, tzinfo=UTC)) is None
