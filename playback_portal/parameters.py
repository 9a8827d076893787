"""Query parameters and JSON bodies as typed values; everything that is wrong is told at once.

Rules: a parameter or field nobody knows is wrong too: a filter that was silently
ignored would show recordings that were not asked for, and a setting that was would
not be set. What is wrong in a body is named by its JSON pointer (RFC 6901).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import StrEnum
from http import HTTPStatus
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from archive.audit import Json
from archive.catalogue.recordings import PAGE_ROWS_MAX, SEARCH_CHARS_MAX, decode_cursor
from archive.catalogue.sessions import TERM_CHARS_MAX
from archive.errors import Refused
from archive.model import CUSTOMER_ROLES, Role
from playback_portal.problems import ParameterFault, Problem, wrong_parameters

PAGE_ROWS = 50
DURATION_S_MAX = 7 * 24 * 3600
"""No call lasts a week; a larger number is a mistake in the unit."""

CALENDAR = ZoneInfo("Europe/Amsterdam")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_T = TypeVar("_T")
_V = TypeVar("_V")
_E = TypeVar("_E", bound=StrEnum)

BODY_BYTES_MAX = 65_536
"""The longest body of ours is a list of numbers; a file goes another way."""

NO_TEXT = "It holds half a character."
BODY_MEDIA_TYPES = ("application/json", "application/merge-patch+json")


class _Given(Generic[_V]):
    """Reads what one request gave by name, and collects what is wrong with it.

    A value that is wrong reads as its default; `check` then raises the 400 Problem.
    """

    _unknown = "There is no such parameter."

    def __init__(self, given: Mapping[str, _V], prefix: str = "") -> None:
        self._given = dict(given)
        self._prefix = prefix
        self._known: set[str] = set()
        self._faults: list[ParameterFault] = []

    def read(self, name: str, parse: Callable[[_V], _T], default: _T) -> _T:
        """Return `parse` of what was given, or `default`; what `parse` raises as ValueError is a fault."""
        self._known.add(name)
        if name not in self._given:
            return default
        try:
            return parse(self._given[name])
        except ValueError as error:
            self.fault(name, str(error))
            return default

    def fault(self, name: str, detail: str) -> None:
        """Note that something is wrong with `name`."""
        self._faults.append(ParameterFault(self._prefix + name[:50], detail))

    def check(self) -> None:
        """Raise the 400 Problem when something was wrong, or was given that nobody has read."""
        for name in self._given:
            if name not in self._known:
                self.fault(name, self._unknown)
        if self._faults:
            raise wrong_parameters(*self._faults)


class Parameters(_Given[str]):
    """The query parameters of one request; one given twice is wrong."""

    def __init__(self, query: Mapping[str, str]) -> None:
        super().__init__(query)
        # A multidict counts a name as often as it was given.
        self._counts = Counter(name for name, _ in query.items())

    def check(self) -> None:
        """Raise the 400 Problem when a parameter was wrong, given twice, or is one nobody has read."""
        for name, count in self._counts.items():
            if count > 1:
                self.fault(name, "It is given more than once.")
        super().check()


class Body(_Given[Json]):
    """The members of one JSON object that came as a body."""

    _unknown = "There is no such field."

    def __init__(self, members: Mapping[str, Json]) -> None:
        super().__init__(members, "/")

    @property
    def names(self) -> frozenset[str]:
        """The names of the members that were given; in a merge patch null is given too (RFC 7396)."""
        return frozenset(self._given)

    def need(self, name: str, parse: Callable[[Json], _T], default: _T) -> _T:
        """Return `parse` of a field that must be there."""
        if name not in self._given:
            self._known.add(name)
            self.fault(name, "It is missing.")
            return default
        return self.read(name, parse, default)


async def read_body(request: web.Request) -> Body:
    """Return the JSON object a request brought, empty when it brought none.

    Raises the Problem 400 for what is no JSON object, 413 for one that is too large and
    415 for another media type.
    """
    text = await request.read() if request.body_exists else b""
    if not text:
        return Body({})
    if len(text) > BODY_BYTES_MAX:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too-large",
            f"The body has more than {BODY_BYTES_MAX} octets.",
        )
    if request.content_type not in BODY_MEDIA_TYPES:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            f"The body is to be {' or '.join(BODY_MEDIA_TYPES)}.",
        )
    try:
        members = json.loads(text, parse_constant=_no_number)
        if not isinstance(members, dict):
            raise ValueError("It is no object.")  # noqa: TRY004, TRY301 - told below, with all that is none
        halves = [
            name
            for name, value in members.items()
            if not is_text(json.dumps([name, value], ensure_ascii=False))
        ]
    except (ValueError, RecursionError):
        # Brackets within brackets without end are no defect of ours either.
        raise wrong_parameters(ParameterFault("/", "The body is to be one JSON object.")) from None
    if halves:
        raise wrong_parameters(*(ParameterFault(f"/{name[:50]}", NO_TEXT) for name in halves))
    return Body(members)


async def refuse_no_text(request: web.Request) -> None:
    """Raise the 400 Problem for a form that is not text throughout; its fields are kept for `post`."""
    form = await read_form(request)
    if not all(is_text(each) for field in form.items() for each in field if isinstance(each, str)):
        raise wrong_parameters(ParameterFault("", NO_TEXT))


async def read_form(request: web.Request) -> Mapping[str, str | bytes | bytearray | web.FileField]:
    """Return the fields of a form; raises the 400 Problem for one that can't be read."""
    try:
        return await request.post()
    except (ValueError, LookupError, RuntimeError, HttpProcessingError):
        # Octets that are no text of the encoding it names, or none of that name; parts of a
        # transfer encoding nobody knows, or with headers that are none.
        raise wrong_parameters(ParameterFault("", "The form is to be in UTF-8.")) from None


