"""The JSON and the operations of a tenant's grounds for recording, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.grounds import (
    BALANCING_CHARS_MAX,
    NOTICE_CHARS_MAX,
    PURPOSE_CHARS_MAX,
    PURPOSES_MAX,
    LegalBasis,
    Telling,
)
from playback_portal.operations import Operation
from playback_portal.schemas import ID, TEXT, TIME, Schema, object_of, words_of

_PURPOSES: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "maxItems": PURPOSES_MAX,
    "items": {"type": "string", "minLength": 1, "maxLength": PURPOSE_CHARS_MAX},
    "description": "what recordings are made for",
}
_BASIS: Final[Schema] = {**words_of(LegalBasis), "description": "the point of GDPR article 6(1)"}
_BALANCING: Final[Schema] = {
    "type": "string",
    "maxLength": BALANCING_CHARS_MAX,
    "description": "why a legitimate interest outweighs that of the people heard; empty for other bases",
}
_NOTICE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": NOTICE_CHARS_MAX}
_TOLD_BY: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": words_of(Telling),
    "description": "how callers and employees are told",
}
_WORDS: Final[dict[str, Schema]] = {
    "purposes": _PURPOSES,
    "legalBasis": _BASIS,
    "balancing": _BALANCING,
    "noticeNl": _NOTICE,
    "noticeEn": _NOTICE,
    "toldBy": _TOLD_BY,
}
_VERSION: Final[Schema] = {"$ref": "#/components/schemas/GroundsVersion"}

GROUNDS_SCHEMAS: Final[dict[str, Schema]] = {
    "GroundsVersion": object_of(
        id=ID,
        **_WORDS,
        standard={
            "type": "boolean",
            "description": "whether it is the provider's text",
        },
        registeredBy=TEXT,
        registeredAt=TIME,
    ),
    "RecordingGrounds": object_of(
        inForce={"anyOf": [_VERSION, {"type": "null"}]},
        versions={"type": "array", "items": _VERSION, "description": "the newest first"},
    ),
    "NewGrounds": {
        "type": "object",
        "properties": _WORDS,
        "required": [name for name in _WORDS if name != "balancing"],
        "additionalProperties": False,
    },
}

GROUNDS_OPERATIONS: Final[dict[str, Operation]] = {
    "get_recording_grounds": Operation(
        "Why the tenant records: purposes, legal basis and notice, with every earlier version",
        (),
        "RecordingGrounds",
        refusals=(400,),
    ),
    "post_recording_grounds": Operation(
        "Write down a new version; without any, switching recording on is refused (409, grounds-missing)",
        (),
        "GroundsVersion",
        status=201,
        body="NewGrounds",
    ),
}
