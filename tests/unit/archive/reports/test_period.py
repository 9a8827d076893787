"""Which days a report is about, and which whole period is over at a moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from archive.allowance import ZONE
from archive.errors import Refused
from archive.reports.period import DAYS_MAX, Frequency, Period, over, this_month

MOMENTS = some.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
    lambda each: each.replace(tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("frequency", "now", "first", "last"),
    [
        (Frequency.DAILY, "2026-11-22T07:00", "2026-11-21", "2026-11-21"),
        (Frequency.DAILY, "2026-11-22T04:59", "2026-11-20", "2026-11-20"),
        (Frequency.DAILY, "2026-03-29T05:00", "2026-03-28", "2026-03-28"),
        (Frequency.DAILY, "2026-03-29T04:59", "2026-03-28", "2026-03-28"),
        (Frequency.DAILY, "2026-03-29T03:59", "2026-03-27", "2026-03-27"),
        (Frequency.WEEKLY, "2026-11-23T07:00", "2026-11-16", "2026-11-22"),
        (Frequency.WEEKLY, "2026-11-23T04:59", "2026-11-09", "2026-11-15"),
        (Frequency.WEEKLY, "2026-11-22T07:00", "2026-11-09", "2026-11-15"),
        (Frequency.MONTHLY, "2026-12-01T07:00", "2026-11-01", "2026-11-30"),
        (Frequency.MONTHLY, "2026-12-01T04:59", "2026-10-01", "2026-10-31"),
        (Frequency.MONTHLY, "2027-01-01T06:00", "2026-12-01", "2026-12-31"),
    ],
)
def test_the_newest_period_that_is_over_is_mailed_at_its_hour(
    frequency: Frequency, now: str, first: str, last: str
) -> None:
    """At 6 in Amsterdam; before that hour it is still the one before."""
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert over(frequency, moment, 6) == Period(date.fromisoformat(first), date.fromisoformat(last))


@given(now=MOMENTS, frequency=some.sampled_from(Frequency), hour=some.integers(0, 23))
@settings(max_examples=80)
def test_as_time_goes_on_periods_follow_each_other_without_gap_or_overlap(
    now: datetime, frequency: Frequency, hour: int
) -> None:
    known = over(frequency, now, hour)
    assert known.ended <= now
    for hours in range(24 * 40):
        later = over(frequency, now + timedelta(hours=hours), hour)
        if later != known:
            assert later.first == known.last + timedelta(days=1)
            return
    pytest.fail("No period was over within 40 days.")


def test_days_are_those_of_the_wall_clock() -> None:
    short, long = Period(date(2026, 3, 29), date(2026, 3, 29)), Period(date(2026, 10, 25), date(2026, 10, 25))
    assert (short.ended.timestamp() - short.began.timestamp()) / 3600 == 23
    assert (long.ended.timestamp() - long.began.timestamp()) / 3600 == 25
    assert short.began.tzinfo is ZONE


def test_the_month_so_far_ends_today() -> None:
    assert this_month(datetime(2026, 10, 31, 23, 30, tzinfo=UTC)) == Period(
        date(2026, 11, 1), date(2026, 11, 1)
    )


def test_a_period_has_an_order_and_a_length_at_most() -> None:
    first = date(2026, 1, 1)
    assert len(Period(first, first + timedelta(days=DAYS_MAX - 1))) == DAYS_MAX
    with pytest.raises(Refused, match="366"):
        Period(first, first + timedelta(days=DAYS_MAX))
    with pytest.raises(Refused):
        Period(first, first - timedelta(days=1))
    with pytest.raises(Refused):
        Period(date.min, date.min)
