"""The store's clock beside ours: a lock is only as right as the clock that judges it.

A retain-until is written with our date and enforced by the store's. When the two
differ, recordings would be locked for too long or too short, and a lock can't be
taken back; so nothing is locked until somebody has set a clock right. Pure.
"""

from __future__ import annotations

from datetime import datetime

from archive.errors import StoreClockDiffers

# NTP keeps hosts within milliseconds; a minute is far outside that and far inside a day of retention.
CLOCK_DIFFERENCE_S_MAX = 60


def compare_clocks(store_now: datetime, local_now: datetime) -> None:
    """Raise `StoreClockDiffers` when the clocks are more than `CLOCK_DIFFERENCE_S_MAX` apart."""
    difference_s = abs((store_now - local_now).total_seconds())
    if difference_s > CLOCK_DIFFERENCE_S_MAX:
        raise StoreClockDiffers(
            f"The clocks of this machine and of the object store differ by {difference_s:.0f} s "
            f"(at most {CLOCK_DIFFERENCE_S_MAX} s are allowed). Nothing was locked; "
            "set both by NTP, and the waiting recordings are archived by themselves."
        )
