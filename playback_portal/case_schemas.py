"""The JSON, parameters and operations of cases and certificates, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.cases import NAME_CHARS_MAX, REASON_CHARS_MAX
from archive.catalogue.saved_searches import QUERY_CHARS_MAX
from archive.model import RecordingState
from playback_portal.cases import IDS_COUNT_MAX, NUMBER_CHARS_MAX
from playback_portal.operations import Operation
from playback_portal.schemas import (
    COUNT,
    ID,
    MAYBE_TEXT,
    TEXT,
    TIME,
    Schema,
    maybe,
    object_of,
    page_of,
    words_of,
)

_NAME: Final[Schema] = {"type": "string", "maxLength": NAME_CHARS_MAX, "description": "empty for a lone hold"}
_REASON: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": REASON_CHARS_MAX}
_FLAG: Final[Schema] = {"type": "boolean"}
_ADDED: Final[Schema] = object_of(
    held={**COUNT, "description": "recordings under hold from now on"},
    beingDestroyed={
        "type": "array",
        "items": ID,
        "description": "too late: their destruction had begun",
    },
)
_CASE: Final[dict[str, Schema]] = {
    "id": ID,
    "name": _NAME,
    "reason": TEXT,
    "state": {"type": "string", "enum": ["holding", "release asked", "released"]},
    "openedBy": {**TEXT, "description": "`user:<id>` or `api-client:<id>`"},
    "openedAt": TIME,
    "recordings": COUNT,
    "heldByStore": {**COUNT, "description": "of those, how many the store holds as well"},
    "rules": {
        "type": "array",
        "items": object_of(id=ID, userId=maybe(ID), number=MAYBE_TEXT),
        "description": "whose later calls come into the case",
    },
    "people": {
        "type": "array",
        "items": object_of(userId=ID, addedBy=TEXT, addedAt=TIME),
        "description": "who hears what it holds until it is released; empty in lists",
    },
    "release": maybe(object_of(reason=TEXT, askedBy=TEXT, askedAt=TIME)),
    "releasedBy": MAYBE_TEXT,
    "releasedAt": maybe(TIME),
}
_WANTED: Final[dict[str, Schema]] = {
    "recordingIds": {"type": "array", "items": ID, "maxItems": IDS_COUNT_MAX},
    "search": {
        "type": "string",
        "maxLength": QUERY_CHARS_MAX,
        "description": "a query string of the list of recordings; what it finds now is held",
    },
}

CASE_SCHEMAS: Final[dict[str, Schema]] = {
    "Case": object_of(**_CASE),
    "CasePage": page_of("Case"),
    "OpenedCase": object_of(**_CASE, added=_ADDED),
    "FilledCase": object_of(added=_ADDED),
    "NewCase": {
        **object_of(name={**_NAME, "minLength": 1}, reason=_REASON, **_WANTED),
        "required": ["name", "reason"],
    },
    "CaseRecordings": {**object_of(**_WANTED), "required": []},
    "NewCaseRule": {
        **object_of(userId=ID, number={"type": "string", "minLength": 1, "maxLength": NUMBER_CHARS_MAX}),
        "required": [],
    },
    "NewCasePerson": object_of(userId=ID),
    "CaseRecording": object_of(
        recordingId=ID,
        state=words_of(RecordingState),
        startedAt=TIME,
        durationMs=COUNT,
        heldByStore=_FLAG,
        addedBy=TEXT,
        addedAt=TIME,
        retainUntil={**TIME, "description": "when its term ends; the hold keeps it longer"},
    ),
    "CaseRecordingPage": page_of("CaseRecording"),
    "CaseRelease": object_of(reason=_REASON),
    "NewHold": {**object_of(caseId=ID, reason=_REASON), "required": []},
}

CASE_PARAMETERS: Final[dict[str, Schema]] = {
    "caseId": {"name": "id", "in": "path", "required": True, "schema": ID, "description": "id of the case"},
    "casePerson": {
        "name": "user",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the person",
    },
    "caseRule": {
        "name": "rule",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of a rule of the case",
    },
    "certificateForm": {
        "name": "format",
        "in": "query",
        "schema": {"type": "string", "enum": ["json", "p7s"]},
        "description": "the certificate, or the detached CMS signature over its octets",
    },
}

CASE_OPERATIONS: Final[dict[str, Operation]] = {
    "list_cases": Operation("Cases, newest first", ("limit", "cursor"), "CasePage", refusals=(400,)),
    "post_case": Operation(
        "Open a case and hold what is named or found; in force when this answers",
        (),
        "OpenedCase",
        refusals=(404,),
        status=201,
        body="NewCase",
    ),
    "get_case": Operation("One case", ("caseId",), "Case", refusals=(400, 404)),
    "list_case_recordings": Operation(
        "What a case holds, newest call first",
        ("caseId", "limit", "cursor"),
        "CaseRecordingPage",
        refusals=(400, 404),
    ),
    "post_case_recordings": Operation(
        "Put recordings under the hold of a case",
        ("caseId",),
        "FilledCase",
        refusals=(404, 409),
        status=201,
        body="CaseRecordings",
    ),
    "post_case_rule": Operation(
        "Let later calls come into a case, by number or person",
        ("caseId",),
        "Case",
        refusals=(404, 409),
        status=201,
        body="NewCaseRule",
    ),
    "delete_case_rule": Operation(
        "End a rule of a case: no later calls come in by it; what the case holds stays held",
        ("caseId", "caseRule"),
        refusals=(400, 404, 409),
        status=204,
    ),
    "post_case_person": Operation(
        "Let a person hear what the case holds, until it is released",
        ("caseId",),
        "Case",
        refusals=(404, 409),
        status=201,
        body="NewCasePerson",
    ),
    "delete_case_person": Operation(
        "Take a person off the case", ("caseId", "casePerson"), refusals=(400, 404, 409), status=204
    ),
    "post_case_release": Operation(
        "Ask for the release of a case; another person grants it",
        ("caseId",),
        "Case",
        refusals=(404, 409),
        status=201,
        body="CaseRelease",
    ),
    "delete_case_release": Operation(
        "Take back or refuse a release; the hold stays", ("caseId",), refusals=(400, 404, 409), status=204
    ),
    "post_case_approval": Operation(
        "Grant the release another person asked for",
        ("caseId",),
        "Case",
        refusals=(400, 404, 409),
        status=201,
    ),
    "list_holds": Operation("The cases a recording is in", ("id",), "CasePage", refusals=(400, 404)),
    "post_hold": Operation(
        "Hold a recording; 409 with the time when its destruction has begun",
        ("id",),
        "Case",
        refusals=(404, 409),
        status=201,
        body="NewHold",
    ),
    "get_certificate": Operation(
        "The certificate of a destroyed recording, or the signature over it",
        ("id", "certificateForm"),
        media_types=("application/json", "application/pkcs7-signature"),
        refusals=(400, 404),
    ),
}
