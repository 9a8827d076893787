"""How long a recording is kept: by the calendar of Europe/Amsterdam, never a moment less."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.data_key import expiry_day
from archive.model import RetentionClass
from retention.policy import QUARANTINE_DAYS, quarantine_until, retain_until

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
DAYS_90, DAYS_365 = RetentionClass.DAYS_90, RetentionClass.DAYS_365
YEARS = RetentionClass.YEARS_7_1000
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("retention_class", "ended_at", "until"),
    [
        (DAYS_90, "2026-11-22 10:00:00", "2027-02-20 10:00:00"),
        (DAYS_90, "2026-01-10 10:00:00", "2026-04-10 10:00:00"),  # over the change to summer time
        (DAYS_90, "2026-09-01 10:00:00", "2026-11-30 10:00:00"),  # over the change to winter time
        (DAYS_365, "2026-11-22 23:59:59", "2027-11-22 23:59:59"),
        (DAYS_365, "2027-03-01 00:00:00", "2028-02-29 00:00:00"),  # 365 days are not always a year
        (YEARS, "2026-11-22 10:00:00", "2033-11-22 10:00:00"),
        (RetentionClass.YEARS_7_3500, "2026-11-22 10:00:00", "2033-11-22 10:00:00"),
        (YEARS, "2028-02-29 12:00:00", "2035-02-28 12:00:00"),  # no 29 February in 2035
        (YEARS, "2028-02-28 12:00:00", "2035-02-28 12:00:00"),
        (YEARS, "2021-02-28 12:00:00", "2028-02-28 12:00:00"),
        (YEARS, "2026-07-01 00:00:00", "2033-07-01 00:00:00"),
        (YEARS, "2026-12-31 23:59:59", "2033-12-31 23:59:59"),
        (YEARS, "2027-01-01 00:00:00", "2034-01-01 00:00:00"),
        (RetentionClass.YEARS_7_3500, "2028-02-29 23:59:59", "2035-02-28 23:59:59"),
        (DAYS_90, "2027-11-30 12:00:00", "2028-02-28 12:00:00"),
        (DAYS_90, "2027-12-01 12:00:00", "2028-02-29 12:00:00"),
        (DAYS_365, "2028-02-29 12:00:00", "2029-02-28 12:00:00"),
        (DAYS_365, "2027-02-28 12:00:00", "2028-02-28 12:00:00"),
        (DAYS_90, "2026-10-02 23:30:00", "2026-12-31 23:30:00"),
        (DAYS_90, "2026-10-03 00:30:00", "2027-01-01 00:30:00"),
    ],
)
def test_a_class_counts_calendar_days_or_years(
    retention_class: RetentionClass, ended_at: str, until: str
) -> None:
    kept = retain_until(retention_class, local(ended_at))
    assert kept == local(until)
    assert kept.tzinfo is UTC


@pytest.mark.parametrize(
    ("ended_at", "until"),
    [
        ("2026-11-22 10:00:00", "2026-11-29 10:00:00"),
        ("2026-12-28 10:00:00", "2027-01-04 10:00:00"),
        ("2028-02-25 10:00:00", "2028-03-03 10:00:00"),  # over 29 February
        ("2027-02-25 10:00:00", "2027-03-04 10:00:00"),
        ("2026-03-25 10:00:00", "2026-04-01 10:00:00"),  # over the change to summer time
        ("2026-03-22 02:30:00", "2026-03-29 03:30:00"),  # to a time of day that is skipped
        ("2026-10-20 10:00:00", "2026-10-27 10:00:00"),  # over the change to winter time
    ],
)
def test_a_quarantine_lasts_seven_days_of_the_calendar(ended_at: str, until: str) -> None:
    assert quarantine_until(local(ended_at)) == local(until)
    assert QUARANTINE_DAYS == 7


def test_a_quarantine_to_an_hour_that_comes_twice_ends_after_the_second() -> None:
    assert quarantine_until(local("2026-10-18 02:30:00")) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_over_a_change_of_the_clocks_the_time_of_day_stays() -> None:
    kept = retain_until(DAYS_90, datetime(2026, 1, 10, 9, 0, tzinfo=UTC))
    assert kept == datetime(2026, 4, 10, 8, 0, tzinfo=UTC)


def test_a_time_of_day_the_clocks_skip_becomes_the_one_after() -> None:
    # 28 March 2027, 02:30 does not exist in Amsterdam.
    kept = retain_until(DAYS_90, local("2026-12-28 02:30:00"))
    assert kept.astimezone(AMSTERDAM) == local("2027-03-28 03:30:00")


def test_of_a_time_of_day_that_happens_twice_the_second_counts() -> None:
    kept = retain_until(DAYS_90, local("2026-07-27 02:30:00"))
    assert kept == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_parts_of_a_second_round_up() -> None:
    assert retain_until(DAYS_90, datetime(2026, 11, 22, 9, 0, 0, 1, tzinfo=UTC)).second == 1
    assert retain_until(DAYS_90, datetime(2026, 11, 22, 9, 0, 0, 0, tzinfo=UTC)).second == 0


def test_a_time_without_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="aware"):
        retain_until(DAYS_90, datetime(2026, 11, 22))


@given(MOMENTS, st.sampled_from(RetentionClass))
@settings(max_examples=100, deadline=None)
def test_nothing_is_kept_shorter_than_its_class_says(
    ended_at: datetime, retention_class: RetentionClass
) -> None:
    kept = retain_until(retention_class, ended_at)
    days = {DAYS_90: 90, DAYS_365: 365}.get(retention_class, 7 * 365 + 1)
    # A day with a change of the clocks has 23 or 25 hours, and a part of a second rounds up.
    slack = timedelta(hours=1, seconds=1)
    assert timedelta(days=days) - slack <= kept - ended_at <= timedelta(days=days + 1) + slack
    assert kept.microsecond == 0


@given(MOMENTS, MOMENTS, st.sampled_from(RetentionClass))
@settings(max_examples=100, deadline=None)
def test_what_ended_on_an_earlier_day_never_expires_on_a_later_one(
    one: datetime, other: datetime, retention_class: RetentionClass
) -> None:
    first, second = sorted((one, other))
    day = [expiry_day(retain_until(retention_class, ended_at)) for ended_at in (first, second)]
    assert day[0] <= day[1]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 22, 22, 59, 59, tzinfo=UTC), date(2026, 11, 22)),
        (datetime(2026, 11, 22, 23, 0, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 22, 0, 0, tzinfo=UTC), date(2026, 7, 2)),
    ],
)
def test_the_day_of_expiry_is_the_one_in_amsterdam(moment: datetime, day: date) -> None:
    assert expiry_day(moment) == day
