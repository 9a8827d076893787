"""The shapes of the API's JSON and its parameters, as OpenAPI 3.1 components.

Rules: literal data only. A test validates real responses against these shapes, and
the shapes against the enumerations of `archive.model`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from archive.call_commands import LIVE_STATES, VERBS
from archive.catalogue.purposes import PURPOSE_CHARS_MAX
from archive.catalogue.recordings import PAGE_ROWS_MAX, SEARCH_CHARS_MAX
from archive.grounds import LegalBasis
from archive.model import (
    Direction,
    Layout,
    OutcomeKind,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SpanKind,
)
from playback_portal.me import KEEP_NEXT_MIN_DEFAULT, KEEP_NEXT_MIN_MAX
from playback_portal.parameters import DURATION_S_MAX, PAGE_ROWS
from playback_portal.why import NAME_CHARS_MAX

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
ID: Final[Schema] = {"type": "string", "format": "uuid"}


def object_of(**properties: Schema) -> Schema:
    """Return a closed object with all its properties required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(items: Schema) -> Schema:
    """Return an array of such items."""
    return {"type": "array", "items": items}


def maybe(schema: Schema) -> Schema:
    """Return the schema of the same, or of nothing."""
    return {"anyOf": [schema, {"type": "null"}]}


def page_of(name: str) -> Schema:
    """Return one page of a list of the component `name`."""
    return object_of(items=list_of({"$ref": f"#/components/schemas/{name}"}), next=MAYBE_TEXT)


def words_of(words: Iterable[str]) -> Schema:
    """Return a text that is one of these words."""
    return {"type": "string", "enum": [str(word) for word in words]}


ADDRESS: Final[Schema] = {"type": "string", "maxLength": NAME_CHARS_MAX}

