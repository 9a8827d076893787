"""A report as PDF, to be printed or attached: what it is, as of when, and the table.

Rules: pure but for the moment the library writes, which is the report's. Letters beyond Latin 1
are a question mark: the fonts every reader has hold no others, and none is brought along. What
draws is loaded by the first report, for it takes longer to load than most of what starts.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from archive.branding import Stationery, png_size_px
from archive.errors import Refused
from archive.reports import words
from archive.reports.report import NUMBERS, Column, Report, Value

if TYPE_CHECKING:
    from fpdf import FPDF

MEDIA_TYPE = "application/pdf"
ROWS_MAX = 1000
"""Some thirty pages; who wants more wants a spreadsheet."""

_FONT = "Helvetica"
_LOGO_HEIGHT_MM, _LOGO_WIDTH_MM_MAX = 12.0, 60.0
_RULE_MM = 0.8


def page(report: Report, paper: Stationery, language: str) -> bytes:
    """Return a report as PDF, looking as whose it is; raises Refused above ROWS_MAX rows."""
    if len(report.rows) > ROWS_MAX:
        raise Refused(f"A PDF has at most {ROWS_MAX} rows: take the report as CSV or XLSX.")
    from fpdf import FPDF  # noqa: PLC0415 - see the rules above

    made = FPDF(orientation="landscape", format="A4")
    made.set_creation_date(report.as_of)
    made.set_lang(language)
    made.set_title(_latin(words.TITLES[report.name][language]))
    made.set_auto_page_break(auto=True, margin=15)
    made.add_page()
    if paper.is_own:
        _head(made, paper)
    made.set_font(_FONT, style="B", size=16)
    made.cell(text=_latin(words.TITLES[report.name][language]), new_x="LMARGIN", new_y="NEXT")
    made.set_font(_FONT, size=10)
    for line in (
        f"{paper.organisation}, {words.period_of(report.period, language)}",
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


def _head(made: FPDF, paper: Stationery) -> None:
    """Draw the logo at the right and a line of the colour above all; nothing else moves by it."""
    left, top = made.get_x(), made.get_y()
    if paper.accent is not None:
        made.set_draw_color(*(int(paper.accent[at : at + 2], 16) for at in (1, 3, 5)))
        made.set_line_width(_RULE_MM)
        made.line(left, top - 3, left + made.epw, top - 3)
        made.set_draw_color(0)
        made.set_line_width(0.2)
    if paper.logo is not None:
        width_px, height_px = png_size_px(paper.logo)
        width = min(_LOGO_HEIGHT_MM * width_px / height_px, _LOGO_WIDTH_MM_MAX)
        height = width * height_px / width_px
        right = left + made.epw
        name = _latin(paper.organisation)
        made.image(io.BytesIO(paper.logo), x=right - width, y=top, w=width, h=height, alt_text=name)


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
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line.encode("latin-1", "replace").decode("latin-1")
