"""The earliest of three clocks counts, and none that differs is believed (promise R3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.due_time import PAUSE_HOURS_MAX, Checkpoint, ClockDisbelieved, Readings, due_time

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECONDS = st.floats(-1000, 1000)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@given(SECONDS, SECONDS, SECONDS)
def test_r3_the_earliest_counts_where_they_agree_within_a_minute_and_else_none(
    store: float, third: float, entry: float
) -> None:
    readings = Readings(NOW, at(store), at(entry), Checkpoint(at(third - 500), 500.0))
    if max(abs(store), abs(third)) > 60 or entry > 60:
        with pytest.raises(ClockDisbelieved, match="Nothing is deleted or locked"):
            due_time(readings)
    else:
        assert due_time(readings) == min(NOW, at(store), at(third))


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_minute_is_the_border(seconds: int) -> None:
    further = seconds + (1 if seconds > 0 else -1)
    assert due_time(Readings(NOW, at(seconds), None, None)) == min(NOW, at(seconds))
    with pytest.raises(ClockDisbelieved, match="object store differ"):
        due_time(Readings(NOW, at(further), None, None))


def test_after_a_restart_the_last_good_time_counts_until_the_next_look() -> None:
    """How long the machine was off, nobody measured."""
    assert due_time(Readings(NOW, NOW, None, Checkpoint(at(-3600), None))) == at(-3600)


@pytest.mark.parametrize("hours", [PAUSE_HOURS_MAX, -1 / 60])
def test_a_restart_explains_no_longer_pause_than_three_days_and_none_backwards(hours: float) -> None:
    def readings(more_s: float) -> Readings:
        return Readings(NOW, NOW, None, Checkpoint(NOW - timedelta(hours=hours, seconds=more_s), None))

    due_time(readings(0))
    with pytest.raises(ClockDisbelieved):
        due_time(readings(1 if hours > 0 else -1))


def test_r3_eight_years_are_explained_by_nothing() -> None:
    later = NOW + timedelta(days=8 * 365)
    for checkpoint in (Checkpoint(NOW, 900.0), Checkpoint(NOW, None)):
        with pytest.raises(ClockDisbelieved):
            due_time(Readings(later, later, NOW, checkpoint))


def test_what_to_do_stands_in_the_message() -> None:
    with pytest.raises(ClockDisbelieved, match="earwitness retention trust-clock"):
        due_time(Readings(NOW, NOW, at(100), None))
