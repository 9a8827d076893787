"""The JSON, parameters and operations of requests of data subjects, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.data_subject_calls import SOUGHT_CHARS_MAX
from archive.catalogue.data_subjects import ANSWER_CHARS_MAX, LINE_CHARS_MAX, NOTE_CHARS_MAX
from archive.data_subject import (
    Bar,
    Ground,
    Identification,
    Inseparable,
    Outcome,
    RequestKind,
    RequestState,
    SoughtBy,
    Treatment,
)
from archive.model import Layout, RecordingState
from playback_portal.data_subjects import IDS_COUNT_MAX
from playback_portal.operations import Operation
from playback_portal.schemas import (
    COUNT,
    ID,
    MAYBE_TEXT,
    TEXT,
    TIME,
    Schema,
    list_of,
    maybe,
    object_of,
    page_of,
    words_of,
)

_DAY: Final[Schema] = {"type": "string", "format": "date"}
_LINE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": LINE_CHARS_MAX}
_NOTE: Final[Schema] = {"type": "string", "maxLength": NOTE_CHARS_MAX}
_REASON: Final[Schema] = {**_NOTE, "minLength": 1}
_FLAG: Final[Schema] = {"type": "boolean"}
_BY: Final[Schema] = {**TEXT, "description": "`user:<id>` or `api-client:<id>`"}


def _step(**more: Schema) -> Schema:
    """Return the schema of a step: who did it, when, and what; or nothing."""
    return maybe(object_of(by=_BY, at=TIME, **more))


_REQUEST: Final[dict[str, Schema]] = {
    "id": ID,
    "reference": {**TEXT, "description": "by what the request is named to its person"},
    "kind": words_of(RequestKind),
    "state": words_of(RequestState),
    "name": TEXT,
    "contact": TEXT,
    "receivedOn": _DAY,
    "dueOn": {**_DAY, "description": "the last day on which it is answered in time (GDPR 12(3))"},
    "daysLeft": {"type": ["integer", "null"], "description": "below 0 when overdue, null once answered"},
    "late": {**_FLAG, "description": "it was answered after its last day"},
    "takenIn": _step(),
    "identification": _step(how=words_of(Identification), note=MAYBE_TEXT),
    "extension": _step(reason=TEXT),
    "answer": _step(outcome=words_of(Outcome), ground=maybe(words_of(Ground)), article=MAYBE_TEXT, text=TEXT),
    "closing": _step(note=MAYBE_TEXT),
}
_SEARCH: Final[Schema] = object_of(
    id=ID,
    by=words_of(SoughtBy),
    value={**TEXT, "description": "a number in its one form, a name, or the id of a person"},
    found=COUNT,
    searchedBy=_BY,
    searchedAt=TIME,
)

DATA_SUBJECT_SCHEMAS: Final[dict[str, Schema]] = {
    "DataSubjectRequest": object_of(**_REQUEST),
    "DataSubjectRequestPage": page_of("DataSubjectRequest"),
    "DataSubjectSearch": _SEARCH,
    "WholeDataSubjectRequest": object_of(
        **_REQUEST,
        searches=list_of(_SEARCH),
        calls=object_of(found=COUNT, undecided=COUNT, muted=COUNT, whole=COUNT, leftOut=COUNT, held=COUNT),
        absence=maybe(
            object_of(
                destroyed={**COUNT, "description": "recordings of the tenant that can't be found any more"},
                lastDestroyedAt=maybe(TIME),
                oldestCallAt=maybe(TIME),
            )
        ),
        exports=list_of({"$ref": "#/components/schemas/Export"}),
    ),
    "NewDataSubjectRequest": {
        **object_of(kind=words_of(RequestKind), name=_LINE, contact=_LINE, receivedOn=_DAY),
        "required": ["kind", "name", "contact"],
    },
    "NewIdentification": {**object_of(how=words_of(Identification), note=_NOTE), "required": ["how"]},
    "NewExtension": object_of(reason=_REASON),
    "NewDataSubjectSearch": object_of(
        by=words_of(SoughtBy),
        text={"type": "string", "minLength": 1, "maxLength": SOUGHT_CHARS_MAX},
    ),
    "DataSubjectCall": object_of(
        recordingId=ID,
        state=words_of(RecordingState),
        startedAt=TIME,
        durationMs=COUNT,
        layout=words_of(Layout),
        retainUntil=TIME,
        onHold=_FLAG,
        channels={**list_of(TEXT), "description": "those the person is on"},
        separable={**_FLAG, "description": "the others can be silenced"},
        inseparable=maybe(words_of(Inseparable)),
        kept=list_of(object_of(channel=TEXT, fromMs=COUNT, toMs=COUNT)),
        erasureBar=maybe(words_of(Bar)),
        treatment=maybe(words_of(Treatment)),
        reason=MAYBE_TEXT,
    ),
    "DataSubjectCallPage": page_of("DataSubjectCall"),
    "NewChoice": {
        **object_of(
            recordingIds={**list_of(ID), "minItems": 1, "maxItems": IDS_COUNT_MAX},
            treatment=words_of(Treatment),
            reason=_NOTE,
        ),
        "required": ["treatment"],
    },
    "Choice": object_of(recordings=COUNT),
    "NewAnswer": {
        **object_of(
            outcome=words_of(Outcome),
            ground=words_of(Ground),
            text={"type": "string", "minLength": 1, "maxLength": ANSWER_CHARS_MAX},
        ),
        "required": ["outcome", "text"],
    },
    "NewClosure": {**object_of(note=_NOTE), "required": []},
}

DATA_SUBJECT_PARAMETERS: Final[dict[str, Schema]] = {
    "requestId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the request",
    },
    "openRequests": {
        "name": "open",
        "in": "query",
        "schema": {"type": "string", "enum": ["0", "1"], "default": "0"},
        "description": "1 for those that wait for an answer alone",
    },
}

_OF_REQUEST: Final = ("requestId",)
_WHOLE: Final = "WholeDataSubjectRequest"

DATA_SUBJECT_OPERATIONS: Final[dict[str, Operation]] = {
    "list_data_subject_requests": Operation(
        "Requests of data subjects, newest first",
        ("openRequests", "limit", "cursor"),
        "DataSubjectRequestPage",
        refusals=(400,),
    ),
    "post_data_subject_request": Operation(
        "Take in a request of access, erasure or objection",
        (),
        "DataSubjectRequest",
        status=201,
        body="NewDataSubjectRequest",
    ),
    "get_data_subject_request": Operation(
        "One request, what was looked for, and what is decided of its calls",
        _OF_REQUEST,
        _WHOLE,
        refusals=(400, 404),
    ),
    "post_identification": Operation(
        "Write down how it was made sure who asks; before that nothing is looked for",
        _OF_REQUEST,
        _WHOLE,
        refusals=(404, 409),
        status=201,
        body="NewIdentification",
    ),
    "post_extension": Operation(
        "Give the answer two months more, once and within the first month",
        _OF_REQUEST,
        _WHOLE,
        refusals=(404, 409),
        status=201,
        body="NewExtension",
    ),
    "post_search": Operation(
        "Find the calls of a number in any notation, a name, or a person of the tenant",
        _OF_REQUEST,
        "DataSubjectSearch",
        refusals=(404, 409),
        status=201,
        body="NewDataSubjectSearch",
    ),
    "list_data_subject_calls": Operation(
        "The calls that were found, newest first",
        (*_OF_REQUEST, "limit", "cursor"),
        "DataSubjectCallPage",
        refusals=(400, 404),
    ),
    "post_choice": Operation(
        "Say what becomes of calls: the others silenced, whole, or left out; without ids, silence "
        "wherever nothing is decided and it can be done",
        _OF_REQUEST,
        "Choice",
        refusals=(404, 409),
        status=201,
        body="NewChoice",
    ),
    "post_data_subject_export": Operation(
        "Ask for the package for the person; only an auditor who signed in. It is looked after and "
        "fetched as every export",
        _OF_REQUEST,
        "Export",
        refusals=(400, 404, 409),
        status=202,
    ),
    "post_answer": Operation(
        "Write down what was answered; a refusal names its ground",
        _OF_REQUEST,
        _WHOLE,
        refusals=(404, 409),
        status=201,
        body="NewAnswer",
    ),
    "post_closure": Operation(
        "Close a request that was answered, or with a note one that was withdrawn",
        _OF_REQUEST,
        _WHOLE,
        refusals=(404, 409),
        status=201,
        body="NewClosure",
        body_required=False,
    ),
    "get_data_subject_history": Operation(
        "The log of a request, oldest first", _OF_REQUEST, "AuditEntryPage", refusals=(400, 404)
    ),
}
