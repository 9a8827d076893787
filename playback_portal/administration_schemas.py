"""The JSON and the operations of the administration's routes, for the OpenAPI document.

Rules: literal data only; the same tests hold it against the routes and what they answer
as those of `playback_portal.schemas` and `operations`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.directory import NAME_CHARS_MAX, NUMBERS_PER_USER_MAX
from archive.model import (
    CUSTOMER_ROLES,
    EXPORTS_ALONE_MAX,
    IDLE_MINUTES_MAX,
    IDLE_MINUTES_MIN,
    KEEP_GRACE_H_MAX,
    TRASH_DAYS_MAX,
    AboveCap,
    RecordingMode,
    RetentionClass,
)
from archive.roster import COLUMNS, NONE, RESULTS
from playback_portal.grounds_schemas import GROUNDS_OPERATIONS, GROUNDS_SCHEMAS
from playback_portal.look_schemas import LOOK_OPERATIONS, LOOK_SCHEMAS
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.rights_schemas import RIGHTS_OPERATIONS, RIGHTS_PARAMETERS, RIGHTS_SCHEMAS
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

_MAYBE_COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
_LICENCE: Final[Schema] = {"type": ["string", "null"], "enum": [*map(str, RetentionClass), None]}
_WANTED_LICENCE: Final[Schema] = {**_LICENCE, "enum": [*map(str, RetentionClass), NONE, None]}
_LOGIN: Final[Schema] = {"type": "string", "description": "sign-in name and the tenant's domain"}
_NUMBERS: Final[Schema] = {
    "type": ["array", "null"],
    "maxItems": NUMBERS_PER_USER_MAX,
    "items": {"type": "string", "description": "a number, a range, or an address of record"},
}
_NAME: Final[Schema] = {"type": ["string", "null"], "maxLength": NAME_CHARS_MAX}
_GRACE: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": KEEP_GRACE_H_MAX}

_ALONE: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": EXPORTS_ALONE_MAX}
_ALONE_MEANS: Final = "recordings one person exports within a day without a second person"
_TRASH: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": TRASH_DAYS_MAX}
_TRASH_MEANS: Final = "days what two people let go early can be put back; fewer takes a second person"
_IDLE: Final[Schema] = {"type": "integer", "minimum": IDLE_MINUTES_MIN, "maximum": IDLE_MINUTES_MAX}
_IDLE_MEANS: Final = "minutes without anything done after which a browser is signed out"
_WHOSE_LIST: Final = "the person for whose calls it counts; null for all calls of the tenant"
_PURPOSE: Final = "whether opening a recording of somebody else takes the header X-Purpose"

_USER_FIELDS: Final[dict[str, Schema]] = {
    "numbers": _NUMBERS,
    "broadworksId": _NAME,
    "role": words_of(CUSTOMER_ROLES),
    "access": {"type": "string", "enum": ["none", "own"]},
    "site": _NAME,
    "licence": _WANTED_LICENCE,
    "mode": words_of(RecordingMode),
    "ownModes": {"type": ["array", "null"], "items": words_of(RecordingMode)},
}


def _fields(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """Return a closed object of which only `required` must be given."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


