"""The minutes of a 7-year licence: what of a recording counts, and what becomes of it above them.

Minutes are whole seconds of stored audio, pauses not counted, booked to the month (of
Europe/Amsterdam) in which the recording started. A recording is above the minutes when
they were used up before it: the one that crosses the border is still within. What is
recorded twice at the same time, by two sessions of one call, counts once.

Rules: pure. Licences without minutes are booked all the same, and never above them:
who gets a 7-year licence within a month finds what was used of it. Not here: the rows
(`archive.catalogue.minutes`), and whether the next call is recorded (`archive.decision`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from archive.allowance import ALERTS_PERCENT, cap_s, month_of, percent_reached
from archive.catalogue.minutes import Booking, Usage, Verdict
from archive.model import AboveCap, Recording, RetentionClass
from retention import policy

__all__ = ["ABOVE_CAP", "ALERTS_PERCENT", "alerts", "applied", "cap_s", "judge", "month_of", "outside"]

Interval = tuple[datetime, datetime]

ABOVE_CAP = "above-cap"
"""The flag of a recording above the minutes, whatever the tenant's policy made of it."""


def judge(recording: Recording, usage: Usage) -> Verdict:
    """Return what of a recording is booked and how long it is kept, after what was used before."""
    recorded_s = recording.recorded_ms // 1000
    booked_s = outside(recorded_s, (recording.started_at, recording.ended_at), usage.others)
    cap = cap_s(recording.retention_class)
    above = cap is not None and usage.used_s >= cap
    # Where the policy is to stop, only a call that was under way gets here: it is kept like the others.
    shorter = above and usage.above_cap is AboveCap.DAYS_90
    return Verdict(
        recorded_s=recorded_s,
        booked_s=booked_s,
        above_cap=above,
        retention_class=RetentionClass.DAYS_90 if shorter else recording.retention_class,
        cap_s=cap,
        alerts=alerts(usage.used_s, usage.used_s + booked_s, cap),
    )


def applied(recording: Recording, booking: Booking) -> Recording:
    """Return the recording with the class, date and flag its booking gave it; twice is once."""
    flags = (*recording.flags, ABOVE_CAP) if booking.above_cap else recording.flags
    return replace(
        recording,
        retention_class=booking.retention_class,
        retain_until=policy.retain_until(booking.retention_class, recording.ended_at),
        flags=tuple(dict.fromkeys(flags)),
    )


def outside(recorded_s: int, interval: Interval, others: Iterable[Interval]) -> int:
    """Return the seconds of a recording that no other one of the same person and call covers.

    A pause is taken to lie outside of what is covered, so that no second is booked twice.
    """
    begin, end = interval
    covered = timedelta()
    reached = begin
    for from_, to in sorted(others):
        first, last = max(from_, reached), min(to, end)
        if last > first:
            covered += last - first
            reached = last
    return max(0, int(recorded_s - covered.total_seconds()))


def alerts(before_s: int, after_s: int, cap_s: int | None) -> tuple[int, ...]:
    """Return the percentages of the cap that were not reached before and are now."""
    before, after = percent_reached(before_s, cap_s), percent_reached(after_s, cap_s)
    return tuple(percent for percent in ALERTS_PERCENT if before < percent <= after)
