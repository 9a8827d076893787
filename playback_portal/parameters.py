"""Query parameters as typed values; everything that is wrong is told at once.

Rules: pure. A parameter nobody knows is wrong too: a filter that was silently
ignored would show recordings that were not asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from archive.catalogue.recordings import PAGE_ROWS_MAX, SEARCH_CHARS_MAX, decode_cursor
from archive.errors import Refused
from playback_portal.problems import ParameterFault, wrong_parameters

PAGE_ROWS = 50
DURATION_S_MAX = 7 * 24 * 3600
"""No call lasts a week; a larger number is a mistake in the unit."""

CALENDAR = ZoneInfo("Europe/Amsterdam")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


class Parameters:
    """Reads the parameters of one request and collects what is wrong with them.

    A value that is wrong reads as its default; `check` then raises the 400 Problem.
    """

    def __init__(self, query: Mapping[str, str]) -> None:
        self._given = dict(query)
        # A multidict counts a name as often as it was given.
        self._counts = Counter(name for name, _ in query.items())
        self._known: set[str] = set()
        self._faults: list[ParameterFault] = []

    def read(self, name: str, parse: Callable[[str], _T], default: _T) -> _T:
        """Return `parse` of the parameter, or `default`; what `parse` raises as ValueError is a fault."""
        self._known.add(name)
        if name not in self._given:
            return default
        try:
            return parse(self._given[name])
        except ValueError as error:
            self._faults.append(ParameterFault(name, str(error)))
            return default

    def check(self) -> None:
        """Raise the 400 Problem when a parameter was wrong, given twice, or is one nobody has read."""
        unknown = [
            ParameterFault(name[:50], "There is no such parameter.")
            for name in self._given
            if name not in self._known
        ]
        repeated = [
            ParameterFault(name[:50], "It is given more than once.")
            for name, count in self._counts.items()
            if count > 1
        ]
        if self._faults or unknown or repeated:
            raise wrong_parameters(*self._faults, *unknown, *repeated)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"It is a whole number from {least} to {most}.")
        return int(text)

    return parse


def word_of(words: type[_E]) -> Callable[[str], _E]:
    """Return a reader of the words of an enumeration."""

    def parse(text: str) -> _E:
        try:
            return words(text)
        except ValueError:
            raise ValueError(f"It is one of {', '.join(words)}.") from None

    return parse


def flag(text: str) -> bool:
    """Read `1` or `0`."""
    if text not in {"0", "1"}:
        raise ValueError("It is 1 or 0.")
    return text == "1"


def moment(text: str) -> datetime:
    """Read an RFC 3339 time with its offset, or a date, which means its midnight in Europe/Amsterdam."""
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), CALENDAR)
        # A plus sign that was not escaped arrives as a space.
        value = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise ValueError("It is a date, or a time with its offset such as 2026-11-22T09:00:00+01:00.")
    return value


def search_text(text: str) -> str:
    """Read a text to search for."""
    if len(text) > SEARCH_CHARS_MAX:
        raise ValueError(f"It has at most {SEARCH_CHARS_MAX} characters.")
    return text


def cursor(text: str) -> str:
    """Read a cursor of ours."""
    try:
        decode_cursor(text)
    except Refused as error:
        raise ValueError(str(error)) from None
    return text


def limit(parameters: Parameters) -> int:
    """Return the size of a page."""
    return parameters.read("limit", whole_number(1, PAGE_ROWS_MAX), PAGE_ROWS)
