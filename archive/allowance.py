"""The minutes a 7-year licence allows: how many, to which month a recording belongs, when they are used up.

Months are those of the calendar in Europe/Amsterdam, whatever the zone of the machine.
Rules: pure. Not here: booking them (`archive.catalogue.minutes`), and what happens
above them (`retention.minutes`, `archive.decision`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from archive.model import RetentionClass

ZONE = ZoneInfo("Europe/Amsterdam")

FORECAST_DAYS_MIN = 1
"""A pace of some hours says nothing of a month."""

ALERTS_PERCENT = (80, 100)
"""Of the minutes of a month: whoever reaches them is told of."""

_CAPS_S = {RetentionClass.YEARS_7_1000: 1000 * 60, RetentionClass.YEARS_7_3500: 3500 * 60}


def cap_s(retention_class: RetentionClass | None) -> int | None:
    """Return the seconds a user may record in a month with this licence, None where nothing caps them."""
    return None if retention_class is None else _CAPS_S.get(retention_class)


def percent_reached(used_s: int, cap: int | None) -> int:
    """Return the highest of ALERTS_PERCENT that so many seconds reach, 0 for none or without a cap."""
    reached = (percent for percent in ALERTS_PERCENT if cap is not None and used_s * 100 >= percent * cap)
    return max(reached, default=0)


def month_of(moment: datetime) -> date:
    """Return the first day of the month a moment lies in; raises ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone lies in no month; pass an aware datetime.")
    return moment.astimezone(ZONE).date().replace(day=1)


def end_of(month: date) -> datetime:
    """Return the moment a month ends; `month` is any day of it."""
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return datetime(following.year, following.month, 1, tzinfo=ZONE)


def is_too_early(now: datetime) -> bool:
    """Return whether so little of the month is over that its pace says nothing."""
    elapsed, _ = _elapsed(now)
    return elapsed < timedelta(days=FORECAST_DAYS_MIN)


def forecast_s(used_s: int, now: datetime) -> int | None:
    """Return the seconds this month ends with at the pace so far, None too early in it."""
    if is_too_early(now):
        return None
    elapsed, whole = _elapsed(now)
    # In whole numbers: of a fraction the second that is just reached would be lost.
    return used_s * whole // elapsed


def reached_on(used_s: int, cap: int | None, now: datetime) -> date | None:
    """Return the day on which the minutes of this month are used up at the pace so far.

    None when they are not, when they are already, when nothing caps them, and too early in a month.
    """
    if cap is None or not 0 < used_s < cap or is_too_early(now):
        return None
    elapsed, whole = _elapsed(now)
    until = elapsed * cap / used_s
    return None if until >= whole else (_began(now) + until).astimezone(ZONE).date()


def _began(now: datetime) -> datetime:
    """Return when the month of `now` began, in UTC: spans of time are added to that, not to a clock's."""
    first = month_of(now)
    return datetime(first.year, first.month, 1, tzinfo=ZONE).astimezone(UTC)


def _elapsed(now: datetime) -> tuple[timedelta, timedelta]:
    """Return how much of the month is over, and how long it is."""
    began = _began(now)
    return now - began, end_of(month_of(now)).astimezone(UTC) - began
