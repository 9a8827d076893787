"""However one asks, no more leaves than the burst and what the time allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.pace import Pace, turn

BEGUN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PACE = Pace(octets_per_s=100, burst_octets=1000)


def test_what_the_burst_holds_leaves_at_once_and_the_rest_waits() -> None:
    first = turn(PACE, None, 1000, BEGUN)
    assert first.wait_s(BEGUN) == 0
    second = turn(PACE, first.free_at, 500, BEGUN)
    assert second.wait_s(BEGUN) == pytest.approx(5)
    later = BEGUN + timedelta(seconds=60)
    assert turn(PACE, second.free_at, 1000, later).wait_s(later) == 0


@pytest.mark.parametrize("octets", [-1, 1001])
def test_more_than_the_burst_never_leaves_at_once(octets: int) -> None:
    with pytest.raises(ValueError, match="At once leave 0 to 1000 octets"):
        turn(PACE, None, octets, BEGUN)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 30), st.integers(0, 1000)), max_size=60))
def test_no_sequence_of_requests_gets_more(asked: list[tuple[float, int]]) -> None:
    """Those who wait at the same time, and a clock that is set back, get no more either."""
    now, free_at, sent = BEGUN, None, []
    for after_s, octets in asked:
        now += timedelta(seconds=after_s)
        got = turn(PACE, free_at, octets, now)
        free_at = got.free_at
        sent.append((got.at, octets))
    if not sent:
        return
    begun = min(at for at, _ in sent)
    for moment, _ in sent:
        left = sum(octets for at, octets in sent if at <= moment)
        assert left <= 1000 + 100 * (moment - begun).total_seconds() + 0.01
