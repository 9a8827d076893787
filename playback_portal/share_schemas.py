"""The JSON, parameters and operations of play links, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.identities import EMAIL_CHARS_MAX
from archive.catalogue.mails import MailState
from archive.catalogue.share_policies import DAYS_MAX
from archive.catalogue.shares import (
    PIN_DIGITS_MAX,
    PIN_DIGITS_MIN,
    PLAYS_COUNT_MAX,
    SPAN_MS_MAX,
    TITLE_CHARS_MAX,
    Proof,
    ShareState,
)
from playback_portal.emails import FileFormat, Form
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.schemas import (
    COUNT,
    ID,
    MAYBE_TEXT,
    TEXT,
    TIME,
    Schema,
    maybe,
    object_of,
    page_of,
    words_of,
)
from playback_portal.shares import MESSAGE_CHARS_MAX

_TITLE: Final[Schema] = {
    "type": "string",
    "maxLength": TITLE_CHARS_MAX,
    "description": "what the visitor reads above the player",
}
_SPAN: Final[Schema] = {
    **COUNT,
    "description": f"milliseconds from the beginning; at most {SPAN_MS_MAX} are shared at once",
}
_PLAYS: Final[Schema] = {
    "type": ["integer", "null"],
    "minimum": 1,
    "maximum": PLAYS_COUNT_MAX,
    "description": "how often it may be played, null for as often as one likes",
}
_PIN: Final[Schema] = {"type": "string", "pattern": f"^[0-9]{{{PIN_DIGITS_MIN},{PIN_DIGITS_MAX}}}$"}
_FLAG: Final[Schema] = {"type": "boolean"}
_DAYS: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": DAYS_MAX}
_EMAIL: Final[Schema] = {"type": "string", "maxLength": EMAIL_CHARS_MAX}

_MESSAGE: Final[Schema] = {
    "type": "string",
    "maxLength": MESSAGE_CHARS_MAX,
    "description": "what the mail says beside the link or file",
}

_SHARE: Final[dict[str, Schema]] = {
    "id": ID,
    "recordingId": ID,
    "maker": {**TEXT, "description": "`user:<id>` or `api-client:<id>`"},
    "title": _TITLE,
    "fromMs": _SPAN,
    "toMs": _SPAN,
    "proof": words_of(Proof),
    "recipient": {**MAYBE_TEXT, "description": "address it was sent to, and codes go to"},
    "madeAt": TIME,
    "endsAt": TIME,
    "revokedAt": maybe(TIME),
    "playsMax": _PLAYS,
    "plays": COUNT,
    "playedAt": maybe(TIME),
    "state": words_of(ShareState),
}
_POLICY: Final[dict[str, Schema]] = {
    "linksAllowed": {**_FLAG, "description": "without it no play link works"},
    "daysMax": _DAYS,
    "proofRequired": {**_FLAG, "description": "each link asks for a PIN or a code by mail"},
    "filesAllowed": {**_FLAG, "description": "recordings may leave as files by mail"},
}

SHARE_SCHEMAS: Final[dict[str, Schema]] = {
    "Share": object_of(**_SHARE),
    "SharePage": page_of("Share"),
    "MadeShare": object_of(
        **_SHARE,
        link={**TEXT, "description": "shown this once"},
        pin={**MAYBE_TEXT, "description": "shown this once"},
    ),
    "NewShare": {
        **object_of(
            title=_TITLE,
            fromMs=_SPAN,
            toMs=_SPAN,
            endsAt=TIME,
            days=_DAYS,
            playsMax=_PLAYS,
            proof=words_of(Proof),
            pin=_PIN,
            to={**_EMAIL, "description": "the link is sent there by mail"},
            message=_MESSAGE,
        ),
        "required": [],
    },
    "SharePolicy": object_of(**_POLICY),
    "Mail": object_of(
        id=ID,
        to=TEXT,
        form={**words_of(Form), "description": "a play link, or the recording as a file"},
        state=words_of(MailState),
        reason={**TEXT, "description": "why it was not sent (yet)"},
        attempts=COUNT,
        queuedAt=TIME,
        settledAt=maybe(TIME),
        sender={**TEXT, "description": "`user:<id>` or `api-client:<id>`"},
    ),
    "MailPage": page_of("Mail"),
    "AskedMail": object_of(to=TEXT, form=words_of(Form)),
    "NewMail": {
        **object_of(
            to=_EMAIL,
            form=words_of(Form),
            format={**words_of(FileFormat), "description": "of a file"},
            title={**_TITLE, "description": "of a link"},
            days={**_DAYS, "description": "of a link"},
            message=_MESSAGE,
        ),
        "required": ["to"],
    },
    "SharePolicyPatch": {
        **object_of(**{name: maybe(each) for name, each in _POLICY.items()}),
        "required": [],
    },
}

SHARE_PARAMETERS: Final[dict[str, Schema]] = {
    "shareId": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": ID,
        "description": "id of the play link",
    },
    "shareText": {
        "name": "q",
        "in": "query",
        "schema": {"type": "string", "maxLength": 200},
        "description": "words of the title, of who made it, or of a recording one may see: a number, a name",
    },
    "shareState": {
        "name": "state",
        "in": "query",
        "schema": {"type": "string", "enum": ["active", "ended"]},
        "description": "links that work, or those that work no longer",
    },
}

SHARE_OPERATIONS: Final[dict[str, Operation]] = {
    "list_shares": Operation(
        "Play links, newest first: one's own, or all of the tenant to who answers for it",
        ("shareState", "shareText", "limit", "cursor"),
        "SharePage",
        refusals=(400,),
    ),
    "get_share": Operation("One play link", ("shareId",), "Share", refusals=(400, 404)),
    "delete_share": Operation(
        "End a play link: whoever listens hears no further piece",
        ("shareId",),
        refusals=(400, 404),
        status=204,
    ),
    "list_recording_shares": Operation(
        "Every play link made of a recording, newest first", ("id",), "SharePage", refusals=(400, 404)
    ),
    "post_share": Operation(
        "Make a play link of a recording or a fragment of it; link and PIN are told this once",
        ("id", "purpose"),
        "MadeShare",
        refusals=(404, 409, 429),
        status=201,
        body="NewShare",
        body_required=False,
    ),
    "list_emails": Operation(
        "The mails about a recording and what became of them, newest first",
        ("id",),
        "MailPage",
        refusals=(400, 404),
    ),
    "post_email": Operation(
        "Send a play link, or the recording as a file where the tenant allows it, by mail",
        ("id", "purpose"),
        "AskedMail",
        refusals=(404, 409, 429),
        status=202,
        body="NewMail",
    ),
    "get_share_policy": Operation(
        "What the tenant decided of play links and mailed files", (), "SharePolicy", refusals=(400,)
    ),
    "patch_share_policy": Operation(
        "Change what the tenant decides of play links; null sets a default again",
        ("ifMatch",),
        "SharePolicy",
        refusals=(412,),
        body="SharePolicyPatch",
        body_media_types=(MERGE_PATCH, JSON),
    ),
}
