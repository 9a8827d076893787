"""The lists of numbers that are not recorded: do-not-record with reasons, and exempt numbers.

A call with a number of the do-not-record list leaves its metadata; one with an exempt
number leaves nothing. Of the exempt numbers, those of the floor list and the operator's
are shown and can't be removed here; whoever tries stands in the audit log.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from archive.audit import Json
from archive.catalogue import do_not_record, exempt_numbers
from archive.catalogue.directory import NAME_CHARS_MAX
from archive.catalogue.do_not_record import DoNotRecordEntry
from archive.catalogue.exempt_numbers import ExemptEntry
from archive.errors import NotFound
from archive.model import UserId
from archive.numbers import FLOOR, FLOOR_SERVICES, is_exempt_number
from playback_portal import documents
from playback_portal.parameters import Parameters, bounded_text, read_body
from playback_portal.people import NUMBER_CHARS_MAX, as_fault
from playback_portal.problems import ParameterFault, wrong_parameters
from playback_portal.route import DETAILS, SUBJECT
from playback_portal.services import ENTRY, SCOPE, SERVICES, recording_id_of
from playback_portal.teams import json_user_id


async def list_do_not_record(request: web.Request) -> web.StreamResponse:
    """Answer with the do-not-record list of the tenant."""
    Parameters(request.query).check()
    entries = await asyncio.to_thread(
        do_not_record.entries, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
    return documents.list_response(request, map(_do_not_record_document, entries), None)


async def post_do_not_record(request: web.Request) -> web.StreamResponse:
    """Put a number, range or address of record on the do-not-record list."""
    Parameters(request.query).check()
    body = await read_body(request)
    numbers = body.need("numbers", bounded_text(NUMBER_CHARS_MAX, chars_min=1), "")
    reason = body.need("reason", bounded_text(NAME_CHARS_MAX, chars_min=1), "")
    user_id = body.read("userId", _user_id, None)
    body.check()
    try:
        entry = await asyncio.to_thread(as_fault, lambda: add_entry(request, numbers, reason, user_id))
    except NotFound as error:
        raise wrong_parameters(ParameterFault("/userId", str(error))) from error
    return _made(_do_not_record_document(entry), f"/v1/do-not-record/{entry.id}")


async def delete_do_not_record(request: web.Request) -> web.StreamResponse:
    """Take an entry off the do-not-record list."""
    Parameters(request.query).check()
    await asyncio.to_thread(remove_entry, request)
    return web.Response(status=204)


def add_entry(request: web.Request, numbers: str, reason: str, user_id: UserId | None) -> DoNotRecordEntry:
    """Put numbers on a list together with the entry in the log, which names none of them. Blocks.

    Raises as `do_not_record.add`.
    """
    now = request.app[SERVICES].clock.now()
    with request[ENTRY].transaction() as connection:
        entry = do_not_record.add_within(
            connection, request[SCOPE].tenant_id, numbers, reason, now=now, user_id=user_id
        )
        request[SUBJECT] = f"do-not-record:{entry.id}"
        if user_id is not None:
            request[DETAILS] = {"userId": user_id}
    return entry


def remove_entry(request: web.Request) -> DoNotRecordEntry:
    """Take the entry the path names off its list together with the entry in the log. Blocks.

    Raises NotFound.
    """
    entry_id, tenant_id = recording_id_of(request), request[SCOPE].tenant_id
    with request[ENTRY].transaction() as connection:
        return do_not_record.remove_within(connection, tenant_id, entry_id)


async def list_exempt_numbers(request: web.Request) -> web.StreamResponse:
    """Answer with the numbers that are never recorded: the floor list, the operator's and the tenant's."""
    Parameters(request.query).check()
    entries = await asyncio.to_thread(
        exempt_numbers.entries, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
    floor: list[Json] = [_exempt_document(number, number, "floor") for number in (*FLOOR, *FLOOR_SERVICES)]
    return documents.list_response(request, [*floor, *map(_added_document, entries)], None)


async def post_exempt_number(request: web.Request) -> web.StreamResponse:
    """Make a number exempt for this tenant."""
    Parameters(request.query).check()
    body = await read_body(request)
    number = body.need("number", bounded_text(NUMBER_CHARS_MAX, chars_min=1), "")
    body.check()
    entry = await asyncio.to_thread(as_fault, lambda: add_exempt(request, number))
    return _made(_added_document(entry), f"/v1/exempt-numbers/{entry.id}")


async def delete_exempt_number(request: web.Request) -> web.StreamResponse:
    """Remove a number this tenant made exempt; the floor list and the operator's can't be."""
    Parameters(request.query).check()
    named = request.match_info["id"]
    if is_exempt_number(named):
        request[SUBJECT] = "exempt-number:floor"
    else:
        named = recording_id_of(request)
    await asyncio.to_thread(remove_exempt, request, named)
    return web.Response(status=204)


def add_exempt(request: web.Request, number: str) -> ExemptEntry:
    """Make a number exempt together with the entry in the log, the only trace it leaves. Blocks.

    Raises as `exempt_numbers.add`.
    """
    now = request.app[SERVICES].clock.now()
    with request[ENTRY].transaction() as connection:
        entry = exempt_numbers.add_within(connection, request[SCOPE].tenant_id, number, now=now)
        request[SUBJECT] = f"exempt-number:{entry.id}"
    return entry


def remove_exempt(request: web.Request, named: str) -> None:
    """Take an exempt number off together with the entry in the log. Blocks.

    Raises as `exempt_numbers.remove`.
    """
    with request[ENTRY].transaction() as connection:
        exempt_numbers.remove_within(connection, request[SCOPE].tenant_id, named)


def _made(document: dict[str, Json], location: str) -> web.Response:
    response = documents.json_response(document, {"Location": location})
    response.set_status(201)
    return response


def _do_not_record_document(entry: DoNotRecordEntry) -> dict[str, Json]:
    return {"id": entry.id, "numbers": entry.numbers, "reason": entry.reason, "userId": entry.user_id}


def _user_id(value: Json) -> UserId | None:
    return None if value is None else json_user_id(value)


def _added_document(entry: ExemptEntry) -> dict[str, Json]:
    return _exempt_document(entry.id, entry.number, "operator" if entry.operators else "tenant")


def _exempt_document(entry_id: str, number: str, origin: str) -> dict[str, Json]:
    return {"id": entry_id, "number": number, "origin": origin, "removable": origin == "tenant"}
