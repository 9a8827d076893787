"""The JSON, parameters and operations of reports, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.reports.report import By, Kind, Name
from playback_portal.operations import JSON, Operation
from playback_portal.schemas import MAYBE_TEXT, TEXT, TIME, Schema, list_of, object_of, words_of

_DAY: Final[Schema] = {"type": "string", "format": "date"}
_ROW: Final[Schema] = {
    "type": "object",
    "description": "a member for each column, null where there is nothing",
}

REPORT_SCHEMAS: Final[dict[str, Schema]] = {
    "Report": object_of(
        report={"type": "string", "enum": [each.value for each in Name]},
        by={"type": "string", "enum": [each.value for each in By]},
        **{"from": _DAY},
        to=_DAY,
        team=MAYBE_TEXT,
        asOf={**TIME, "description": "the numbers are true as of then"},
        columns=list_of(object_of(key=TEXT, kind={"type": "string", "enum": [each.value for each in Kind]})),
        rows=list_of(_ROW),
        totals=_ROW,
    ),
}

REPORT_PARAMETERS: Final[dict[str, Schema]] = {
    "report": {
        "name": "report",
        "in": "path",
        "required": True,
        "schema": TEXT,
        "description": f"one of {', '.join(Name)}",
    },
    "reportFrom": {
        "name": "from",
        "in": "query",
        "schema": _DAY,
        "description": "the first day, in Europe/Amsterdam; the first of the month where it is left out",
    },
    "reportTo": {
        "name": "to",
        "in": "query",
        "schema": _DAY,
        "description": "the last day, which counts whole; today where it is left out",
    },
    "reportBy": {
        "name": "by",
        "in": "query",
        "schema": words_of((By.USER, By.TEAM, By.DAY, By.FORM, By.PEER, By.SITE)),
        "description": "what a row is about, where the report can be grouped by it",
    },
    "reportTeam": {
        "name": "team",
        "in": "query",
        "schema": TEXT,
        "description": "id of a team: recordings of who contributed to it when they began",
    },
    "reportFormat": {
        "name": "format",
        "in": "query",
        "schema": {"type": "string", "enum": ["json", "csv", "xlsx", "pdf"]},
        "description": "json, or a file",
    },
    "reportLanguage": {
        "name": "language",
        "in": "query",
        "schema": {"type": "string", "enum": ["nl", "en"]},
        "description": "of a file: its words, and how its numbers are written",
    },
}

REPORT_OPERATIONS: Final[dict[str, Operation]] = {
    "get_report": Operation(
        "Figures of a period, as JSON or as a file",
        ("report", "reportFrom", "reportTo", "reportBy", "reportTeam", "reportFormat", "reportLanguage"),
        "Report",
        media_types=(JSON,),
        refusals=(400, 404),
    ),
}
