"""How moments, durations, telephone numbers and counts are written for people.

Times are the wall clock's of the Netherlands; spans of time are minutes and seconds, never
"2h 5m". Numbers of the Netherlands are grouped as people say them: 020 012 34 18.

Rules: pure. Every function takes the language first, so that `rendering` makes filters
of them: `{{ recording.started_at | clock }}`.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from playback_portal.language import Language

ZONE = ZoneInfo("Europe/Amsterdam")
"""The clock on the wall of every tenant until they can choose another."""

_DAYS = {
    "full": "EEEE d MMMM y",
    "long": "d MMMM y",
    "short": "EEE d MMM",
    "date": "d MMM y",
}

NUMBERS_REMEMBERED_MAX = 2048
"""A list shows the same few numbers again and again; what is remembered takes half a megabyte."""

# How the digits behind the area code are said, by how many there are.
_GROUPS = {7: (3, 2, 2), 6: (2, 2, 2), 8: (4, 4)}


def clock(
    language: Language,  # noqa: ARG001 - the form of a filter
    moment: datetime,
    *,
    seconds: bool = False,
) -> str:
    """Return the time of day: 14:02, or 14:02:12."""
    return f"{moment.astimezone(ZONE):{'%H:%M:%S' if seconds else '%H:%M'}}"


def day(language: Language, moment: datetime | date, style: str = "full") -> str:
    """Return the day: `full` vrijdag 20 november 2026, `long` without the weekday, `short` vr 20 nov.

    In a table that has no room for more, `date`: 20 nov 2026.
    """
    local = moment.astimezone(ZONE) if isinstance(moment, datetime) else moment
    return format_date(local, _DAYS[style], locale=language.locale)


def iso(language: Language, moment: datetime) -> str:  # noqa: ARG001 - the form of a filter
    """Return the moment as the `datetime` attribute of <time> wants it."""
    return moment.astimezone(ZONE).isoformat(timespec="seconds")


def duration(language: Language, span_ms: int) -> str:  # noqa: ARG001 - the form of a filter
    """Return a span of time in milliseconds as 0:48, 9:40 or 1:02:03; parts of a second are cut."""
    minutes, seconds = divmod(span_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def count(language: Language, amount: float, decimals: int = 0) -> str:
    """Return a number with its thousands grouped: 12.300 in Dutch, 12,300 in English."""
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return str(format_decimal(amount, pattern, locale=language.locale))


def percent(language: Language, permille: int) -> str:
    """Return thousandths as a percentage with one decimal: 87,5 % in Dutch, 87.5% in English."""
    pattern = "0.0\N{NO-BREAK SPACE}%" if language is Language.DUTCH else "0.0%"
    return str(format_percent(permille / 1000, pattern, locale=language.locale))


def number(language: Language, text: str | None) -> str:  # noqa: ARG001 - the form of a filter
    """Return a telephone number in groups; what is none is returned as it is, nothing as ''."""
    return _in_groups(text) if text and text.startswith("+") else text or ""


@lru_cache(NUMBERS_REMEMBERED_MAX)
def _in_groups(text: str) -> str:
    try:
        parsed = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return text
    if parsed.country_code != phonenumbers.country_code_for_region("NL"):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    area, _, rest = national.partition(" ")
    digits = rest.replace(" ", "")
    groups = _GROUPS.get(len(digits))
    return national if groups is None or not digits.isdigit() else " ".join((area, *_grouped(digits, groups)))


def _grouped(digits: str, groups: tuple[int, ...]) -> list[str]:
    parts, at = [], 0
    for size in groups:
        parts.append(digits[at : at + size])
        at += size
    return parts
