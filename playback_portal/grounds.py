"""Why a tenant records: its versions, and writing down a new one.

Rules: a version is added and none is changed. Every version stands in the audit log by who wrote
it and which fields are others than before, without the texts. Not here: what is refused without
any (`archive.catalogue.grounds`).
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from archive.audit import Json
from archive.catalogue import directory, grounds
from archive.catalogue.grounds import Version
from archive.errors import Conflict
from archive.grounds import (
    BALANCING_CHARS_MAX,
    NOTICE_CHARS_MAX,
    PURPOSE_CHARS_MAX,
    PURPOSES_MAX,
    Grounds,
    LegalBasis,
    Telling,
    faults,
    tidied,
)
from playback_portal import documents
from playback_portal.documents import time_of
from playback_portal.parameters import Parameters, bounded_text, json_word_of, read_body
from playback_portal.route import DETAILS
from playback_portal.services import ENTRY, SCOPE, SERVICES

FIELDS = {
    "purposes": "purposes",
    "balancing": "balancing",
    "notice_nl": "noticeNl",
    "notice_en": "noticeEn",
    "told_by": "toldBy",
}
"""What a field of grounds is called in the API."""

SHOULD_BE = {
    "purposes": f"It is 1 to {PURPOSES_MAX} texts of 1 to {PURPOSE_CHARS_MAX} printable characters.",
    "balancing": f"A legitimate interest takes a note of 1 to {BALANCING_CHARS_MAX} characters.",
    "notice_nl": f"It has 1 to {NOTICE_CHARS_MAX} characters.",
    "notice_en": f"It has 1 to {NOTICE_CHARS_MAX} characters.",
    "told_by": f"It is one or more of {', '.join(Telling)}.",
}

CHANGED_MEANWHILE = "Somebody wrote another version meanwhile: read it first."


async def get_recording_grounds(request: web.Request) -> web.StreamResponse:
    """Answer with the version in force and all before it, the newest first."""
    Parameters(request.query).check()
    found = await asyncio.to_thread(
        grounds.versions, request.app[SERVICES].catalogue, request[SCOPE].tenant_id
    )
    items: list[Json] = [version_document(each) for each in found]
    document: dict[str, Json] = {"inForce": items[0] if items else None, "versions": items}
    return documents.json_response(document)


async def post_recording_grounds(request: web.Request) -> web.StreamResponse:
    """Write down a new version and answer with it."""
    Parameters(request.query).check()
    body = await read_body(request)
    nothing: list[str] = []
    wanted = Grounds(
        purposes=tuple(body.need("purposes", _texts, nothing)),
        legal_basis=body.need("legalBasis", json_word_of(LegalBasis), LegalBasis.CONSENT),
        balancing=body.read("balancing", bounded_text(BALANCING_CHARS_MAX), ""),
        notice_nl=body.need("noticeNl", bounded_text(NOTICE_CHARS_MAX), ""),
        notice_en=body.need("noticeEn", bounded_text(NOTICE_CHARS_MAX), ""),
        told_by=tuple(map(Telling, body.need("toldBy", _tellings, nothing))),
    )
    body.check()
    for field in faults(tidied(wanted)):
        body.fault(FIELDS[field], SHOULD_BE[field])
    body.check()
    version = await asyncio.to_thread(register, request, wanted)
    response = documents.json_response(version_document(version))
    response.set_status(201)
    return response


def register(request: web.Request, wanted: Grounds, seen: str | None = None) -> Version:
    """Write down a version with its entry in the log; blocks.

    `seen` is the id of the version the writer read, '' for none, None for whichever. Raises
    Conflict when another is in force by now, Refused as `grounds.register`.
    """
    services, scope = request.app[SERVICES], request[SCOPE]
    with request[ENTRY].transaction() as connection:
        before = grounds.lock(connection, scope.tenant_id)
        if seen is not None and seen != ("" if before is None else before.id):
            raise Conflict(CHANGED_MEANWHILE)
        version = grounds.register(connection, scope.tenant_id, wanted, scope.actor, now=services.clock.now())
        directory.announce(connection)
        was = None if before is None else version_document(before)
        will = version_document(version)
        changed: list[Json] = [
            name for name in (*FIELDS.values(), "legalBasis") if was is None or was[name] != will[name]
        ]
        told: dict[str, Json] = {"version": version.id, "changed": changed}
        request[DETAILS] = told
    return version


def version_document(version: Version) -> dict[str, Json]:
    """Return a version as the API shows it."""
    told = version.grounds
    return {
        "id": version.id,
        "purposes": list(told.purposes),
        "legalBasis": told.legal_basis.value,
        "balancing": told.balancing,
        "noticeNl": told.notice_nl,
        "noticeEn": told.notice_en,
        "toldBy": [each.value for each in told.told_by],
        "standard": version.standard,
        "registeredBy": version.registered_by,
        "registeredAt": time_of(version.registered_at),
    }


def _texts(value: Json) -> list[str]:
    if not isinstance(value, list) or len(value) > PURPOSES_MAX:
        raise ValueError(SHOULD_BE["purposes"])
    return [bounded_text(PURPOSE_CHARS_MAX)(each) for each in value]


def _tellings(value: Json) -> list[str]:
    if not isinstance(value, list) or len(value) > len(Telling):
        raise ValueError(SHOULD_BE["told_by"])
    return [json_word_of(Telling)(each) for each in value]