_PARTY: Final[dict[str, Schema]] = {
    "channel": {"type": "string", "description": "a (caller), b (callee), mixed, or a number"},
    "number": TEXT,
    "name": TEXT,
    "userId": MAYBE_TEXT,
    "fromMs": COUNT,
    "toMs": COUNT,
}
_SPAN: Final[dict[str, Schema]] = {
    "kind": words_of(SpanKind),
    "channel": TEXT,
    "fromMs": COUNT,
    "toMs": COUNT,
    "by": MAYBE_TEXT,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Recording": object_of(
        id=ID,
        callId={"type": "string", "description": "SIP Call-ID of the recording session"},
        callGroup={"type": "string", "description": "links the recordings of one call or chain"},
        state=words_of(RecordingState),
        onHold={"type": "boolean"},
        mode=words_of(RecordingMode),
        owner=MAYBE_TEXT,
        direction=words_of(Direction),
        layout=words_of(Layout),
        startedAt=TIME,
        endedAt=TIME,
        durationMs=COUNT,
        parties=list_of(object_of(**_PARTY)),
        retentionClass=words_of(RetentionClass),
        retainUntil=TIME,
        remainingDays={**COUNT, "description": "days begun until then; a hold keeps it longer"},
        spans=list_of(object_of(**_SPAN)),
        packets=object_of(received=COUNT, lost=COUNT, duplicated=COUNT, reordered=COUNT),
        sha256={"type": "string", "description": "of the FLAC"},
        flags=list_of(TEXT),
    ),
    "RecordingPage": page_of("Recording"),
    "Peaks": {
        "type": "object",
        "properties": {
            "durationMs": COUNT,
            "levelMax": COUNT,
            "channels": list_of(TEXT),
            "pps": {"type": "integer", "enum": [2, 20]},
            "bins": COUNT,
            "data": list_of(list_of(COUNT)),
        },
        "required": ["durationMs", "levelMax", "channels", "pps", "bins", "data"],
    },
    "Timeline": {"type": "object", "description": "Spans, packets of each stream and edges, as archived."},
    "Metadata": {
        "type": ["object", "array"],
        "description": "Revisions of the recording metadata (RFC 7865) as they came, with times.",
    },
    "AuditEntry": object_of(
        at=TIME,
        actor=TEXT,
        action=TEXT,
        result=TEXT,
        details={"type": ["object", "null"]},
        writer=TEXT,
        sequence=COUNT,
        hash=TEXT,
    ),
    "AuditEntryPage": page_of("AuditEntry"),
    "Session": object_of(
        id=ID,
        callId=TEXT,
        outcome=words_of(OutcomeKind),
        reason=TEXT,
        startedAt=TIME,
        endedAt=TIME,
        peerId=MAYBE_TEXT,
        transport=MAYBE_TEXT,
        exchangeIds={**list_of(TEXT), "description": "what the exchange calls the call"},
        recordingIds=list_of(ID),
        trace=list_of(TEXT),
    ),
    "SessionPage": page_of("Session"),
    "Why": object_of(
        recording=ID,
        session=ID,
        outcome=maybe(words_of(OutcomeKind)),
        reason=MAYBE_TEXT,
        trace=list_of(TEXT),
        owner=MAYBE_TEXT,
        mode=words_of(RecordingMode),
        retentionClass=words_of(RetentionClass),
        retentionReason=TEXT,
        retainUntil=TIME,
        commands=list_of(
            object_of(**_SPAN, **{"from": TIME, "to": TIME}),
        ),
        flags=list_of(TEXT),
        minutes=maybe(
            object_of(
                month={"type": "string", "description": "of Europe/Amsterdam, such as 2026-11"},
                recordedS=COUNT,
                bookedS=COUNT,
                aboveCap={"type": "boolean"},
            )
        ),
        grounds=maybe(
            object_of(
                id=ID,
                purposes=list_of(TEXT),
                legalBasis=words_of(LegalBasis),
                standard={"type": "boolean", "description": "whether it was the provider's text"},
            )
        ),
    ),
    "ImaginedCall": {
        **object_of(
            caller=ADDRESS,
            callee=ADDRESS,
            peer=ADDRESS,
            broadworksUserId=ADDRESS,
            serviceProviderId=ADDRESS,
            groupId=ADDRESS,
        ),
        "required": ["caller", "callee"],
    },
    "ImaginedDecision": object_of(
        outcome=words_of((*OutcomeKind, "exempt")),
        reason=TEXT,
        trace=list_of(TEXT),
        recorded=list_of(
            object_of(
                userId=MAYBE_TEXT,
                mode=words_of(RecordingMode),
                retentionClass=words_of(RetentionClass),
                direction=words_of(Direction),
                quarantined={"type": "boolean"},
                keepGraceH=COUNT,
                keepNext={"type": "boolean"},
            )
        ),
    ),
    "Call": object_of(
        id={**ID, "description": "the id the recording has, or will have"},
        sessionId=ID,
        callId={"type": "string", "description": "SIP Call-ID of the recording session"},
        callGroup={"type": "string", "description": "links the recordings of one call or chain"},
        state=words_of(sorted(LIVE_STATES)),
        capture={"type": "string", "description": "where its capture stands: pre-roll, paused, held, ..."},
        mode=words_of(RecordingMode),
        owner=MAYBE_TEXT,
        direction=words_of(Direction),
        layout=words_of(Layout),
        startedAt=TIME,
        pausedAt=maybe(TIME),
        graceUntil=maybe(TIME),
        parties=list_of(object_of(**{**_PARTY, "toMs": maybe(COUNT)})),
        commands=object_of(
            **{verb: object_of(allowed={"type": "boolean"}, reason=MAYBE_TEXT) for verb in VERBS}
        ),
    ),
    "CallPage": page_of("Call"),
    "Command": object_of(
        id=ID,
        call={**ID, "description": "id of the call and its recording"},
        verb=words_of(VERBS),
        effectiveAt={**maybe(TIME), "description": "from this moment it counts, exact to a packet"},
    ),
    "RecordingSettings": object_of(
        mode=words_of(RecordingMode),
        ownModes={**list_of(words_of(RecordingMode)), "description": "what the person may choose from"},
        licence=maybe(words_of(RetentionClass)),
        keepNext=maybe(object_of(until=TIME)),
    ),
    "RecordingSettingsPatch": {**object_of(mode=words_of(RecordingMode)), "required": []},
    "NewKeepNext": {
        **object_of(until=TIME, minutes={"type": "integer", "minimum": 1, "maximum": KEEP_NEXT_MIN_MAX}),
        "required": [],
        "maxProperties": 1,
        "description": f"without either, for {KEEP_NEXT_MIN_DEFAULT} minutes",
    },
    "KeepNext": object_of(until=TIME),
    "Problem": {
        "type": "object",
        "description": "RFC 9457. `instance` is the reference of the request.",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "instance": {"type": "string", "format": "uri"},
            "errors": list_of(object_of(parameter=TEXT, detail=TEXT)),
            "requiredScope": TEXT,
        },
        "required": ["type", "title", "status", "detail", "instance"],
    },
}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_PATH_ID: Final[Schema] = {"name": "id", "in": "path", "required": True, "schema": ID}

PARAMETERS: Final[dict[str, Schema]] = {
    "id": {**_PATH_ID, "description": "id of the thing, as its list says"},
    "callId": {**_PATH_ID, "description": "id of the call, which is that of its recording"},
    "sessionId": {**_PATH_ID, "description": "id of the session"},
    "lastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": TEXT,
        "description": "id of the last event received: what came after it follows, for a day",
    },
    "q": _query(
        "q",
        {"type": "string", "maxLength": SEARCH_CHARS_MAX},
        "a number in any spelling or part of one, words of names, notes, comments and labels, or an id",
    ),
    "user": _query("user", TEXT, "id of the recorded user"),
    "from": _query(
        "from", TEXT, "earliest start: a time with offset, or a date (midnight in Europe/Amsterdam)"
    ),
    "to": _query(
        "to", TEXT, "starts before this: a time with offset, or a date (midnight in Europe/Amsterdam)"
    ),
    "direction": _query("direction", words_of(Direction), "seen from the recorded user"),
    "mode": _query("mode", words_of(RecordingMode), "recording mode"),
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
        "format",
        {"type": "string", "enum": ["flac", "wav", "mp4", "opus"], "default": "flac"},
        "form of the audio; mp4 holds the same FLAC with an index for browsers, opus is a small Ogg file "
        "made anew for each request, a range of it too",
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
    "purpose": {
        "name": "X-Purpose",
        "in": "header",
        "schema": {"type": "string", "maxLength": PURPOSE_CHARS_MAX},
        "description": "why a recording of somebody else is opened, percent-encoded; stands in its history. "
        "Without it 403 `purpose-required` where the tenant's policy wants one",
    },
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
