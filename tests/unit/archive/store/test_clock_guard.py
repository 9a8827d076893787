"""Nothing is locked when the clocks are more than a minute apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archive.errors import StoreClockDiffers
from archive.store.clock_guard import CLOCK_DIFFERENCE_S_MAX, compare_clocks

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_minute_is_allowed_and_more_is_not(sign: int) -> None:
    limit = timedelta(seconds=CLOCK_DIFFERENCE_S_MAX)
    compare_clocks(NOW + sign * limit, NOW)
    with pytest.raises(StoreClockDiffers, match="NTP"):
        compare_clocks(NOW + sign * (limit + timedelta(milliseconds=1)), NOW)
