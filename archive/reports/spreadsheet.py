"""Reports for spreadsheets: CSV by the language's custom, and XLSX with real numbers.

In Dutch columns stand apart by semicolons and numbers have a comma, in English by commas and a
point. Lengths are minutes in CSV and times of Excel in XLSX; sizes are octets.

Rules: pure; the same report gives the same CSV. Text never becomes a formula: in CSV it is
guarded, in XLSX it is written as text. Not here: PDF (`archive.reports.sheet`).
"""

from __future__ import annotations

import io
from datetime import date

from archive import comma_separated
from archive.reports import words
from archive.reports.report import Column, Kind, Report, Value

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SECONDS_OF_DAY = 86_400
_UNITS = {
    Kind.SECONDS: {"nl": "minuten", "en": "minutes"},
    Kind.BYTES: {"nl": "bytes", "en": "bytes"},
    Kind.KBITS: {"nl": "kbit/s", "en": "kbit/s"},
}
_FORMATS = {
    Kind.COUNT: "#,##0",
    Kind.SECONDS: "[h]:mm:ss",
    Kind.BYTES: "#,##0",
    Kind.KBITS: "#,##0.0",
    Kind.PERCENT: "0.0%",
    Kind.DAY: "yyyy-mm-dd",
    Kind.MONTH: "yyyy-mm",
}
_WIDTH = 18
_SHEET_NAME_CHARS_MAX = 31


def comma_separated_values(report: Report, language: str) -> bytes:
    """Return a report as CSV: a line of heads, a line for each row."""
    heads = [_head(column, language) for column in report.columns]
    rows = ([_cell(value, column, language) for value, column in _pairs(row, report)] for row in report.rows)
    return comma_separated.written(heads, rows, comma_separated.DELIMITERS[language])


def workbook(report: Report, language: str) -> bytes:
    """Return a report as XLSX: what it is, as of when, the table, and its sums."""
    from xlsxwriter import Workbook  # noqa: PLC0415 - most of what starts never writes one

    content = io.BytesIO()
    with Workbook(content, {"in_memory": True}) as book:
        book.set_properties(
            {"title": words.TITLES[report.name][language], "created": report.as_of.replace(tzinfo=None)}
        )
        strong = book.add_format({"bold": True})
        heads = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        forms = {kind: book.add_format({"num_format": form}) for kind, form in _FORMATS.items()}
        sums = {
            kind: book.add_format({"num_format": form, "bold": True, "top": 1})
            for kind, form in _FORMATS.items()
        }
        sheet = book.add_worksheet(words.TITLES[report.name][language][:_SHEET_NAME_CHARS_MAX])
        sheet.write_string(0, 0, words.TITLES[report.name][language], strong)
        sheet.write_string(1, 0, words.period_of(report.period, language))
        sheet.write_string(2, 0, words.as_of(report.as_of, language))
        if report.is_empty:
            sheet.write_string(3, 0, words.EMPTY[language])
        for place, column in enumerate(report.columns):
            sheet.write_string(4, place, words.COLUMNS[column.key][language], heads)
        lines = [(row, forms) for row in report.rows]
        if any(value is not None for value in report.totals):
            lines.append(((words.TOTAL[language], *report.totals[1:]), sums))
        for line, (row, style) in enumerate(lines, start=5):
            for place, (value, column) in enumerate(_pairs(row, report)):
                if isinstance(value, str):
                    sheet.write_string(
                        line, place, _text(value, column, language), strong if style is sums else None
                    )
                elif isinstance(value, date):
                    sheet.write_datetime(line, place, value, style[column.kind])
                elif value is not None:
                    sheet.write_number(line, place, _number(value, column.kind), style[column.kind])
        sheet.set_column(0, len(report.columns) - 1, _WIDTH)
        sheet.freeze_panes(5, 1)
    return content.getvalue()


def _pairs(row: tuple[Value, ...], report: Report) -> list[tuple[Value, Column]]:
    return list(zip(row, report.columns, strict=True))


def _head(column: Column, language: str) -> str:
    unit = _UNITS.get(column.kind)
    named = words.COLUMNS[column.key][language].partition(" (")[0]
    return named if unit is None else f"{named} ({unit[language]})"


def _cell(value: Value, column: Column, language: str) -> str:
    """Return a value as a cell of CSV: numbers as the language's spreadsheets read them, days as ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, str):
        return comma_separated.guarded(_text(value, column, language))
    if isinstance(value, date):
        return f"{value:%Y-%m}" if column.kind is Kind.MONTH else value.isoformat()
    number = f"{value / 60:.2f}" if column.kind is Kind.SECONDS else str(value)
    return number.replace(".", ",") if language == "nl" else number


def _text(value: str, column: Column, language: str) -> str:
    return words.written(value, column.kind, language)


def _number(value: float, kind: Kind) -> float:
    if kind is Kind.SECONDS:
        return value / SECONDS_OF_DAY
    return value / 100 if kind is Kind.PERCENT else value
