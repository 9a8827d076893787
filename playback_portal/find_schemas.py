"""The JSON, parameters and operations of finding, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.recordings import Sort
from archive.catalogue.saved_searches import NAME_CHARS_MAX, QUERY_CHARS_MAX
from playback_portal.filters import HAS, NO_LABEL, WITHIN_DAYS_MAX
from playback_portal.operations import MERGE_PATCH, Operation
from playback_portal.schemas import ID, TEXT, TIME, Schema, object_of, page_of, words_of

_FLAG: Final[Schema] = {"type": "boolean"}
_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX}
_QUERY: Final[Schema] = {
    "type": "string",
    "maxLength": QUERY_CHARS_MAX,
    "description": "query string of `GET /v1/recordings`, without limit and cursor",
}

FIND_SCHEMAS: Final[dict[str, Schema]] = {
    "SavedSearch": object_of(
        id=ID,
        name=TEXT,
        query=_QUERY,
        shared={**_FLAG, "description": "whether everybody of the tenant sees it"},
        own={**_FLAG, "description": "whether who asks made it"},
        savedAt=TIME,
    ),
    "SavedSearchPage": page_of("SavedSearch"),
    "NewSavedSearch": {
        **object_of(name=_NAME, query=_QUERY, shared=_FLAG),
        "required": ["name", "query"],
    },
    "SavedSearchPatch": {**object_of(name=_NAME, query=_QUERY, shared=_FLAG), "required": []},
}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


FIND_PARAMETERS: Final[dict[str, Schema]] = {
    "savedSearchId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the search",
    },
    "team": _query("team", TEXT, "id of a team: what began while its owner contributed to it"),
    "within": _query(
        "within",
        {"type": "integer", "minimum": 1, "maximum": WITHIN_DAYS_MAX},
        "began in the last so many days, today being one; `from` goes before it",
    ),
    "case": _query("case", ID, "id of a case the recording is in"),
    "label": _query("label", TEXT, f"id of a label, or `{NO_LABEL}` for recordings without any"),
    "has": _query("has", TEXT, f"what it must have, with commas between: {', '.join(HAS)}"),
    "sort": _query("sort", {**words_of(Sort), "default": Sort.NEWEST.value}, "the order"),
}

SEARCH_PARAMETERS: Final = (
    "q",
    "user",
    "team",
    "from",
    "to",
    "within",
    "direction",
    "mode",
    "minDuration",
    "label",
    "case",
    "has",
    "sort",
)

FIND_OPERATIONS = {
    "list_recordings": Operation(
        "Recordings, newest first",
        (*SEARCH_PARAMETERS, "limit", "cursor"),
        "RecordingPage",
        refusals=(400,),
    ),
    "list_saved_searches": Operation(
        "Kept searches: one's own, and those shared in the tenant", (), "SavedSearchPage", refusals=(400,)
    ),
    "post_saved_search": Operation(
        "Keep a search", (), "SavedSearch", status=201, body="NewSavedSearch", refusals=(400, 409)
    ),
    "get_saved_search": Operation("One kept search", ("savedSearchId",), "SavedSearch", refusals=(400, 404)),
    "patch_saved_search": Operation(
        "Change one's own search",
        ("savedSearchId", "ifMatch"),
        "SavedSearch",
        body="SavedSearchPatch",
        body_media_types=("application/json", MERGE_PATCH),
        refusals=(400, 404, 409, 412),
    ),
    "delete_saved_search": Operation(
        "Delete one's own search, or as administrator a shared one",
        ("savedSearchId",),
        refusals=(400, 404),
        status=204,
    ),
}
