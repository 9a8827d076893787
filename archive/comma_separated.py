"""Tables for spreadsheets: CSV (RFC 4180) that no program takes for formulas.

A cell that begins like a formula gets an apostrophe before it, which spreadsheets show as
text; so does one that begins with blanks, a tab or a line end, behind which they look further. A
spreadsheet of another language divides a row at what is no border here: what would then begin
like a formula gets one too.

Rules: pure. UTF-8 with a byte order mark, because spreadsheets guess without one. Columns stand
apart by a comma, or by what spreadsheets of a language expect: a semicolon in Dutch.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv"
DELIMITERS = {"nl": ";", "en": ","}
"""What stands between columns where a comma stands in numbers, and where a point does."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
_WITHIN = re.compile(r"([;,\t\r\n][\s\"']*)(?=[=+\-@])")
"""Behind what is a border to some spreadsheet, and blanks and quotes, the beginning of a formula."""


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
    """Return a cell as text, whatever it begins with and wherever it is divided."""
    safe = _WITHIN.sub(r"\1'", cell)
    return f"'{safe}" if safe.startswith(_FORMULAS) or safe.lstrip().startswith(_FORMULAS) else safe
