"""What of a recording counts, to which month, and what becomes of it above the minutes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.catalogue.minutes import Booking, Usage, Verdict
from archive.model import AboveCap, ArchivedRecording, Recording, RetentionClass, UserId
from retention.minutes import ABOVE_CAP, alerts, applied, cap_s, judge, month_of, outside
from retention.policy import retain_until

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAYS_90, DAYS_365 = RetentionClass.DAYS_90, RetentionClass.DAYS_365
YEARS_1000, YEARS_3500 = RetentionClass.YEARS_7_1000, RetentionClass.YEARS_7_3500
CAP_S = 60_000


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM, fold=fold)


def at(first_s: float, last_s: float) -> tuple[datetime, datetime]:
    return NOW + timedelta(seconds=first_s), NOW + timedelta(seconds=last_s)


def usage(
    used_s: int = 0, others: tuple[tuple[datetime, datetime], ...] = (), above_cap: AboveCap = AboveCap.KEEP
) -> Usage:
    return Usage(used_s, others, above_cap)


@pytest.fixture
def recording(make_recording: Callable[..., ArchivedRecording]) -> Callable[..., Recording]:
    """Return a maker of recordings of `recorded_s` seconds without a pause."""

    def make(
        recorded_s: float = 60, retention_class: RetentionClass = YEARS_1000, **more: object
    ) -> Recording:
        begin, end = at(0, recorded_s)
        times = {"started_at": begin, "ended_at": end, "recorded_ms": int(recorded_s * 1000)}
        return make_recording(
            "t", owner="u", retention_class=retention_class, flags=(), **{**times, **more}
        ).recording

    return make


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (utc("2026-11-30 22:59:59.999"), date(2026, 11, 1)),  # winter time: one hour ahead of UTC
        (utc("2026-11-30 23:00:00"), date(2026, 12, 1)),
        (utc("2026-12-31 22:59:59"), date(2026, 12, 1)),
        (utc("2026-12-31 23:00:00"), date(2027, 1, 1)),
        (utc("2026-06-30 21:59:59"), date(2026, 6, 1)),  # summer time: two hours
        (utc("2026-06-30 22:00:00"), date(2026, 7, 1)),
        (utc("2026-03-29 00:59:59"), date(2026, 3, 1)),  # the hour that is skipped
        (utc("2026-03-29 01:00:00"), date(2026, 3, 1)),
        (utc("2026-03-31 21:59:59"), date(2026, 3, 1)),  # the month of the change ends in summer time
        (utc("2026-03-31 22:00:00"), date(2026, 4, 1)),
        (local("2026-10-25 02:30:00", fold=0), date(2026, 10, 1)),  # the hour that comes twice
        (local("2026-10-25 02:30:00", fold=1), date(2026, 10, 1)),
        (utc("2026-10-31 22:59:59"), date(2026, 10, 1)),  # and the other one in winter time
        (utc("2026-10-31 23:00:00"), date(2026, 11, 1)),
        (utc("2028-02-28 23:00:00"), date(2028, 2, 1)),  # 29 February begins
        (utc("2028-02-29 22:59:59"), date(2028, 2, 1)),
        (utc("2028-02-29 23:00:00"), date(2028, 3, 1)),
        (utc("2027-02-28 22:59:59"), date(2027, 2, 1)),  # no 29 February
        (utc("2027-02-28 23:00:00"), date(2027, 3, 1)),
    ],
)
def test_a_recording_belongs_to_the_month_in_amsterdam_in_which_it_started(
    moment: datetime, month: date
) -> None:
    assert month_of(moment) == month


def test_a_moment_without_a_zone_lies_in_no_month() -> None:
    with pytest.raises(ValueError, match="aware"):
        month_of(datetime(2026, 11, 22))


@pytest.mark.parametrize(
    ("retention_class", "minutes"),
    [(YEARS_1000, 1000), (YEARS_3500, 3500), (DAYS_90, None), (DAYS_365, None)],
)
def test_only_7_year_licences_have_a_number_of_minutes(
    retention_class: RetentionClass, minutes: int | None
) -> None:
    assert cap_s(retention_class) == (None if minutes is None else minutes * 60)


@pytest.mark.parametrize(
    ("retention_class", "used_s", "above"),
    [
        (YEARS_1000, 999 * 60, False),  # minute 1000 is within
        (YEARS_1000, 1000 * 60 - 1, False),
        (YEARS_1000, 1000 * 60, True),  # minute 1001 is not
        (YEARS_1000, 1001 * 60, True),
        (YEARS_3500, 1000 * 60, False),
        (YEARS_3500, 3500 * 60 - 1, False),
        (YEARS_3500, 3500 * 60, True),
        (DAYS_90, 10**6, False),
        (DAYS_365, 10**6, False),
    ],
)
def test_a_recording_is_above_when_the_minutes_were_used_up_before_it(
    recording: Callable[..., Recording], retention_class: RetentionClass, used_s: int, above: bool
) -> None:
    verdict = judge(recording(60, retention_class), usage(used_s))
    assert (verdict.above_cap, verdict.booked_s) == (above, 60)
    assert verdict.retention_class is retention_class


@pytest.mark.parametrize(
    ("above_cap", "used_s", "retention_class"),
    [
        (AboveCap.KEEP, CAP_S, YEARS_1000),
        (AboveCap.STOP, CAP_S, YEARS_1000),  # it was under way when the minutes ran out
        (AboveCap.DAYS_90, CAP_S, DAYS_90),
        (AboveCap.DAYS_90, CAP_S - 1, YEARS_1000),
    ],
)
def test_the_policy_of_the_tenant_says_how_long_it_is_kept_above_them(
    recording: Callable[..., Recording], above_cap: AboveCap, used_s: int, retention_class: RetentionClass
) -> None:
    assert judge(recording(), usage(used_s, above_cap=above_cap)).retention_class is retention_class


def test_whole_seconds_of_stored_audio_count_and_pauses_do_not(recording: Callable[..., Recording]) -> None:
    """Of 100 s with a pause of 39.1 s, 60.9 s are stored."""
    made = recording(100, recorded_ms=60_900)
    assert judge(made, usage()) == Verdict(60, 60, above_cap=False, retention_class=YEARS_1000, cap_s=CAP_S)


@pytest.mark.parametrize(
    ("others", "counted_s"),
    [
        ((), 100),
        ((at(0, 100),), 0),  # the other session of the same call
        ((at(-5, 105),), 0),
        ((at(0, 40),), 60),  # it was recorded there for a while
        ((at(30, 40), at(60, 90)), 60),
        ((at(30, 60), at(40, 70)), 60),  # what both cover is covered once
        ((at(10, 90), at(20, 30)), 20),
        ((at(-50, 0), at(100, 200)), 100),  # a chain of transfers is counted part by part
        ((at(0.5, 40),), 60),  # parts of a second are given away
    ],
)
def test_what_another_recording_of_the_same_call_covers_is_not_booked_twice(
    others: tuple[tuple[datetime, datetime], ...], counted_s: int
) -> None:
    assert outside(100, at(0, 100), others) == counted_s


def test_a_pause_is_never_billed_in_the_place_of_what_is_covered() -> None:
    """60 of 100 s are stored, and 50 s are covered: 10 s are left."""
    assert outside(60, at(0, 100), [at(0, 50)]) == 10
    assert outside(40, at(0, 100), [at(0, 50)]) == 0


SECONDS = st.integers(0, 300)


@given(st.lists(st.tuples(SECONDS, SECONDS).map(sorted), max_size=5), SECONDS)
@settings(max_examples=100, deadline=None)
def test_what_is_booked_is_what_a_clock_with_a_second_hand_would_count(
    others: list[list[int]], length_s: int
) -> None:
    """Counted second by second: those that no other one covers."""
    counted = sum(not any(first <= second < last for first, last in others) for second in range(length_s))
    assert outside(length_s, at(0, length_s), [at(*each) for each in others]) == counted


@pytest.mark.parametrize(
    ("before_s", "after_s", "reached"),
    [
        (0, 47_999, ()),
        (0, 48_000, (80,)),
        (47_999, 48_000, (80,)),
        (48_000, 48_001, ()),  # told once
        (47_999, 60_000, (80, 100)),  # one long call may reach both
        (48_000, 59_999, ()),
        (59_999, 60_000, (100,)),
        (60_000, 70_000, ()),
        (48_000, 48_000, ()),
    ],
)
def test_80_and_100_percent_are_told_once_each(before_s: int, after_s: int, reached: tuple[int, ...]) -> None:
    assert alerts(before_s, after_s, CAP_S) == reached


def test_without_minutes_there_is_nothing_to_tell(recording: Callable[..., Recording]) -> None:
    assert alerts(0, 10**9, None) == ()
    assert judge(recording(600, DAYS_90), usage(10**6)).alerts == ()


@given(st.lists(st.integers(0, 30_000), max_size=12))
@settings(max_examples=50, deadline=None)
def test_however_a_month_is_cut_into_calls_each_alert_comes_once_and_at_its_seconds(calls: list[int]) -> None:
    used_s, told = 0, []
    for booked_s in calls:
        told += alerts(used_s, used_s + booked_s, CAP_S)
        used_s += booked_s
    assert told == [percent for percent in (80, 100) if used_s >= percent * CAP_S // 100]


def booked(recording: Recording, retention_class: RetentionClass, *, above_cap: bool) -> Booking:
    return Booking(
        recording.id,
        recording.tenant_id,
        UserId("u"),
        month_of(recording.started_at),
        recording.call_group,
        recording.started_at,
        recording.ended_at,
        60,
        60,
        above_cap,
        retention_class,
    )


def test_a_booking_within_the_minutes_changes_nothing(recording: Callable[..., Recording]) -> None:
    made = recording(60, retain_until=retain_until(YEARS_1000, at(0, 60)[1]))
    assert applied(made, booked(made, YEARS_1000, above_cap=False)) == made


def test_above_the_minutes_the_recording_says_so_and_has_the_date_of_its_class(
    recording: Callable[..., Recording],
) -> None:
    made = recording(60)
    booking = booked(made, DAYS_90, above_cap=True)
    shorter = applied(made, booking)
    assert (shorter.retention_class, shorter.flags) == (DAYS_90, (ABOVE_CAP,))
    assert shorter.retain_until == retain_until(DAYS_90, made.ended_at)
    assert applied(shorter, booking) == shorter
