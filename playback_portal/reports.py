"""Reports for programs and for downloads: JSON, CSV, XLSX and PDF of one period.

Rules: who sees which numbers is `archive.access.report_reach`'s to say; every form is made from
the same report. Days are local ones and the last one counts whole. Making a file is work of
the processor: it happens beside the event loop. Not here: the page (`pages.reports`).
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from http import HTTPStatus

from aiohttp import web

from archive import comma_separated
from archive.access import Scope
from archive.audit import Json
from archive.catalogue import brandings
from archive.errors import Refused
from archive.reports import making, sheet, spreadsheet
from archive.reports.making import Asked
from archive.reports.period import Period, this_month
from archive.reports.report import By, Column, Kind, Name, Report, Value
from playback_portal import documents
from playback_portal.language import Language, language_of
from playback_portal.parameters import Parameters
from playback_portal.problems import Problem
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import SCOPE, SERVICES, is_recording_id

FORMATS = ("json", "csv", "xlsx", "pdf")
PERMISSION, EVENT = Scope.REPORTS_READ, "report.viewed"


async def get_report(request: web.Request) -> web.StreamResponse:
    """Answer with a report as JSON or as a file."""
    name = name_of(request)
    services = request.app[SERVICES]
    parameters = Parameters(request.query)
    asked = asked_of(parameters, name, services.clock.now())
    form = parameters.read("format", _form, "json")
    language = parameters.read("language", Language, language_of(request))
    parameters.check()
    report = await made(request, asked, form)
    if form == "json":
        return documents.json_response(document(report))
    return await _file(request, report, form, language)


def name_of(request: web.Request) -> Name:
    """Return which report is asked for; raises the Problem 404 for one there is not."""
    try:
        return Name(request.match_info["report"])
    except ValueError:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such report.") from None


def asked_of(parameters: Parameters, name: Name, now: datetime) -> Asked:
    """Read which days, by what and of which team; this month by person where nothing is said."""
    usual = this_month(now)
    last = parameters.read("to", _day, None)
    first = parameters.read("from", _day, None)
    period = usual
    if first is not None or last is not None:
        end = last or max(first or usual.last, usual.last)
        try:
            period = Period(first or end.replace(day=1), end)
        except Refused as error:
            parameters.fault("from", str(error))
    asked = Asked(name, period, parameters.read("by", By, None), parameters.read("team", _team, None))
    try:
        _ = asked.grouping
    except Refused as error:
        parameters.fault("by", str(error))
        return Asked(name, period, None, asked.team_id)
    return asked


async def made(request: web.Request, asked: Asked, form: str = "") -> Report:
    """Return a report for who asks, and tell the audit log which one and as what."""
    services, scope = request.app[SERVICES], request[SCOPE]
    request[SUBJECT] = f"report:{asked.name}"
    told: dict[str, Json] = {"from": asked.period.first.isoformat(), "to": asked.period.last.isoformat()}
    told |= {name: value for name, value in (("team", asked.team_id), ("format", form)) if value}
    request[DETAILS] = told
    now = services.clock.now()
    return await asyncio.to_thread(making.make, services.catalogue, scope, asked, now=now)


def document(report: Report) -> dict[str, Json]:
    """Return a report as JSON: a row is an object with a member for each column."""
    return {
        "report": report.name.value,
        "by": report.by.value,
        "from": report.period.first.isoformat(),
        "to": report.period.last.isoformat(),
        "team": report.team_id,
        "asOf": documents.time_of(report.as_of),
        "columns": [{"key": each.key, "kind": each.kind.value} for each in report.columns],
        "rows": [_row(row, report.columns) for row in report.rows],
        "totals": _row(report.totals, report.columns),
    }


def file_name(report: Report, form: str) -> str:
    """Return what a file of a report is called."""
    return f"{report.name}-{report.period.first}-{report.period.last}.{form}"


async def _file(request: web.Request, report: Report, form: str, language: Language) -> web.Response:
    if form == "csv":
        body = await asyncio.to_thread(spreadsheet.comma_separated_values, report, language)
        media_type = comma_separated.MEDIA_TYPE
    elif form == "xlsx":
        body = await asyncio.to_thread(spreadsheet.workbook, report, language)
        media_type = spreadsheet.XLSX
    else:
        services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id
        paper = await asyncio.to_thread(brandings.stationery_of, services.catalogue, tenant_id)
        body = await asyncio.to_thread(sheet.page, report, paper, language)
        media_type = sheet.MEDIA_TYPE
    headers = {"Content-Disposition": f'attachment; filename="{file_name(report, form)}"'}
    charset = "utf-8" if form == "csv" else None
    return web.Response(body=body, content_type=media_type, charset=charset, headers=headers)


def _row(row: tuple[Value, ...], columns: tuple[Column, ...]) -> dict[str, Json]:
    return {column.key: _value(value, column.kind) for value, column in zip(row, columns, strict=True)}


def _value(value: Value, kind: Kind) -> Json:
    if isinstance(value, date):
        return f"{value:%Y-%m}" if kind is Kind.MONTH else value.isoformat()
    return value


def _form(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(f"It is one of {', '.join(FORMATS)}.")
    return text


def _day(text: str) -> date | None:
    if not text:
        return None
    if len(text) != len("2026-11-22"):
        raise ValueError("It is a day such as 2026-11-22.")
    return date.fromisoformat(text)


def _team(text: str) -> str | None:
    if text and not is_recording_id(text):
        raise ValueError("It is the id of a team.")
    return text or None


REPORT_ROUTES = (Route("GET", "/v1/reports/{report}", get_report, PERMISSION, EVENT, "report"),)