ADMINISTRATION_SCHEMAS: Final[dict[str, Schema]] = {
    **RIGHTS_SCHEMAS,
    **GROUNDS_SCHEMAS,
    **LOOK_SCHEMAS,
    "User": object_of(
        id=ID,
        login=_LOGIN,
        numbers=list_of(TEXT),
        broadworksId=MAYBE_TEXT,
        role=words_of(CUSTOMER_ROLES),
        access={"type": "string", "enum": ["none", "own"]},
        site=MAYBE_TEXT,
        licence=_LICENCE,
        mode=words_of(RecordingMode),
        ownModes=list_of(words_of(RecordingMode)),
        leftAt={
            "type": ["string", "null"],
            "format": "date-time",
            "description": "since when they are gone; their recordings stay",
        },
    ),
    "UserPage": page_of("User"),
    "NewUser": _fields({"login": _LOGIN, **_USER_FIELDS}, ("login",)),
    "UserPatch": _fields(_USER_FIELDS),
    "LicencePeriod": object_of(
        licence=_LICENCE, validFrom=TIME, validUntil={"type": ["string", "null"], "format": "date-time"}
    ),
    "LicencePeriodPage": page_of("LicencePeriod"),
    "LicencePreview": object_of(
        userId=ID,
        before=_LICENCE,
        after=_LICENCE,
        countsFrom={**TIME, "description": "calls that begin from then on get the new class"},
        kept={
            **list_of(object_of(retentionClass=words_of(RetentionClass), count=COUNT, retainUntil=TIME)),
            "description": "recordings that exist and keep their class, with the last to expire",
        },
        usedSeconds=COUNT,
        capSeconds=_MAYBE_COUNT,
        aboveCap={"type": "boolean", "description": "whether the minutes of this month are used up"},
        obstacle={"type": ["string", "null"], "description": "why the change alone would be refused"},
    ),
    "Minutes": object_of(
        userId=ID,
        month={"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "description": "in Europe/Amsterdam"},
        licence=_LICENCE,
        usedSeconds=COUNT,
        capSeconds=_MAYBE_COUNT,
        percent=_MAYBE_COUNT,
        aboveCap=words_of(AboveCap),
    ),
    "ImportResult": object_of(line=COUNT, login=TEXT, result=words_of(RESULTS), reason=MAYBE_TEXT),
    "ImportResultPage": page_of("ImportResult"),
    "People": {
        "type": "string",
        "description": f"CSV in UTF-8 with a heading of some of {', '.join(COLUMNS)}; several numbers or "
        "own-modes are separated by blanks, an empty cell changes nothing.",
    },
    "Policy": object_of(
        keepGraceHours=_GRACE,
        aboveCap=words_of(AboveCap),
        purposeRequired={"type": "boolean", "description": _PURPOSE},
        exportsAloneMax={**_ALONE, "description": _ALONE_MEANS},
        trashDays={**_TRASH, "description": _TRASH_MEANS},
        idleMinutes={**_IDLE, "description": _IDLE_MEANS},
    ),
    "PolicyPatch": _fields(
        {
            "keepGraceHours": {**_GRACE, "type": ["integer", "null"]},
            "aboveCap": {"type": ["string", "null"], "enum": [*map(str, AboveCap), None]},
            "purposeRequired": {"type": ["boolean", "null"], "description": _PURPOSE},
            "exportsAloneMax": {**_ALONE, "type": ["integer", "null"], "description": _ALONE_MEANS},
            "trashDays": {**_TRASH, "type": ["integer", "null"], "description": _TRASH_MEANS},
            "idleMinutes": {**_IDLE, "type": ["integer", "null"], "description": _IDLE_MEANS},
        }
    ),
    "DoNotRecordEntry": object_of(
        id=ID, numbers=TEXT, reason=TEXT, userId={"type": ["string", "null"], "description": _WHOSE_LIST}
    ),
    "DoNotRecordPage": page_of("DoNotRecordEntry"),
    "NewDoNotRecordEntry": _fields(
        {
            "numbers": TEXT,
            "reason": TEXT,
            "userId": {"type": ["string", "null"], "description": _WHOSE_LIST},
        },
        ("numbers", "reason"),
    ),
    "ExemptNumber": object_of(
        id={"type": "string", "description": "on the floor list the number itself"},
        number=TEXT,
        origin={"type": "string", "enum": ["floor", "operator", "tenant"]},
        removable={"type": "boolean"},
    ),
    "ExemptNumberPage": page_of("ExemptNumber"),
    "NewExemptNumber": object_of(number=TEXT),
    "NewAssignment": object_of(userId=ID),
    "QuarantineTask": object_of(
        recordingId=ID,
        task={"type": "string", "enum": ["assign", "destroy"]},
        userId={"type": ["string", "null"], "description": "whose recording it becomes"},
    ),
}

ADMINISTRATION_PARAMETERS: Final[dict[str, Schema]] = {
    **RIGHTS_PARAMETERS,
    "month": {
        "name": "month",
        "in": "query",
        "schema": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"},
        "description": "a month of Europe/Amsterdam, default this one",
    },
    "licence": {
        "name": "licence",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "enum": [*map(str, RetentionClass), NONE]},
        "description": "the licence to be given",
    },
}

