"""A report as PDF, to be printed or attached: what it is, as of when, and the table.

Rules: pure but for the moment the library writes, which is the report's. Letters beyond Latin 1
are a question mark: the fonts every reader has hold no others, and none is brought along. What
draws is loaded by the first report, for it takes longer to load than most of what starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.errors import Refused
from archive.reports import words
from archive.reports.report import NUMBERS, Column, Report, Value

if TYPE_CHECKING:
    from fpdf import FPDF

MEDIA_TYPE = "application/pdf"
ROWS_MAX = 1000
"""Some thirty pages; who wants more wants a spreadsheet."""

_FONT = "Helvetica"


def page(report: Report, organisation: str, language: str) -> bytes:
    """Return a report as PDF; raises Refused above ROWS_MAX rows."""
    if len(report.rows) > ROWS_MAX:
        raise Refused(f"A PDF has at most {ROWS_MAX} rows: take the report as CSV or XLSX.")
    from fpdf import FPDF  # noqa: PLC0415 - see the rules above

    made = FPDF(orientation="landscape", format="A4")
    made.set_creation_date(report.as_of)
    made.set_lang(language)
    made.set_title(_latin(words.TITLES[report.name][language]))
    made.set_auto_page_break(auto=True, margin=15)
    made.add_page()
    made.set_font(_FONT, style="B", size=16)
    made.cell(text=_latin(words.TITLES[report.name][language]), new_x="LMARGIN", new_y="NEXT")
    made.set_font(_FONT, size=10)
    for line in (
        f"{organisation}, {words.period_of(report.period, language)}",
        words.EXPLAINED[report.name][language],
        words.as_of(report.as_of, language),
    ):
        made.cell(text=_latin(line), new_x="LMARGIN", new_y="NEXT", h=6)
    made.ln(4)
    made.set_font(_FONT, size=9)
    if report.is_empty:
        made.cell(text=words.EMPTY[language])
    else:
        _table(made, report, language)
    return bytes(made.output())


def _table(made: FPDF, report: Report, language: str) -> None:
    from fpdf.enums import TableBordersLayout, TextEmphasis  # noqa: PLC0415
    from fpdf.fonts import FontFace  # noqa: PLC0415

    aligned = tuple("RIGHT" if column.kind in NUMBERS else "LEFT" for column in report.columns)
    bold = FontFace(emphasis=TextEmphasis.B)
    with made.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        text_align=aligned,
        headings_style=bold,
        line_height=6,
    ) as table:
        table.row([_latin(words.COLUMNS[column.key][language]) for column in report.columns])
        for row in report.rows:
            table.row(_cells(row, report.columns, language))
        if any(value is not None for value in report.totals):
            table.row(
                [words.TOTAL[language], *_cells(report.totals, report.columns, language)[1:]], style=bold
            )


def _cells(row: tuple[Value, ...], columns: tuple[Column, ...], language: str) -> list[str]:
    return [
        _latin(words.written(value, column.kind, language))
        for value, column in zip(row, columns, strict=True)
    ]


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
