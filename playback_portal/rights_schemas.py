"""The JSON and the operations of teams and rights, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.access import Right
from archive.catalogue.directory import NAME_CHARS_MAX, Capacity
from archive.catalogue.rights import Reason
from archive.model import CUSTOMER_ROLES
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.schemas import (
    COUNT,
    ID,
    MAYBE_TEXT,
    TEXT,
    TIME,
    Schema,
    list_of,
    object_of,
    page_of,
    words_of,
)

_FLAG: Final[Schema] = {"type": "boolean"}
_MAYBE_FLAG: Final[Schema] = {"type": ["boolean", "null"]}
_MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX}
_RIGHTS: Final[Schema] = object_of(**dict.fromkeys(Right, _FLAG))
_SETTINGS: Final[Schema] = object_of(**dict.fromkeys(Right, _MAYBE_FLAG))
_SWITCHES: Final[Schema] = {**_SETTINGS, "required": []}
_EARLIER: Final = "whether the team hears what its members recorded before they came"


def _patch(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


RIGHTS_SCHEMAS: Final[dict[str, Schema]] = {
    "Team": object_of(
        id=ID,
        name=TEXT,
        hearsEarlier={**_FLAG, "description": _EARLIER},
        rights={**_RIGHTS, "description": "what its members may do beside hearing"},
        listeners=COUNT,
        contributors=COUNT,
    ),
    "TeamPage": page_of("Team"),
    "NewTeam": object_of(name=_NAME),
    "TeamPatch": _patch(name=_NAME, hearsEarlier={**_FLAG, "description": _EARLIER}, rights=_SWITCHES),
    "Membership": object_of(
        userId=ID, login=TEXT, **{"as": words_of(Capacity)}, since=TIME, until=_MAYBE_TIME
    ),
    "MembershipPage": page_of("Membership"),
    "NewMembership": object_of(userId=ID, **{"as": words_of(Capacity)}),
    "Rights": object_of(
        teams=list_of(object_of(teamId=ID, name=TEXT, rights=_RIGHTS)),
        people={
            **list_of(object_of(userId=ID, login=TEXT, role=words_of(CUSTOMER_ROLES), rights=_SETTINGS)),
            "description": "people with a setting of their own; null follows their teams",
        },
    ),
    "RightsPatch": _patch(
        teams={"type": "object", "additionalProperties": _SWITCHES, "description": "by id of the team"},
        people={"type": "object", "additionalProperties": _SWITCHES, "description": "by id of the user"},
    ),
    "Hearer": object_of(
        reason={
            **words_of(Reason),
            "description": "by a case: what it holds of the person, whenever that began",
        },
        userId={"type": ["string", "null"], "format": "uuid"},
        name={"type": "string", "description": "login, or the name of an API client"},
        teamId={"type": ["string", "null"], "format": "uuid"},
        teamName=MAYBE_TEXT,
        since={**_MAYBE_TIME, "description": "of recordings that began from then on; null from the first"},
        until={**_MAYBE_TIME, "description": "and before this; null for all"},
        **{"as": {"type": ["string", "null"], "enum": [*map(str, Capacity), None]}},
    ),
    "HearerPage": page_of("Hearer"),
}

RIGHTS_PARAMETERS: Final[dict[str, Schema]] = {
    "past": {
        "name": "past",
        "in": "query",
        "schema": {"type": "string", "enum": ["0", "1"], "default": "0"},
        "description": "1 for those who left too",
    },
    "as": {
        "name": "as",
        "in": "query",
        "schema": words_of(Capacity),
        "description": "in which way they leave; without it in every way",
    },
    "userInPath": {
        "name": "user",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the user",
    },
}

_BODIES = (MERGE_PATCH, JSON)

RIGHTS_OPERATIONS: Final[dict[str, Operation]] = {
    "list_teams": Operation("Teams, by name", (), "TeamPage", refusals=(400,)),
    "post_team": Operation("Add a team", (), "Team", refusals=(409,), status=201, body="NewTeam"),
    "get_team": Operation("One team", ("id",), "Team", refusals=(400, 404)),
    "patch_team": Operation(
        "Change a team by a merge patch",
        ("id", "ifMatch"),
        "Team",
        refusals=(404, 409, 412),
        body="TeamPatch",
        body_media_types=_BODIES,
    ),
    "delete_team": Operation(
        "Remove a team: nobody hears anybody by way of it any more", ("id",), refusals=(400, 404), status=204
    ),
    "list_members": Operation(
        "Who is in a team, since when", ("id", "past"), "MembershipPage", refusals=(400, 404)
    ),
    "post_member": Operation(
        "Put somebody into a team from now on; twice is once",
        ("id",),
        "Membership",
        refusals=(404,),
        status=201,
        body="NewMembership",
    ),
    "delete_member": Operation(
        "Take somebody out of a team from now on",
        ("id", "userInPath", "as"),
        refusals=(400, 404),
        status=204,
    ),
    "get_rights": Operation("What teams and people may do beside hearing", (), "Rights", refusals=(400,)),
    "patch_rights": Operation(
        "Switch rights by a merge patch; null lets a person follow their teams",
        ("ifMatch",),
        "Rights",
        refusals=(412,),
        body="RightsPatch",
        body_media_types=_BODIES,
    ),
    "list_hearers": Operation(
        "Everybody who hears the recordings of a person, and why", ("id",), "HearerPage", refusals=(400, 404)
    ),
}
