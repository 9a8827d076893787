"""The JSON, parameters and operations of exports, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.exports import RECORDINGS_COUNT_MAX, TEXT_CHARS_MAX, Container, ExportState
from archive.evidence.asic import MEDIA_TYPE
from playback_portal.operations import Operation
from playback_portal.schemas import ID, TEXT, TIME, Schema, list_of, maybe, object_of, page_of, words_of

_LINE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}

EXPORT_SCHEMAS: Final[dict[str, Schema]] = {
    "Export": object_of(
        id=ID,
        reference=TEXT,
        purpose=TEXT,
        recordingIds=list_of(ID),
        caseId={**maybe(ID), "description": "the case it is of"},
        leftOut={**_COUNT, "description": "recordings of the case without sound to export"},
        container=words_of(Container),
        state=words_of(ExportState),
        done=_COUNT,
        total=_COUNT,
        sizeBytes=maybe(_COUNT),
        reason=maybe(TEXT),
        askedBy=ID,
        askedAt=TIME,
        readyAt=maybe(TIME),
        endsAt=TIME,
    ),
    "AskedExport": {
        "description": "the export, or what waits for a second person because it is so many",
        "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Export", "Approval")],
    },
    "ExportPage": page_of("Export"),
    "NewExport": {
        **object_of(
            reference=_LINE,
            purpose=_LINE,
            recordingIds={**list_of(ID), "minItems": 1, "maxItems": RECORDINGS_COUNT_MAX},
            caseId={**ID, "description": "all recordings of a case, in place of recordingIds"},
            container={**words_of(Container), "description": "zip when it is not said"},
        ),
        "required": ["reference", "purpose"],
    },
}

EXPORT_PARAMETERS: Final[dict[str, Schema]] = {
    "exportId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the export",
    },
}

EXPORT_OPERATIONS: Final[dict[str, Operation]] = {
    "list_exports": Operation(
        "Exports of evidence, newest first", ("limit", "cursor"), "ExportPage", refusals=(400,)
    ),
    "get_export": Operation("One export, and how far it is", ("exportId",), "Export", refusals=(400, 404)),
    "post_export": Operation(
        "Ask for recordings, or a case, as a package of evidence; only an auditor who signed in",
        (),
        "AskedExport",
        refusals=(404, 409),
        status=202,
        body="NewExport",
    ),
    "get_package": Operation(
        "The package as a zip or ASiC-E container, or a range of it",
        ("exportId",),
        media_types=("application/zip", MEDIA_TYPE),
        refusals=(400, 404, 409, 416),
    ),
}