ADMINISTRATION_OPERATIONS: Final[dict[str, Operation]] = {
    **RIGHTS_OPERATIONS,
    **GROUNDS_OPERATIONS,
    **LOOK_OPERATIONS,
    "list_users": Operation("People, by login", ("q", "limit", "cursor"), "UserPage", refusals=(400,)),
    "post_user": Operation("Add a person", (), "User", refusals=(409,), status=201, body="NewUser"),
    "post_import": Operation(
        "Add or change people from a CSV file, with a result per row",
        (),
        "ImportResultPage",
        body="People",
        body_media_types=("text/csv",),
    ),
    "get_user": Operation("One person", ("id",), "User", refusals=(400, 404)),
    "patch_user": Operation(
        "Change a person by a merge patch; nobody changes their own role",
        ("id", "ifMatch"),
        "User",
        refusals=(404, 409, 412),
        body="UserPatch",
        body_media_types=(MERGE_PATCH, JSON),
        waits=True,
    ),
    "delete_user": Operation(
        "A person leaves: recordings stay, licence and numbers are free, they sign in no more",
        ("id",),
        refusals=(400, 404, 409),
        status=204,
    ),
    "post_return": Operation(
        "Take a departure back: the person has again what is still free of what they had",
        ("id",),
        "User",
        refusals=(400, 404, 409),
    ),
    "list_licences": Operation(
        "The licences of a person with their dates, oldest first",
        ("id",),
        "LicencePeriodPage",
        refusals=(400, 404),
    ),
    "get_licence_preview": Operation(
        "What another licence would change; nothing is changed",
        ("id", "licence"),
        "LicencePreview",
        refusals=(400, 404),
    ),
    "get_minutes": Operation(
        "Recorded time of a person in a month, and what the licence allows",
        ("id", "month"),
        "Minutes",
        refusals=(400, 404),
    ),
    "get_policy": Operation("What the tenant decided for all its people", (), "Policy", refusals=(400,)),
    "patch_policy": Operation(
        "Change the policy by a merge patch",
        ("ifMatch",),
        "Policy",
        refusals=(409, 412),
        body="PolicyPatch",
        body_media_types=(MERGE_PATCH, JSON),
        waits=True,
    ),
    "list_do_not_record": Operation(
        "Numbers never recorded, with the reason; metadata is kept", (), "DoNotRecordPage", refusals=(400,)
    ),
    "post_do_not_record": Operation(
        "Never record a number, range or address of record",
        (),
        "DoNotRecordEntry",
        refusals=(409,),
        status=201,
        body="NewDoNotRecordEntry",
    ),
    "delete_do_not_record": Operation("Record a number again", ("id",), refusals=(400, 404), status=204),
    "list_exempt_numbers": Operation(
        "Numbers of which nothing is kept: floor list, operator's and tenant's",
        (),
        "ExemptNumberPage",
        refusals=(400,),
    ),
    "post_exempt_number": Operation(
        "Make a number exempt", (), "ExemptNumber", refusals=(409,), status=201, body="NewExemptNumber"
    ),
    "delete_exempt_number": Operation(
        "Remove a number the tenant made exempt; others can't be removed",
        ("id",),
        refusals=(400, 404),
        status=204,
    ),
    "list_quarantine": Operation(
        "Recordings of nobody we know, newest first; needs recordings:read too",
        ("limit", "cursor"),
        "RecordingPage",
        refusals=(400,),
    ),
    "post_assignment": Operation(
        "Give a quarantined recording to a person, under their licence then; needs recordings:read too",
        ("id",),
        "QuarantineTask",
        refusals=(404, 409),
        status=202,
        body="NewAssignment",
    ),
    "delete_recording": Operation(
        "Destroy a quarantined recording, no other; needs recordings:read too",
        ("id",),
        "QuarantineTask",
        refusals=(400, 404, 409),
        status=202,
    ),
}
