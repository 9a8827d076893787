"""A file of people: looked at row by row before anything is written; then what became of each row.

Rules: for administrators, who signed in a short while ago. The browser carries the file from the
preview to the import; from there a worker writes its rows (`retention.imports`), and the page of the
import shows how far it is and what became of each row, for as long as that is kept. A file that was
imported can be imported again and changes nothing twice. Not here: what a row may do (`archive.roll`),
and the columns (`archive.roster`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from aiohttp import web

from archive import comma_separated, jobs, roster
from archive.audit import Json
from archive.catalogue import roster_imports
from archive.catalogue.roster_imports import Import
from archive.errors import DependencyUnavailable, Refused
from archive.roster import RosterResult, RosterRow
from playback_portal import roster_words
from playback_portal.admission import again
from playback_portal.imports import ROWS_MAX, counts_of, roll_of
from playback_portal.language import language_of, mark, translated
from playback_portal.me import own_id
from playback_portal.page import PAGE_HEADERS, render, see_other
from playback_portal.pages.teams import row
from playback_portal.problems import ParameterFault, Problem, wrong_parameters
from playback_portal.route import DETAILS, SUBJECT
from playback_portal.services import ENTRY, SCOPE, SERVICES

_log = structlog.get_logger()
PAGE = "/admin/users/import"
FILE_BYTES_MAX = 524_288
"""Far more than ROWS_MAX of rows in use; carried back as base64 it stays below a form's 1 MiB."""

SHOWN_ROWS_MAX = 200
"""Rows without a fault that a page shows; those with one are shown all, and the table holds every row."""

OUTCOMES = {
    roster.ADDED: mark("new"),
    roster.CHANGED: mark("changed"),
    roster.UNCHANGED: mark("as it was"),
    roster.REFUSED: mark("refused"),
}

COLUMNS = {
    "login": mark("Login with the domain, such as anna@company.example. The only one that has to be there."),
    "number": mark("Numbers and ranges, several with blanks between them."),
    "broadworks-id": mark("The user ID of the exchange."),
    "role": mark("user, administrator or auditor; the last two take two people."),
    "access": mark("own or none: whether somebody hears their own recordings."),
    "site": mark("Where somebody works."),
    "licence": mark("90d, 365d, 7y-1000, 7y-3500 or none."),
    "mode": mark("always, always-pause, on-demand, on-demand-start or never."),
    "own-modes": mark("Modes somebody may choose from, with blanks between them, or none."),
}
FOR_PEOPLE = "A file is imported here by who signed in. A program sends it to /v1/users/imports."
SEPARATORS = {",": mark("comma"), ";": mark("semicolon"), "\t": mark("tab")}


@dataclass(frozen=True)
class Sheet:
    """A file as it was read: its text, what stands between its columns, and its rows."""

    text: str
    separator: str
    rows: Sequence[RosterRow]

    @classmethod
    def read(cls, content: bytes) -> Sheet:
        """Read a file; raises Refused for one that is too large or none of people."""
        text = roster.text_of(content)
        separator = roster.separator_of(text)
        lines = io.StringIO(text, newline="")
        return cls(text, separator, list(roster.read(lines, rows_max=ROWS_MAX, separator=separator)))

    @property
    def columns(self) -> list[str]:
        """The columns some row has something in, in our order."""
        used = {name for each in self.rows for name in each.cells}
        return [name for name in roster.COLUMNS if name in used]

    @property
    def packed(self) -> str:
        """The text as a form carries it: letter by letter, whatever is in it."""
        return base64.b64encode(self.text.encode()).decode()


async def get_import(request: web.Request) -> web.StreamResponse:
    """Show where a file is chosen, and what its columns are."""
    return await _form(request)


