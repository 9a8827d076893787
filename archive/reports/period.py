"""The days a report is about: local days of Europe/Amsterdam, the first and the last one included.

Rules: pure. A day is 23, 24 or 25 hours long; nothing here counts hours. Not here: which days
a row belongs to (`archive.catalogue.rollups`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from archive.allowance import ZONE
from archive.errors import Refused

DAYS_MAX = 366
"""A year, and its leap day; more is asked for in parts."""

FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2999, 12, 31)


class Frequency(StrEnum):
    """How often a report is mailed: of the day, the week (from Monday) or the month before."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True)
class Period:
    """From a first to a last day, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        """Raise Refused for days in the wrong order, too many of them, or from beyond the calendar."""
        if not FIRST_DAY <= self.first <= self.last <= LAST_DAY:
            raise Refused("A report begins on a day and ends on the same one or a later one.")
        if len(self) > DAYS_MAX:
            raise Refused(f"A report is about {DAYS_MAX} days at most: ask for it in parts.")

    def __len__(self) -> int:
        """Return how many days there are."""
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        """Yield the days in order."""
        return (self.first + timedelta(days=n) for n in range(len(self)))

    @property
    def began(self) -> datetime:
        """The moment the first day begins."""
        return datetime.combine(self.first, time(), ZONE)

    @property
    def ended(self) -> datetime:
        """The moment the last day is over."""
        return datetime.combine(self.last + timedelta(days=1), time(), ZONE)


def today(now: datetime) -> date:
    """Return the local day of a moment."""
    return now.astimezone(ZONE).date()


def this_month(now: datetime) -> Period:
    """Return the month of a moment, up to its day."""
    last = today(now)
    return Period(last.replace(day=1), last)


def before(period: Period, frequency: Frequency) -> Period:
    """Return the period of this frequency that went before."""
    last = period.first - timedelta(days=1)
    if frequency is Frequency.MONTHLY:
        return Period(last.replace(day=1), last)
    return Period(last - timedelta(days=6 if frequency is Frequency.WEEKLY else 0), last)


def over(frequency: Frequency, now: datetime, hour: int) -> Period:
    """Return the newest whole period that is over and whose mail is due at a local hour of the day after.

    A clock that is turned skips or repeats an hour: the mail is due once the hour is reached or passed.
    """
    local = now.astimezone(ZONE)
    last_over = local.date() - timedelta(days=1 if local.hour >= hour else 2)
    if frequency is Frequency.DAILY:
        return Period(last_over, last_over)
    following = last_over + timedelta(days=1)
    if frequency is Frequency.WEEKLY:
        monday = following - timedelta(days=following.weekday())
        return Period(monday - timedelta(days=7), monday - timedelta(days=1))
    last = following.replace(day=1) - timedelta(days=1)
    return Period(last.replace(day=1), last)