def is_text(value: str) -> bool:
    """Return whether a text can be written down: JSON and odd encodings bring halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(word: str) -> Json:
    raise ValueError(f"{word} is no JSON.")


def text(value: Json) -> str:
    """Read a text of a body."""
    if not isinstance(value, str):
        raise ValueError("It is a text.")  # noqa: TRY004 - a fault of the value, told to who sent it
    return value


def bounded_text(chars_max: int, *, chars_min: int = 0) -> Callable[[Json], str]:
    """Return a reader of texts of a body, stripped, with a length in bounds."""

    def parse(value: Json) -> str:
        found = text(value).strip()
        if not chars_min <= len(found) <= chars_max:
            raise ValueError(f"It has {chars_min} to {chars_max} characters.")
        return found

    return parse


def json_word_of(words: type[_E]) -> Callable[[Json], _E]:
    """Return a reader of the words of an enumeration, in a body."""
    return lambda value: word_of(words)(text(value))


def json_customer_role(value: Json) -> Role:
    """Read a role that a customer gives its people."""
    role = word_of(Role)(text(value))
    if role not in CUSTOMER_ROLES:
        raise ValueError(f"It is one of {', '.join(CUSTOMER_ROLES)}.")
    return role


def json_whole_number(least: int, most: int) -> Callable[[Json], int]:
    """Return a reader of whole numbers from `least` to `most`, in a body."""

    def parse(value: Json) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"It is a whole number from {least} to {most}.")
        return value

    return parse


def json_flag(value: Json) -> bool:
    """Read true or false of a body."""
    if not isinstance(value, bool):
        raise ValueError("It is true or false.")  # noqa: TRY004 - a fault of the value, told to who sent it
    return value


def json_moment(value: Json) -> datetime:
    """Read an RFC 3339 time with its offset, in a body."""
    return moment(text(value))


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


def session_term(text: str) -> str:
    """Read an id, Call-ID or name of the exchange by which a session is looked for, '' for none."""
    return bounded_text(TERM_CHARS_MAX)(text.strip())


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
