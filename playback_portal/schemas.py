"""The shapes of the API's JSON and its parameters, as OpenAPI 3.1 components.

Rules: literal data only. A test validates real responses against these shapes, and
the shapes against the enumerations of `archive.model`.
"""

from __future__ import annotations

from typing import Any, Final

from archive.catalogue.recordings import PAGE_ROWS_MAX, SEARCH_CHARS_MAX
from archive.model import (
    Direction,
    Layout,
    OutcomeKind,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SpanKind,
)
from playback_portal.parameters import DURATION_S_MAX, PAGE_ROWS

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
ID: Final[Schema] = {"type": "string", "format": "uuid"}


def _object(**properties: Schema) -> Schema:
    """Return a closed object with all its properties required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _page(name: str) -> Schema:
    return _object(items=_list({"$ref": f"#/components/schemas/{name}"}), next=MAYBE_TEXT)


def _words(words: Any) -> Schema:
    return {"type": "string", "enum": [str(word) for word in words]}


SCHEMAS: Final[dict[str, Schema]] = {
    "Recording": _object(
        id=ID,
        callId={"type": "string", "description": "SIP Call-ID of the recording session"},
        callGroup={"type": "string", "description": "links the recordings of one call or chain"},
        state=_words(RecordingState),
        onHold={"type": "boolean"},
        mode=_words(RecordingMode),
        owner=MAYBE_TEXT,
        direction=_words(Direction),
        layout=_words(Layout),
        startedAt=TIME,
        endedAt=TIME,
        durationMs=COUNT,
        parties=_list(
            _object(
                channel={"type": "string", "description": "a (caller), b (callee), mixed, or a number"},
                number=TEXT,
                name=TEXT,
                userId=MAYBE_TEXT,
                fromMs=COUNT,
                toMs=COUNT,
            )
        ),
        retentionClass=_words(RetentionClass),
        retainUntil=TIME,
        spans=_list(_object(kind=_words(SpanKind), channel=TEXT, fromMs=COUNT, toMs=COUNT, by=MAYBE_TEXT)),
        packets=_object(received=COUNT, lost=COUNT, duplicated=COUNT, reordered=COUNT),
        sha256={"type": "string", "description": "of the FLAC"},
        flags=_list(TEXT),
    ),
    "RecordingPage": _page("Recording"),
    "Peaks": {
        "type": "object",
        "properties": {
            "durationMs": COUNT,
            "levelMax": COUNT,
            "channels": _list(TEXT),
            "pps": {"type": "integer", "enum": [2, 20]},
            "bins": COUNT,
            "data": _list(_list(COUNT)),
        },
        "required": ["durationMs", "levelMax", "channels", "pps", "bins", "data"],
    },
    "Timeline": {"type": "object", "description": "Spans, packets of each stream and edges, as archived."},
    "Metadata": {
        "type": ["object", "array"],
        "description": "Revisions of the recording metadata (RFC 7865) as they came, with times.",
    },
    "AuditEntry": _object(
        at=TIME,
        actor=TEXT,
        action=TEXT,
        result=TEXT,
        details={"type": ["object", "null"]},
        writer=TEXT,
        sequence=COUNT,
        hash=TEXT,
    ),
    "AuditEntryPage": _page("AuditEntry"),
    "Session": _object(
        id=ID,
        callId=TEXT,
        outcome=_words(OutcomeKind),
        reason=TEXT,
        startedAt=TIME,
        endedAt=TIME,
        peerId=MAYBE_TEXT,
        recordingIds=_list(ID),
        trace=_list(TEXT),
    ),
    "SessionPage": _page("Session"),
    "Problem": {
        "type": "object",
        "description": "RFC 9457. `instance` is the reference of the request.",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "instance": {"type": "string", "format": "uri"},
            "errors": _list(_object(parameter=TEXT, detail=TEXT)),
            "requiredScope": TEXT,
        },
        "required": ["type", "title", "status", "detail", "instance"],
    },
}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


PARAMETERS: Final[dict[str, Schema]] = {
    "id": {"name": "id", "in": "path", "required": True, "schema": ID, "description": "id of the recording"},
    "q": _query(
        "q",
        {"type": "string", "maxLength": SEARCH_CHARS_MAX},
        "a number in any spelling, part of a number, or part of a name",
    ),
    "user": _query("user", TEXT, "id of the recorded user"),
    "from": _query(
        "from", TEXT, "earliest start: a time with offset, or a date (midnight in Europe/Amsterdam)"
    ),
    "to": _query(
        "to", TEXT, "starts before this: a time with offset, or a date (midnight in Europe/Amsterdam)"
    ),
    "direction": _query("direction", _words(Direction), "seen from the recorded user"),
    "mode": _query("mode", _words(RecordingMode), "recording mode"),
    "minDuration": _query(
        "minDuration",
        {"type": "integer", "minimum": 0, "maximum": DURATION_S_MAX},
        "shortest duration in seconds",
    ),
    "limit": _query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS},
        "items on a page",
    ),
    "cursor": _query("cursor", TEXT, "`next` of the page before"),
    "pps": _query("pps", {"type": "integer", "enum": [2, 20], "default": 2}, "levels a second"),
    "format": _query(
        "format", {"type": "string", "enum": ["flac", "wav"], "default": "flac"}, "form of the audio"
    ),
    "channel": _query(
        "channel",
        {"type": "string", "default": "both"},
        "both, a (caller), b (callee), or a channel of the recording",
    ),
    "download": _query(
        "download",
        {"type": "string", "enum": ["0", "1"], "default": "0"},
        "1 to take the file away; needs the scope recordings:download",
    ),
    "range": {
        "name": "Range",
        "in": "header",
        "schema": TEXT,
        "description": "one range of octets (RFC 9110 section 14)",
    },
    "ifRange": {
        "name": "If-Range",
        "in": "header",
        "schema": TEXT,
        "description": "ETag the range belongs to",
    },
    "ifMatch": {
        "name": "If-Match",
        "in": "header",
        "schema": TEXT,
        "description": "ETags of which the audio has one, else 412",
    },
    "ifNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "schema": TEXT,
        "description": "ETags the client has already: 304 when the audio has one of them",
    },
}
