"""The JSON, parameters and operations of what takes two people, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.approval import REASON_CHARS_MAX, Kind, State
from playback_portal.operations import Operation
from playback_portal.schemas import ID, MAYBE_TEXT, TEXT, TIME, Schema, maybe, object_of, page_of, words_of

APPROVAL_SCHEMAS: Final[dict[str, Schema]] = {
    "Approval": object_of(
        id=ID,
        kind=words_of(Kind),
        about={**TEXT, "description": "what it is about, as the audit log names it: `user:<id>`"},
        parameters={"type": "object", "description": "what is to be done, by kind"},
        reason=TEXT,
        state=words_of(State),
        proposedBy={**TEXT, "description": "`user:<id>`, or `operator:<number>`"},
        proposedAt=TIME,
        expiresAt=TIME,
        decidedBy=MAYBE_TEXT,
        decidedAt=maybe(TIME),
    ),
    "ApprovalPage": page_of("Approval"),
    "NewDestruction": {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "minLength": 1, "maxLength": REASON_CHARS_MAX},
            "atOnce": {
                "type": "boolean",
                "description": "for an erasure the law asks for: it does not wait in the trash",
            },
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
}

APPROVAL_PARAMETERS: Final[dict[str, Schema]] = {
    "approvalId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the proposal",
    },
    "waiting": {
        "name": "waiting",
        "in": "query",
        "schema": {"type": "string", "enum": ["0", "1"]},
        "description": "1: only what waits for a second person; 0: only what was decided or is over",
    },
}

APPROVAL_OPERATIONS: Final[dict[str, Operation]] = {
    "list_approvals": Operation(
        "What takes two people: proposals, newest first",
        ("waiting", "limit", "cursor"),
        "ApprovalPage",
        refusals=(400,),
    ),
    "get_approval": Operation("One proposal", ("approvalId",), "Approval", refusals=(400, 404)),
    "post_approval": Operation(
        "Approve what another person proposed, shortly after signing in; it is done by this",
        ("approvalId",),
        "Approval",
        refusals=(400, 404, 409),
        status=201,
    ),
    "post_approval_refusal": Operation(
        "Refuse what another person proposed",
        ("approvalId",),
        "Approval",
        refusals=(400, 404, 409),
        status=201,
    ),
    "delete_approval": Operation(
        "Withdraw what oneself proposed", ("approvalId",), refusals=(400, 404, 409), status=204
    ),
    "post_early_destruction": Operation(
        "Propose to destroy a recording before its term; another person approves",
        ("id",),
        "Approval",
        refusals=(404, 409),
        status=202,
        body="NewDestruction",
    ),
}
