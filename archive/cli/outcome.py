"""Exit codes, error lines and printed tables, the same for every verb."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

from archive.errors import ArchiveError
from keys.errors import KeysError

DONE = 0
FAILED = 1
USAGE = 2

Cell = str | int | float | bool | None
Row = Mapping[str, Cell | Sequence[str]]


def explained(error: Exception) -> str | None:
    """Return the one line a person needs, or None for what is a defect and needs its traceback."""
    return str(error) if isinstance(error, ArchiveError | KeysError) else None


def parser(verb: str, description: str, example: str) -> argparse.ArgumentParser:
    """Return a parser whose help ends with an example."""
    return argparse.ArgumentParser(
        prog=f"earwitness {verb}", description=description, epilog=f"example: {example}"
    )


def add_json(to: argparse.ArgumentParser) -> None:
    """Add the option every verb that prints data has."""
    to.add_argument("--json", action="store_true", help="print JSON instead of a table")


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows as a JSON array, or as a table with their keys as headings."""
    if as_json:
        print(json.dumps(list(rows), ensure_ascii=False, indent=1))
    else:
        print(table(rows))


def print_row(row: Row, *, as_json: bool) -> None:
    """Print one thing as a JSON object, or as lines of name and value."""
    if as_json:
        print(json.dumps(dict(row), ensure_ascii=False))
    else:
        width = max(map(len, row))
        print("\n".join(f"{name:{width}}  {_text(value)}" for name, value in row.items()))


def table(rows: Sequence[Row]) -> str:
    """Return rows as aligned text under headings."""
    if not rows:
        return "(none)"
    names = list(rows[0])
    lines = [names, *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _text(value: Cell | Sequence[str]) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    return ", ".join(value) or "-"
