"""Tables for spreadsheets: CSV (RFC 4180) that no program takes for formulas.

A cell that begins like a formula gets an apostrophe before it, which spreadsheets show as
text; so does one that begins with blanks, letters nobody sees, a tab or a line end, behind which they
look further. A spreadsheet of another language divides a row at what is no border here: what would
then begin like a formula gets one too. So do the wide signs of East Asia (U+FF1D and others), which
some take for the narrow ones.

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

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""Blanks, and what takes no room at all (Unicode: Cc and Cf)."""

_BEGINNING = re.compile(f"[\t\r\n]|[{_UNSEEN}]*[{_SIGNS}]")
_WITHIN = re.compile(f"([;,\t\r\n][;,{_UNSEEN}\"']*)([{_SIGNS}]?)")
"""A border to some spreadsheet, blanks and quotes, and the beginning of a formula behind it or none.

It matches either way, so that a stretch of blanks is read once and not from each of them on.
"""


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
    safe = _WITHIN.sub(lambda found: f"{found[1]}'{found[2]}" if found[2] else found[1], cell)
    return f"'{safe}" if _BEGINNING.match(safe) else safe
