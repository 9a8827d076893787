"""What operators are told over the API: shapes and operations.

Rules: literal data only.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.retention_figures import Figure
from archive.catalogue.sessions import TERM_CHARS_MAX
from archive.model import OutcomeKind
from playback_portal.operation import Trouble, Verdict
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

_PAGE = ("limit", "cursor")
_READING = object_of(value={"type": "integer"}, at=TIME)

OPERATION_SCHEMAS: Final[dict[str, Schema]] = {
    "OperatorStatus": object_of(
        recorded=words_of(Verdict),
        troubles=list_of(words_of(Trouble)),
        recorders=COUNT,
        recordersThere=COUNT,
        recordings=maybe(COUNT),
        waiting=maybe(COUNT),
        waitingSince=maybe(TIME),
        storeAnswers={"type": "boolean", "description": "whether the object store answers this portal now"},
        countedAt={**maybe(TIME), "description": "when a worker counted the figures of retention last"},
        outcomesOfDay=object_of(**{kind.value: COUNT for kind in OutcomeKind}),
        certificates=list_of(object_of(name=TEXT, node=MAYBE_TEXT, endsAt=TIME, days={"type": "integer"})),
        rootKeySince=maybe(TIME),
        oldestKekExpires=maybe(TIME),
        backupAt=maybe(TIME),
        lockTriedAt=maybe(TIME),
        lockProved={"type": ["boolean", "null"]},
        scrubCountedAt=maybe(TIME),
        scrubRecordings=maybe(COUNT),
        scrubOverdue=maybe(COUNT),
        scrubFindings=maybe(COUNT),
        retention={
            "type": "object",
            "properties": {figure.value: _READING for figure in Figure},
            "additionalProperties": False,
        },
    ),
    "OperatedTenant": object_of(
        id=ID,
        name=TEXT,
        domain=TEXT,
        people=COUNT,
        recordings=COUNT,
        sizeBytes={**COUNT, "description": "sealed octets of what stands"},
        recordedS={**COUNT, "description": "seconds recorded since the first of this month"},
    ),
    "OperatedTenantPage": page_of("OperatedTenant"),
    "OperatedNode": object_of(
        name=TEXT,
        silentS={"type": "number"},
        isThere={"type": "boolean"},
        version=MAYBE_TEXT,
        recordings=maybe(COUNT),
        waiting=maybe(COUNT),
        waitingSince=maybe(TIME),
        journalBytes=maybe(COUNT),
        journalSince=maybe(TIME),
        unreadyReason={**MAYBE_TEXT, "description": "why it takes no new call; empty when it does"},
    ),
    "OperatedNodePage": page_of("OperatedNode"),
    "OperatedSession": object_of(
        id=TEXT,
        tenantId=maybe(ID),
        callId=TEXT,
        outcome=words_of(OutcomeKind),
        reason=TEXT,
        startedAt=TIME,
        endedAt=TIME,
        recordings=COUNT,
    ),
    "OperatedSessionPage": page_of("OperatedSession"),
}

OPERATION_PARAMETERS: Final[dict[str, Schema]] = {
    "sessionTerm": {
        "name": "q",
        "in": "query",
        "description": "a SIP Call-ID, the id of a session, or what the exchange calls the call: those alone",
        "schema": {"type": "string", "maxLength": TERM_CHARS_MAX},
    },
}

OPERATION_OPERATIONS = {
    "get_operator_status": Operation(
        "How the instance runs, for its operators; null is what is not known",
        (),
        "OperatorStatus",
        refusals=(400,),
    ),
    "list_operator_tenants": Operation(
        "The tenants in numbers, by domain", (), "OperatedTenantPage", refusals=(400,)
    ),
    "list_operator_nodes": Operation("The recorders, by name", (), "OperatedNodePage", refusals=(400,)),
    "list_operator_sessions": Operation(
        "How offered sessions of all tenants ended, newest first",
        ("sessionTerm", *_PAGE),
        "OperatedSessionPage",
        refusals=(400,),
    ),
}
