"""The audit log of the tenant for programs: entries of a period, as JSON or CSV, and their proofs.

Rules: for auditors and administrators, and keys with `audit:read`; looking at the log is
an entry of the log. What is shown of an entry is what a recording's history shows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from archive import comma_separated
from archive.access import Scope
from archive.audit import AuditEntry, Json
from archive.audit_chain import FIELD_CHARS_MAX
from archive.catalogue import audit_search
from archive.catalogue.audit_search import AuditQuery
from archive.errors import Refused
from archive.transparency.proof import EntryProof, prove
from playback_portal import documents
from playback_portal.parameters import Parameters, limit, moment
from playback_portal.problems import Problem
from playback_portal.route import DETAILS, SUBJECT, Route
from playback_portal.services import SCOPE, SERVICES

CSV_ROWS_MAX = 100_000
"""More than a spreadsheet is pleasant with; a longer period is asked for in parts."""

CSV_HEADS = ("at", "actor", "action", "object", "result", "purpose", "address", "writer", "sequence", "hash")
FORMATS = ("json", "csv")


async def list_audit_entries(request: web.Request) -> web.StreamResponse:
    """Answer with what was done in the tenant, newest first."""
    parameters = Parameters(request.query)
    query = query_of(parameters)
    form = parameters.read("format", _form, "json")
    size, after = limit(parameters), parameters.read("cursor", _cursor, None)
    parameters.check()
    if form == "csv":
        return await csv_response(request, query)
    services = request.app[SERVICES]
    page = await asyncio.to_thread(
        audit_search.find, services.catalogue, request[SCOPE], query, limit=size, cursor=after
    )
    return documents.list_response(request, map(entry_document, page.items), page.next)


async def get_audit_proof(request: web.Request) -> web.StreamResponse:
    """Answer with the proof that an entry stands in the sealed log."""
    Parameters(request.query).check()
    services, scope, entry_id = request.app[SERVICES], request[SCOPE], request.match_info["entry"]

    def read() -> EntryProof:
        return prove(services.catalogue, audit_search.get(services.catalogue, scope, entry_id))

    proof = await asyncio.to_thread(read)
    entry = proof.entry
    request[SUBJECT] = entry.object
    request[DETAILS] = {"entry": f"{entry.sequence} {entry.writer}"}
    return documents.json_response(proof.document(), {})


async def csv_response(request: web.Request, query: AuditQuery) -> web.Response:
    """Return all entries of a query as a file; raises the Problem 400 when they are too many."""
    services, scope = request.app[SERVICES], request[SCOPE]

    def read() -> tuple[int, bytes]:
        found = list(audit_search.every(services.catalogue, scope, query, rows_max=CSV_ROWS_MAX + 1))
        return len(found), comma_separated.table(CSV_HEADS, map(_cells, found[:CSV_ROWS_MAX]))

    count, body = await asyncio.to_thread(read)
    if count > CSV_ROWS_MAX:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "too-many",
            f"A file has at most {CSV_ROWS_MAX} entries: ask for a shorter period.",
        )
    request[DETAILS] = {"entries": count}
    headers = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
    return web.Response(body=body, content_type=comma_separated.MEDIA_TYPE, charset="utf-8", headers=headers)


def query_of(parameters: Parameters) -> AuditQuery:
    """Read what is asked for."""
    return AuditQuery(
        since=parameters.read("from", moment, None),
        until=parameters.read("to", moment, None),
        actor=parameters.read("actor", _field, ""),
        action=parameters.read("action", _field, ""),
        object=parameters.read("object", _field, ""),
        result=parameters.read("result", _field, ""),
    )


def entry_document(entry: AuditEntry) -> dict[str, Json]:
    """Return an entry with its id and what it is about."""
    return {"id": audit_search.id_of(entry), "object": entry.object, **documents.audit_document(entry)}


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    body = entry.body or {}
    told = [body.get(name, "") for name in ("purpose", "address")]
    return (
        documents.time_of(entry.at),
        entry.actor,
        entry.action,
        entry.object,
        entry.result,
        *(each if isinstance(each, str) else json.dumps(each) for each in told),
        entry.writer,
        str(entry.sequence),
        entry.hash,
    )


def _form(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(f"It is one of {', '.join(FORMATS)}.")
    return text


def _cursor(text: str) -> str:
    try:
        audit_search.check_cursor(text)
    except Refused as error:
        raise ValueError(str(error)) from None
    return text


def _bounded(chars_max: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > chars_max or "\0" in text:
            raise ValueError(f"It has at most {chars_max} characters.")
        return text

    return parse


_field = _bounded(FIELD_CHARS_MAX)

AUDIT_ROUTES = (
    Route("GET", "/v1/audit/entries", list_audit_entries, Scope.AUDIT_READ, "audit.listed"),
    Route("GET", "/v1/audit/entries/{entry}/proof", get_audit_proof, Scope.AUDIT_READ, "audit.proved"),
)
