"""The minutes a 7-year licence allows: how many, and to which month a recording belongs.

Months are those of the calendar in Europe/Amsterdam, whatever the zone of the machine.
Rules: pure. Not here: booking them (`archive.catalogue.minutes`), and what happens
above them (`retention.minutes`, `archive.decision`).
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from archive.model import RetentionClass

ZONE = ZoneInfo("Europe/Amsterdam")

_CAPS_S = {RetentionClass.YEARS_7_1000: 1000 * 60, RetentionClass.YEARS_7_3500: 3500 * 60}


def cap_s(retention_class: RetentionClass | None) -> int | None:
    """Return the seconds a user may record in a month with this licence, None where nothing caps them."""
    return None if retention_class is None else _CAPS_S.get(retention_class)


def month_of(moment: datetime) -> date:
    """Return the first day of the month a moment lies in; raises ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone lies in no month; pass an aware datetime.")
    return moment.astimezone(ZONE).date().replace(day=1)


def end_of(month: date) -> datetime:
    """Return the moment a month ends; `month` is any day of it."""
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return datetime(following.year, following.month, 1, tzinfo=ZONE)
