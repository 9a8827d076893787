"""The clock of a machine: one hand dates, the other measures."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from archive.clock import Clock, SystemClock


def test_the_time_of_day_is_aware_and_in_utc() -> None:
    """And is that of the machine."""
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    now = clock.now()
    assert now.tzinfo is UTC
    assert before <= now <= before + timedelta(minutes=1)


def test_measured_time_never_goes_back() -> None:
    """A thousand looks in a row."""
    clock = SystemClock()
    looks = [clock.monotonic() for _ in range(1000)]
    assert looks == sorted(looks)


def test_a_stepped_wall_clock_does_not_change_a_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths of calls are measured on the hand that nobody sets."""
    clock = SystemClock()
    begun = clock.monotonic()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock.monotonic() - begun < 60