async def post_import(request: web.Request) -> web.StreamResponse:
    """Show what a file would do, row by row; nothing is written."""
    file = (await request.post()).get("file")
    if not isinstance(file, web.FileField):
        return await _refused(request, mark("Choose a file first."))
    content = await asyncio.to_thread(file.file.read, FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        return await _refused(request, mark("The file is larger than 512 KB. Divide it."))
    try:
        sheet = await asyncio.to_thread(Sheet.read, content)
        if not sheet.rows:
            return await _refused(request, mark("There is no row below the heading."))
        results = await asyncio.to_thread(lambda: roll_of(request).preview(sheet.rows))
    except Refused as error:
        return await _refused(request, roster_words.told_of_file(str(error), language_of(request)))
    request[DETAILS] = {"rows": dict(counts_of(results))}
    return _told(request, sheet, results)


async def post_run(request: web.Request) -> web.StreamResponse:
    """Have a file written that was looked at, and go on to the page of its import."""
    if "Authorization" in request.headers:
        # A worker writes the rows with the powers of the person; what a key may do is less than that.
        raise Problem(HTTPStatus.FORBIDDEN, "by-key", FOR_PEOPLE)
    content = _unpacked(str((await request.post()).get("content", "")))
    user_id = own_id(request)
    try:
        sheet = await asyncio.to_thread(Sheet.read, content)
    except Refused as error:
        return await _refused(request, roster_words.told_of_file(str(error), language_of(request)))
    if not sheet.rows:
        raise _no_content()
    services, tenant_id = request.app[SERVICES], request[SCOPE].tenant_id

    def begin() -> str:
        with request[ENTRY].transaction() as connection:
            now = services.clock.now()
            import_id = roster_imports.begin(connection, tenant_id, user_id, sheet.rows, now=now)
            request[SUBJECT] = "users"
            told: dict[str, Json] = {"import": import_id, "rows": len(sheet.rows)}
            request[DETAILS] = told
            return import_id

    import_id = await asyncio.to_thread(begin)
    try:
        url = services.database_url
        await asyncio.to_thread(jobs.defer, url, jobs.IMPORT, tenant_id=tenant_id, import_id=import_id)
    except DependencyUnavailable as error:
        _log.warning("an import waits until a worker finds it", import_id=import_id, reason=str(error))
    return see_other(request, f"{PAGE}/{import_id}")


async def get_one(request: web.Request) -> web.StreamResponse:
    """Show how far an import is, and what became of its rows."""
    found, results = await asyncio.to_thread(_read, request)
    language = language_of(request)
    faulty = [each for each in results if each.result == roster.REFUSED]
    others = [each for each in results if each.result != roster.REFUSED]
    return render(
        request,
        "imports/one.html",
        status=HTTPStatus.OK,
        found=found,
        going=found.counts.get(roster.ADDED, 0) + found.counts.get(roster.CHANGED, 0),
        faulty=faulty,
        others=others[:SHOWN_ROWS_MAX],
        rest=max(0, len(others) - SHOWN_ROWS_MAX),
        outcomes=OUTCOMES,
        reason_of=lambda reason: roster_words.told(reason, language),
    )


async def get_results(request: web.Request) -> web.StreamResponse:
    """Hand out what became of each row as a table."""
    _, results = await asyncio.to_thread(_read, request)
    language = language_of(request)
    heads = [
        translated(language, each) for each in (mark("Line"), mark("Login"), mark("Result"), mark("Reason"))
    ]
    cells = (
        [
            str(each.line),
            each.login,
            translated(language, OUTCOMES[each.result]),
            roster_words.told(each.reason, language),
        ]
        for each in results
    )
    body = comma_separated.table(heads, cells, ";")
    headers = {**PAGE_HEADERS, "Content-Disposition": 'attachment; filename="import.csv"'}
    return web.Response(body=body, content_type=comma_separated.MEDIA_TYPE, charset="utf-8", headers=headers)


def _read(request: web.Request) -> tuple[Import, list[RosterResult]]:
    """Return an import of the tenant and what became of its rows so far; raises NotFound. Blocks."""
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    found = roster_imports.get(catalogue, tenant_id, request.match_info["import"])
    return found, roster_imports.results(catalogue, tenant_id, found.id)


async def _form(request: web.Request, fault: str = "") -> web.Response:
    catalogue, tenant_id = request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    return render(
        request,
        "imports/page.html",
        status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
        fault=fault,
        columns=COLUMNS,
        rows_max=ROWS_MAX,
        again=again(request),
        latest=await asyncio.to_thread(roster_imports.latest, catalogue, tenant_id),
    )


async def _refused(request: web.Request, fault: str) -> web.Response:
    await request[ENTRY].make("refused")
    return await _form(request, fault)


def _told(request: web.Request, sheet: Sheet, results: Sequence[RosterResult]) -> web.Response:
    """Show a file with what would become of its rows."""
    language = language_of(request)
    both = list(zip(sheet.rows, results, strict=True))
    return render(
        request,
        "imports/rows.html",
        sheet=sheet,
        counts=counts_of(results),
        faulty=[each for each in both if each[1].result == roster.REFUSED],
        others=[each for each in both if each[1].result != roster.REFUSED][:SHOWN_ROWS_MAX],
        outcomes=OUTCOMES,
        separators=SEPARATORS,
        reason_of=lambda reason: roster_words.told(reason, language),
    )


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _no_content() from None


def _no_content() -> Exception:
    return wrong_parameters(ParameterFault("", "It is not what the page before sent."))


IMPORT_ROUTES = (
    row("GET", PAGE, get_import, "users.listed", "users"),
    row("POST", PAGE, post_import, "users.import-checked", "users"),
    row("POST", f"{PAGE}/run", post_run, "users.import-begun", "users"),
    row("GET", f"{PAGE}/{{import}}", get_one, "users.import-viewed", "users"),
    row("GET", f"{PAGE}/{{import}}/results", get_results, "users.import-taken", "users"),
)
