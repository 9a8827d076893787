"""A file of people: looked at row by row before anything is written; then what became of each row.

Rules: for administrators, who signed in a short while ago. The portal keeps no file: the
browser carries it from the preview to the import, which reads and judges it afresh. A file
that was imported can be imported again and changes nothing twice. Not here: what a row may
do (`playback_portal.imports`), and the columns (`archive.roster`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from archive import comma_separated, roster
from archive.errors import Refused
from archive.roster import RosterResult, RosterRow
from playback_portal import roster_words
from playback_portal.admission import again
from playback_portal.imports import ROWS_MAX, counts_of, roll_of
from playback_portal.language import language_of, mark, translated
from playback_portal.page import PAGE_HEADERS, render
from playback_portal.pages.teams import row
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY

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
    return _form(request)


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
    return _told(request, sheet, results, done=False)


async def post_run(request: web.Request) -> web.StreamResponse:
    """Write a file that was looked at, and show what became of each row."""
    content = _unpacked(str((await request.post()).get("content", "")))
    try:
        sheet = await asyncio.to_thread(Sheet.read, content)
        results = await asyncio.to_thread(lambda: roll_of(request).enter(sheet.rows))
    except Refused as error:
        return await _refused(request, roster_words.told_of_file(str(error), language_of(request)))
    request[DETAILS] = {"rows": dict(counts_of(results))}
    return _told(request, sheet, results, done=True)


async def post_results(request: web.Request) -> web.StreamResponse:
    """Hand out what became of each row as a table, as the page was told it."""
    language = language_of(request)
    rows = _rows_of(_unpacked(str((await request.post()).get("results", ""))))
    heads = [
        translated(language, each) for each in (mark("Line"), mark("Login"), mark("Result"), mark("Reason"))
    ]
    cells = (
        [str(line), login, translated(language, OUTCOMES[result]), roster_words.told(reason, language)]
        for line, login, result, reason in rows
    )
    body = comma_separated.table(heads, cells, ";")
    headers = {**PAGE_HEADERS, "Content-Disposition": 'attachment; filename="import.csv"'}
    return web.Response(body=body, content_type=comma_separated.MEDIA_TYPE, charset="utf-8", headers=headers)


def _form(request: web.Request, fault: str = "") -> web.Response:
    return render(
        request,
        "imports/page.html",
        status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
        fault=fault,
        columns=COLUMNS,
        rows_max=ROWS_MAX,
        again=again(request),
    )


async def _refused(request: web.Request, fault: str) -> web.Response:
    await request[ENTRY].make("refused")
    return _form(request, fault)


def _told(request: web.Request, sheet: Sheet, results: Sequence[RosterResult], *, done: bool) -> web.Response:
    """Show a file with what became of its rows, or would."""
    language = language_of(request)
    both = list(zip(sheet.rows, results, strict=True))
    return render(
        request,
        "imports/rows.html",
        done=done,
        sheet=sheet,
        counts=counts_of(results),
        faulty=[each for each in both if each[1].result == roster.REFUSED],
        others=[each for each in both if each[1].result != roster.REFUSED][:SHOWN_ROWS_MAX],
        outcomes=OUTCOMES,
        separators=SEPARATORS,
        reason_of=lambda reason: roster_words.told(reason, language),
        results=_packed_results(results) if done else "",
    )


def _packed_results(results: Iterable[RosterResult]) -> str:
    rows = [[each.line, each.login, each.result, each.reason] for each in results]
    return base64.b64encode(json.dumps(rows).encode()).decode()


def _rows_of(content: bytes) -> list[tuple[int, str, str, str]]:
    """Read what `_packed_results` wrote; raises the 400 Problem for anything else."""
    try:
        rows = list(json.loads(content) or [None])
        found = [(int(line), str(login), str(result), str(reason)) for line, login, result, reason in rows]
    except (ValueError, TypeError, RecursionError):
        raise _no_content() from None
    if len(found) > ROWS_MAX or any(each[2] not in OUTCOMES for each in found):
        raise _no_content()
    return found


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
    row("POST", f"{PAGE}/run", post_run, "users.imported", "users"),
    row("POST", f"{PAGE}/results", post_results, "users.import-taken", "users"),
)
