"""Due times: the same on every machine, whenever it was started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from retention.schedule import SCHEDULES, Schedule

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.integers(60, 1_000_000))
def test_the_due_time_is_the_last_multiple_of_the_interval(now: datetime, seconds: int) -> None:
    """Never in the future, never older than one interval."""
    due_at = Schedule("s", "t", timedelta(seconds=seconds)).due_at(now)
    assert due_at % seconds == 0
    assert 0 <= now.timestamp() - due_at < seconds


@given(MOMENTS)
def test_two_machines_that_look_within_one_interval_agree(now: datetime) -> None:
    """That makes the unique key of the run the same."""
    schedule = SCHEDULES[0]
    due_at = schedule.due_at(now)
    later = datetime.fromtimestamp(due_at, UTC) + schedule.interval - timedelta(seconds=1)
    assert schedule.due_at(later) == due_at
    assert schedule.due_at(later + timedelta(seconds=1)) == due_at + schedule.interval.total_seconds()
