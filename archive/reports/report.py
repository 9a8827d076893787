"""A report: columns, rows and sums, and as of when they are true. All forms of it are made from this.

Rules: pure. A value is text, a whole number, a share of a hundred, a day, or None where there
is nothing to tell. Units are those of `Kind`. Not here: what things are called (`archive.reports.words`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from archive.reports.period import Period

Value = str | int | float | date | None


class Name(StrEnum):
    """The reports there are, as they are named in addresses."""

    USAGE = "usage"
    MINUTES = "minutes"
    DURATION = "duration"
    STORAGE = "storage"
    PAUSES = "pauses"
    EVALUATIONS = "evaluations"
    LISTENING = "listening"
    SHARES = "shares"
    COMPLETENESS = "completeness"
    DESTRUCTION = "destruction"
    BANDWIDTH = "bandwidth"


class By(StrEnum):
    """What a row of a report is about."""

    USER = "user"
    TEAM = "team"
    DAY = "day"
    MONTH = "month"
    LENGTH = "length"
    FORM = "form"
    PEER = "peer"
    SITE = "site"


GROUPINGS: dict[Name, tuple[By, ...]] = {
    Name.USAGE: (By.USER, By.TEAM, By.DAY),
    Name.MINUTES: (By.USER,),
    Name.DURATION: (By.LENGTH,),
    Name.STORAGE: (By.DAY,),
    Name.PAUSES: (By.USER, By.TEAM, By.DAY),
    Name.EVALUATIONS: (By.USER, By.FORM),
    Name.LISTENING: (By.USER,),
    Name.SHARES: (By.USER,),
    Name.COMPLETENESS: (By.DAY,),
    Name.DESTRUCTION: (By.DAY,),
    Name.BANDWIDTH: (By.PEER, By.SITE, By.DAY),
}
"""What each report can be grouped by, the usual one first."""


class Kind(StrEnum):
    """What a value is: how it is written for people."""

    TEXT = "text"
    DAY = "day"
    MONTH = "month"
    COUNT = "count"
    SECONDS = "seconds"
    BYTES = "bytes"
    PERCENT = "percent"
    LENGTH = "length"
    LICENCE = "licence"
    PEER = "peer"
    SITE = "site"
    KBITS = "kbits"
    """Thousands of bits a second."""


NUMBERS = frozenset({Kind.COUNT, Kind.SECONDS, Kind.BYTES, Kind.PERCENT, Kind.KBITS})
_NEVER_ADDED = frozenset({Kind.PERCENT, Kind.KBITS})


@dataclass(frozen=True)
class Column:
    """One column: its name in the API, and what its values are."""

    key: str
    kind: Kind


@dataclass(frozen=True)
class Report:
    """A table of figures; a chart draws the column `measure`. `totals` has None where a sum says nothing."""

    name: Name
    by: By
    period: Period
    team_id: str | None
    as_of: datetime
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    totals: tuple[Value, ...]
    measure: str

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in the period: no row has a number above 0."""
        places = [n for n, column in enumerate(self.columns) if column.kind in NUMBERS]
        return not any(row[place] for row in self.rows for place in places)


def summed(columns: tuple[Column, ...], rows: tuple[tuple[Value, ...], ...]) -> tuple[Value, ...]:
    """Return the sums of the columns that can be added; shares of a hundred and speeds can't.

    A column with a row that has nothing to tell has no sum: of what is hidden, or unknown, it would be wrong.
    """
    sums: list[Value] = []
    for place, column in enumerate(columns):
        added = column.kind in NUMBERS - _NEVER_ADDED
        values = [row[place] for row in rows]
        whole = [each for each in values if isinstance(each, int)]
        sums.append(sum(whole) if added and len(whole) == len(values) else None)
    return tuple(sums)


def kbits(octets: int, seconds: float) -> float | None:
    """Return octets in a time as thousands of bits a second with one decimal, None of no time."""
    return None if seconds <= 0 else round(octets * 8 / seconds / 1000, 1)


def percent(part: int, whole: int) -> float | None:
    """Return a share of a hundred with one decimal, None of nothing."""
    return None if whole == 0 else round(part * 100 / whole, 1)
