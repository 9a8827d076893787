"""A report as PDF, to be printed or attached: what it is, as of when, and the table.

Each page says at its foot which report it is, whose, of when, and which page of how many: sheets of
paper get lost. A column is as wide as what stands in it, and long names are broken before figures are.

Rules: pure but for the moment the library writes, which is the report's. Letters are those of
`archive.reports.latin`: the fonts every reader has hold no others, and none is brought along. What
draws is loaded by the first report, for it takes longer to load than most of what starts.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archive.branding import Stationery, png_size_px
from archive.errors import Refused
from archive.reports import words
from archive.reports.latin import is_whole, latin
from archive.reports.report import NUMBERS, Column, Kind, Report, Value

if TYPE_CHECKING:
    from fpdf import FPDF

MEDIA_TYPE = "application/pdf"
ROWS_MAX = 1000
"""Some thirty pages; who wants more wants a spreadsheet."""

ABSENT = "-"
"""What stands where a figure is not told: the text above a report on evaluations speaks of it."""

_FONT = "Helvetica"
_TABLE_PT, _LINE_MM = 9, 4.2
_CELL_PADDING_MM = (0.9, 1.5)
_LOGO_HEIGHT_MM, _LOGO_WIDTH_MM_MAX = 12.0, 60.0
_MM_PER_PX = 25.4 / 96
"""A point of a small logo on paper is as large as on a page (CSS Values 4, 6.2); no larger."""

_RULE_MM, _LINE_WIDTH_MM = 0.8, 0.2
_HEAD_GAP_MM = 4.0
_LINE_GREY, _FOOT_GREY = 205, 90
_FOOT_MM, _PAGE_OF_MM = 12.0, 30.0
_PAGES = "\x02\x02"
"""Stands for how many pages there are: nothing that was typed holds it (`archive.reports.latin`)."""

_ELASTIC = frozenset({Kind.TEXT, Kind.PEER, Kind.SITE})
_ELASTIC_MM_MAX = 80.0


def page(report: Report, paper: Stationery, language: str) -> bytes:
    """Return a report as PDF, looking as whose it is; raises Refused above ROWS_MAX rows."""
    if len(report.rows) > ROWS_MAX:
        raise Refused(f"A PDF has at most {ROWS_MAX} rows: take the report as CSV or XLSX.")
    title = words.TITLES[report.name][language]
    whose = f"{paper.organisation}, {words.period_of(report.period, language)}"
    made = _paged(f"{title}, {whose}", language)
    made.set_creation_date(report.as_of)
    made.set_lang(language)
    made.set_title(latin(title))
    made.add_page()
    _head(made, paper)
    made.set_font(_FONT, style="B", size=16)
    made.cell(text=latin(title), new_x="LMARGIN", new_y="NEXT")
    made.set_font(_FONT, size=10)
    beside_logo = made.epw - _LOGO_WIDTH_MM_MAX - _HEAD_GAP_MM
    for line in (whose, words.EXPLAINED[report.name][language], words.as_of(report.as_of, language)):
        made.multi_cell(beside_logo, text=latin(line), align="L", new_x="LMARGIN", new_y="NEXT", h=5.5)
    made.ln(_HEAD_GAP_MM)
    made.set_font(_FONT, size=_TABLE_PT)
    if report.is_empty:
        made.cell(text=words.EMPTY[language])
    else:
        _table(made, report, language)
    _tell_of_letters(made, report, paper, language)
    return bytes(made.output())


def _paged(foot: str, language: str) -> FPDF:
    """Return an empty file whose pages say at their foot what they are of."""
    from fpdf import FPDF  # noqa: PLC0415 - see the rules above

    class Paged(FPDF):
        def footer(self) -> None:
            self.set_y(-_FOOT_MM)
            self.set_font(_FONT, size=8)
            self.set_text_color(_FOOT_GREY)
            self.cell(self.epw - _PAGE_OF_MM, text=latin(foot))
            number = words.PAGE_OF[language].format(page=self.page_no(), pages=_PAGES)
            self.cell(_PAGE_OF_MM, text=number, align="R")
            self.set_text_color(0)

    made = Paged(orientation="landscape", format="A4")
    made.alias_nb_pages(_PAGES)
    made.c_margin = _CELL_PADDING_MM[1]
    made.set_auto_page_break(auto=True, margin=_FOOT_MM + 4)
    return made


def _head(made: FPDF, paper: Stationery) -> None:
    """Draw the logo at the right and a line of the colour above all; nothing else moves by it."""
    left, top = made.get_x(), made.get_y()
    if paper.accent is not None:
        made.set_draw_color(*(int(paper.accent[at : at + 2], 16) for at in (1, 3, 5)))
        made.set_line_width(_RULE_MM)
        made.line(left, top - 3, left + made.epw, top - 3)
    if paper.logo is not None:
        width_px, height_px = png_size_px(paper.logo)
        share = min(_LOGO_HEIGHT_MM / height_px, _LOGO_WIDTH_MM_MAX / width_px, _MM_PER_PX)
        width, height = width_px * share, height_px * share
        right = left + made.epw
        name = latin(paper.organisation)
        made.image(io.BytesIO(paper.logo), x=right - width, y=top, w=width, h=height, alt_text=name)


def _table(made: FPDF, report: Report, language: str) -> None:
    from fpdf.enums import TableBordersLayout, TextEmphasis  # noqa: PLC0415
    from fpdf.fonts import FontFace  # noqa: PLC0415

    aligned = tuple("RIGHT" if column.kind in NUMBERS else "LEFT" for column in report.columns)
    bold = FontFace(emphasis=TextEmphasis.B)
    heads = [latin(words.COLUMNS[column.key][language]) for column in report.columns]
    rows = [_cells(row, report.columns, language) for row in report.rows]
    sums = [words.TOTAL[language], *_cells(report.totals, report.columns, language, absent="")[1:]]
    made.set_draw_color(_LINE_GREY)
    made.set_line_width(_LINE_WIDTH_MM)
    with made.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=_widths(made, report.columns, [heads, sums], rows),
        text_align=aligned,
        headings_style=bold,
        line_height=_LINE_MM,
        padding=_CELL_PADDING_MM,
    ) as table:
        table.row(heads)
        for row in rows:
            table.row(row)
        if any(value is not None for value in report.totals):
            table.row(sums, style=bold)


def _widths(
    made: FPDF, columns: Sequence[Column], strong: Sequence[list[str]], rows: Sequence[list[str]]
) -> list[float]:
    """Return how wide each column is in mm, together as wide as the page; names give way to figures."""
    places = range(len(columns))
    made.set_font(style="B")
    heads = [max(made.get_string_width(line[place]) for line in strong) for place in places]
    made.set_font(style="")
    beside = 2 * _CELL_PADDING_MM[1] + 1
    found = [max([heads[at], *(made.get_string_width(row[at]) for row in rows)]) + beside for at in places]
    elastic = [at for at in places if columns[at].kind in _ELASTIC]
    for at in elastic:
        found[at] = min(found[at], _ELASTIC_MM_MAX)
    left = made.epw - sum(found)
    if left >= 0 or not elastic:
        return [width + left / len(found) for width in found]
    asked = sum(found[at] for at in elastic)
    return [width * (1 + left / asked) if at in elastic else width for at, width in enumerate(found)]


def _cells(
    row: tuple[Value, ...], columns: tuple[Column, ...], language: str, *, absent: str = ABSENT
) -> list[str]:
    return [
        latin(words.written(value, column.kind, language)) or (absent if column.kind in NUMBERS else "")
        for value, column in zip(row, columns, strict=True)
    ]


def _tell_of_letters(made: FPDF, report: Report, paper: Stationery, language: str) -> None:
    """Say that a question mark stands for a letter, where one does."""
    written = [value for row in report.rows for value in row if isinstance(value, str)]
    if all(map(is_whole, (paper.organisation, *written))):
        return
    made.ln(_HEAD_GAP_MM)
    made.set_font(_FONT, size=8)
    made.cell(text=words.UNKNOWN_LETTERS[language], new_x="LMARGIN", new_y="NEXT", h=5)
