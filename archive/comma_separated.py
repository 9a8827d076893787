"""Tables for spreadsheets: CSV (RFC 4180) that no program takes for formulas.

A cell that begins like a formula gets an apostrophe before it, which spreadsheets show as
text; so does one that begins with a tab or a line end, behind which they look further.

Rules: pure. UTF-8 with a byte order mark, because spreadsheets guess without one. Columns stand
apart by a comma, or by what spreadsheets of a language expect: a semicolon in Dutch.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv"
DELIMITERS = {"nl": ";", "en": ","}
"""What stands between columns where a comma stands in numbers, and where a point does."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    """Return a table with a line of heads; every cell is text, and none a formula."""
    return written(heads, ([guarded(cell) for cell in row] for row in rows), delimiter)


def written(heads: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    """Return a table of cells that are guarded already, or are numbers."""
    content = io.StringIO()
    writer = csv.writer(content, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + content.getvalue().encode("utf-8", "replace")


def guarded(cell: str) -> str:
    """Return a cell as text, whatever it begins with."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
