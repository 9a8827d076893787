"""The earliest of three clocks counts, and none that differs is believed (promise R3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.due_time import (
    DRIFT_PPM_MAX,
    PAUSE_HOURS_MAX,
    Checkpoint,
    ClockDisbelieved,
    Judgement,
    Readings,
    judge,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECONDS = st.floats(-1000, 1000)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def restarted(hours: float, *, proved: bool = False) -> Readings:
    """Return what a machine reads that was last known right so many hours ago, before a restart."""
    return Readings(NOW, NOW, None, Checkpoint(at(-3600 * hours), 0.0, exact=False), proved)


@given(SECONDS, SECONDS, SECONDS)
def test_r3_the_earliest_counts_where_they_agree_within_a_minute_and_else_none(
    store: float, third: float, entry: float
) -> None:
    readings = Readings(NOW, at(store), at(entry), Checkpoint(at(third - 500), 500.0, exact=True))
    if max(abs(store), abs(third)) > 60 or entry > 60:
        with pytest.raises(ClockDisbelieved, match="Nothing is deleted or locked"):
            judge(readings)
    else:
        assert judge(readings).until == min(NOW, at(store), at(third))


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_minute_is_the_border(seconds: int) -> None:
    further = seconds + (1 if seconds > 0 else -1)
    assert judge(Readings(NOW, at(seconds), None, None)).until == min(NOW, at(seconds))
    with pytest.raises(ClockDisbelieved, match="object store differ"):
        judge(Readings(NOW, at(further), None, None))


def test_after_a_restart_only_the_time_that_was_measured_counts() -> None:
    """How long the machine was off, nobody measured; what is remembered is no more than a bound."""
    assert judge(restarted(1)) == Judgement(at(-3600), at(-3600), exact=False)
    assert judge(Readings(NOW, NOW, None, Checkpoint(at(-3600), 900.0, exact=False))).until == at(-2700)


def test_a_bound_that_this_clock_has_come_to_is_exact() -> None:
    assert judge(restarted(1 / 60)) == Judgement(at(-60), NOW, exact=True)


@pytest.mark.parametrize("hours", [PAUSE_HOURS_MAX, -1 / 60])
def test_a_restart_explains_no_longer_pause_than_three_days_and_none_backwards(hours: float) -> None:
    judge(restarted(hours))
    more = 1 / 3600 if hours > 0 else -1 / 3600
    with pytest.raises(ClockDisbelieved):
        judge(restarted(hours + more))


def test_a_clock_that_ntp_keeps_is_exact_again_after_a_pause_of_three_days_at_most() -> None:
    assert judge(restarted(PAUSE_HOURS_MAX, proved=True)) == Judgement(NOW, NOW, exact=True)
    with pytest.raises(ClockDisbelieved, match="was off for"):
        judge(restarted(PAUSE_HOURS_MAX + 1, proved=True))


@pytest.mark.parametrize("exact", [True, False])
def test_a_clock_that_ntp_keeps_may_be_earlier_than_what_was_taken_for_right(exact: bool) -> None:
    """That deletes nothing early, and an archive that began with a wrong clock heals itself."""
    checkpoint = Checkpoint(at(8 * 365 * 86400), 0.0, exact)
    assert judge(Readings(NOW, NOW, at(7200), checkpoint, proved=True)).until == NOW
    with pytest.raises(ClockDisbelieved):
        judge(Readings(NOW, NOW, None, checkpoint))


@pytest.mark.parametrize("proved", [True, False])
def test_r3_eight_years_are_explained_by_nothing(proved: bool) -> None:
    later = NOW + timedelta(days=8 * 365)
    for checkpoint in (Checkpoint(NOW, 900.0, exact=True), Checkpoint(NOW, 0.0, exact=False)):
        with pytest.raises(ClockDisbelieved):
            judge(Readings(later, later, NOW, checkpoint, proved))


def test_what_to_do_stands_in_the_message() -> None:
    with pytest.raises(ClockDisbelieved, match="earwitness retention trust-clock"):
        judge(Readings(NOW, NOW, at(100), None))


@given(st.floats(-60, 60), st.floats(0, 86_400))
def test_r3_a_clock_within_the_minute_moves_what_is_remembered_by_its_drift_alone(
    off: float, elapsed: float
) -> None:
    readings = Readings(at(off), at(off), None, Checkpoint(at(-elapsed), elapsed, exact=True))
    moved = abs((judge(readings).at - readings.checkpoint.now).total_seconds())  # type: ignore[union-attr]
    assert moved <= elapsed * DRIFT_PPM_MAX / 1e6 + 1e-5
    assert judge(replace(readings, proved=True)).at == readings.local


def test_r3_no_number_of_looks_walks_the_third_clock() -> None:
    """1,465 looks, with the clock set 59 s ahead between any two of them, within 25 minutes."""
    checkpoint, local = Checkpoint(NOW, 0.0, exact=True), NOW
    for look in range(1465):
        local = checkpoint.now + timedelta(seconds=59)
        found = judge(Readings(local, local, None, checkpoint))
        checkpoint = Checkpoint(found.at, 1.0, exact=found.exact)
        assert found.until - at(look) < timedelta(seconds=1)
