"""A roster: people as a CSV file names them, and what became of each row.

The command line and the HTTP API read the same columns the same way. A row that is
refused does not stop the others; what fails for every row (a database that is away)
stops the file, and doing the whole file again changes nothing twice.

Not here: where the file comes from and how a person is stored (`archive.cli.people`,
`playback_portal.imports`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from archive.catalogue.directory import UserFields
from archive.errors import ArchiveError, DependencyUnavailable, Refused
from archive.model import RecordingMode, RetentionClass, Role

COLUMNS = (
    "login",
    "number",
    "broadworks-id",
    "role",
    "access",
    "site",
    "licence",
    "mode",
    "own-modes",
)
NONE = "none"
"""The word for no licence and for no mode of one's own; an empty cell changes nothing."""

ADDED, CHANGED, UNCHANGED, REFUSED = "added", "changed", "unchanged", "refused"
RESULTS = (ADDED, CHANGED, UNCHANGED, REFUSED)

SEPARATORS = (",", ";", "\t")
"""What may stand between columns: spreadsheets of a language with decimal commas write semicolons."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

_BEYOND_HEADING = "beyond the heading"

Words = Mapping[str, str | list[str]]
"""What was said of a person: by the names of columns with _ for -, several things as a list."""


@dataclass(frozen=True)
class RosterRow:
    """One row of a file: the line it ends on, its login, and its cells that are not empty."""

    line: int
    login: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class RosterResult:
    """What became of a row: `added`, `changed`, `unchanged`, or `refused` with its reason."""

    line: int
    login: str
    result: str
    reason: str = ""


def text_of(content: bytes) -> str:
    """Return the text of a file: UTF-8, or else Windows-1252, which older spreadsheets write.

    Raises Refused for what is neither.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if content.startswith(_UTF_16):
            raise Refused("It is UTF-16; save it as CSV in UTF-8.") from None
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise Refused("It is neither UTF-8 nor Windows-1252; save it as CSV in UTF-8.") from None
    if "\0" in text:
        raise Refused("It is no text; save it as CSV in UTF-8.")
    return text


def separator_of(text: str) -> str:
    """Return what stands between the columns of a heading: the one of SEPARATORS it has most of."""
    heading = text.partition("\n")[0]
    return max(SEPARATORS, key=heading.count)


def read(lines: Iterable[str], *, rows_max: int, separator: str = ",") -> Iterator[RosterRow]:
    """Yield the rows of a CSV with a heading.

    Raises Refused for columns nobody knows, for text that is not CSV, and beyond `rows_max`.
    """
    try:
        reader = csv.DictReader(lines, restkey=_BEYOND_HEADING, strict=True, delimiter=separator)
        unknown = set(reader.fieldnames or ["(no heading)"]) - set(COLUMNS)
        if unknown:
            raise Refused(f"There are columns we don't know: {', '.join(sorted(unknown))}.")
        twice = {name for name in reader.fieldnames or () if list(reader.fieldnames or ()).count(name) > 1}
        if twice:
            # Which of the two counts is nobody's to guess: one of them may take a licence away.
            raise Refused(f"There are columns twice: {', '.join(sorted(twice))}.")
        for count, row in enumerate(reader, 1):
            if count > rows_max:
                raise Refused(f"There are more than {rows_max} rows; divide the file.")
            cells = {name: cell for name, cell in row.items() if cell}
            yield RosterRow(reader.line_num, cells.pop("login", "").strip().lower(), cells)
    except csv.Error as error:
        raise Refused(f"It can't be read as CSV: {error}.") from error


def enter(rows: Iterable[RosterRow], store: Callable[[str, UserFields], str]) -> list[RosterResult]:
    """Give each row to `store(login, fields)`, which says what it did; return what became of it.

    Raises DependencyUnavailable, for the rows that follow would fail the same way.
    """
    results = []
    for row in rows:
        try:
            result = store(row.login, fields_of_row(row))
        except DependencyUnavailable:
            raise
        except ArchiveError as error:
            results.append(RosterResult(row.line, row.login, REFUSED, str(error)))
        else:
            results.append(RosterResult(row.line, row.login, result))
    return results


def fields_of_row(row: RosterRow) -> UserFields:
    """Return the fields a row sets; raises Refused for one that can't be read."""
    return fields_of(_words(row.cells))


def fields_of(words: Words) -> UserFields:
    """Return the fields of what was said; what was not said stays. Raises Refused for a wrong word."""
    fields: UserFields = {}
    lists = {name: value for name, value in words.items() if isinstance(value, list)}
    texts = {name: value for name, value in words.items() if isinstance(value, str)}
    try:
        if "number" in lists:
            fields["numbers"] = lists["number"]
        if "own_modes" in lists:
            fields["own_modes"] = modes_of(lists["own_modes"])
        if "broadworks_id" in texts:
            fields["broadworks_id"] = texts["broadworks_id"] or None
        if "site" in texts:
            fields["site"] = texts["site"] or None
        if "access" in texts:
            fields["access"] = texts["access"]
        if "role" in texts:
            fields["role"] = Role(texts["role"])
        if "mode" in texts:
            fields["mode"] = RecordingMode(texts["mode"])
        if "licence" in texts:
            fields["licence"] = licence_of(texts["licence"])
    except ValueError as error:
        raise Refused(f"{error}.") from error
    return fields


def licence_of(word: str) -> RetentionClass | None:
    """Return the licence of a word; raises ValueError."""
    return None if word == NONE else RetentionClass(word)


def modes_of(words: Iterable[str]) -> tuple[RecordingMode, ...]:
    """Return the modes of words, each once; `none` alone is no mode. Raises ValueError."""
    given = tuple(dict.fromkeys(words))
    return () if given == (NONE,) else tuple(map(RecordingMode, given))


def _words(cells: Mapping[str, str]) -> Words:
    if _BEYOND_HEADING in cells:
        raise Refused("The row has more cells than the heading.")
    words: dict[str, str | list[str]] = {name.replace("-", "_"): cell for name, cell in cells.items()}
    for name in ("number", "own_modes"):
        if name in words:
            words[name] = str(words[name]).split()
    return words
