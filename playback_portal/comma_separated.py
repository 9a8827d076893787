"""Tables for spreadsheets: CSV (RFC 4180) that no program takes for formulas.

A cell that begins like a formula gets an apostrophe before it, which spreadsheets show as
text; so does one that begins with a tab or a line end, behind which they look further.

Rules: pure. UTF-8 with a byte order mark, because spreadsheets guess without one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    """Return a table with a line of heads; every cell is text, and none a formula."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + written.getvalue().encode("utf-8", "replace")


def guarded(cell: str) -> str:
    """Return a cell as text, whatever it begins with."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
