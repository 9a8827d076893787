"""The JSON, parameters and operations of the audit log, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.audit_chain import FIELD_CHARS_MAX
from archive.transparency.proof import FORMAT
from playback_portal.operations import JSON, Operation
from playback_portal.schemas import COUNT, MAYBE_TEXT, TEXT, TIME, Schema, list_of, object_of, page_of

_FIELD: Final[Schema] = {"type": "string", "maxLength": FIELD_CHARS_MAX}


def _query(name: str, description: str, schema: Schema = _FIELD) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


AUDIT_SCHEMAS: Final[dict[str, Schema]] = {
    "LogEntry": object_of(
        id=TEXT,
        object=TEXT,
        at=TIME,
        actor=TEXT,
        action=TEXT,
        result=TEXT,
        details={"type": ["object", "null"]},
        writer=TEXT,
        sequence=COUNT,
        hash=TEXT,
    ),
    "LogEntryPage": page_of("LogEntry"),
    "LogEntryProof": object_of(
        format={"type": "string", "const": FORMAT},
        entry={"type": "string", "description": "the JSON the entry's hash covers, octet by octet"},
        salt=MAYBE_TEXT,
        body={"type": ["string", "null"], "description": "canonical JSON, null when it was erased"},
        leaf=TEXT,
        index=COUNT,
        size=COUNT,
        path=list_of(TEXT),
        checkpoint={"type": "string", "description": "the signed note the path leads to"},
    ),
}

AUDIT_PARAMETERS: Final[dict[str, Schema]] = {
    "auditFrom": _query("from", "not before this: a time with offset, or a date in Europe/Amsterdam", TEXT),
    "auditTo": _query("to", "before this: a time with offset, or a date in Europe/Amsterdam", TEXT),
    "auditActor": _query("actor", "who did it: user:<id>, api-client:<id>, or a part of the service"),
    "auditAction": _query("action", "what was done, for instance recording.played"),
    "auditObject": _query("object", "with what, for instance recording:<id>"),
    "auditResult": _query("result", "how it went: ok, refused, failed, unconfirmed"),
    "auditFormat": _query("format", "json, or csv for a file", {"type": "string", "enum": ["json", "csv"]}),
    "auditEntry": {
        "name": "entry",
        "in": "path",
        "required": True,
        "schema": TEXT,
        "description": "id of the entry",
    },
}

AUDIT_OPERATIONS: Final[dict[str, Operation]] = {
    "list_audit_entries": Operation(
        "What was done in the tenant, newest first",
        (
            "auditFrom",
            "auditTo",
            "auditActor",
            "auditAction",
            "auditObject",
            "auditResult",
            "auditFormat",
            "limit",
            "cursor",
        ),
        "LogEntryPage",
        refusals=(400,),
    ),
    "get_audit_proof": Operation(
        "The proof that an entry stands in the sealed log, to be checked without the service",
        ("auditEntry",),
        "LogEntryProof",
        media_types=(JSON,),
        refusals=(400, 404, 409),
    ),
}
