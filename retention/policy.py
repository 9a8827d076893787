"""How long a recording is kept: from its class and its end to a moment.

Periods are counted on the calendar of Europe/Amsterdam (DESIGN 2.4): 90 days
later is the same time of day 90 days on, also when the clocks changed between; 7
years later is the same date, and 29 February becomes 28 February where there is
none. Never earlier than that moment: parts of a second round up, because object
stores lock to the second, and a time of day the clocks skip becomes the one after.

A call of nobody we know waits in quarantine for 7 days, counted the same way.

Rules: pure; aware times in, UTC out. Not here: holds and deletion, the day whose key
it gets (`archive.data_key`), and which class a licence gives.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from archive.model import RetentionClass

ZONE = ZoneInfo("Europe/Amsterdam")
YEARS = {RetentionClass.YEARS_7_1000: 7, RetentionClass.YEARS_7_3500: 7}
DAYS = {RetentionClass.DAYS_90: 90, RetentionClass.DAYS_365: 365}

QUARANTINE_DAYS = 7
"""DESIGN 4: what nobody assigned or destroyed by then goes by itself."""

PARTIAL = "partial"
"""The flag of a recording in quarantine that is not whole: its state says quarantined and can't say it."""


def retain_until(retention_class: RetentionClass, ended_at: datetime) -> datetime:
    """Return the moment, in UTC and whole seconds, before which a recording may not go.

    `ended_at` is aware; raises ValueError when it is not.
    """
    local = _local(ended_at)
    if retention_class in YEARS:
        return _moment(_years_later(local, YEARS[retention_class]))
    return _moment(local + timedelta(days=DAYS[retention_class]))


def quarantine_until(ended_at: datetime) -> datetime:
    """Return the moment, in UTC and whole seconds, at which a recording in quarantine goes.

    `ended_at` is aware; raises ValueError when it is not.
    """
    return _moment(_local(ended_at) + timedelta(days=QUARANTINE_DAYS))


def _moment(local: datetime) -> datetime:
    """Return the moment of a time of day in Amsterdam, the later one where there are two or none."""
    if local.microsecond:
        local = local.replace(microsecond=0) + timedelta(seconds=1)
    # Of a time of day that happens twice the second one counts, and one that never
    # happens is read with the offset before the change: both are the later moment.
    moments = (local.replace(tzinfo=ZONE, fold=fold).astimezone(UTC) for fold in (0, 1))
    return max(moments)


def _local(moment: datetime) -> datetime:
    """Return date and time of day in Amsterdam, without a zone: calendar arithmetic needs none."""
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone can't be dated; pass an aware datetime.")
    return moment.astimezone(ZONE).replace(tzinfo=None)


def _years_later(local: datetime, years: int) -> datetime:
    try:
        return local.replace(year=local.year + years)
    except ValueError:
        return local.replace(year=local.year + years, day=28)
