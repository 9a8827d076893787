"""The JSON, parameters and operations of annotations, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.catalogue.comments import COMMENT_CHARS_MAX
from archive.catalogue.labels import NAME_CHARS_MAX, Colour, Shape
from archive.catalogue.notes import NOTE_CHARS_MAX
from playback_portal.comments import OFFSET_MS_MAX
from playback_portal.operations import JSON, MERGE_PATCH, Operation
from playback_portal.schemas import COUNT, ID, MAYBE_TEXT, TEXT, TIME, Schema, object_of, page_of, words_of

_FLAG: Final[Schema] = {"type": "boolean"}
_MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_AUTHOR: Final[Schema] = {**TEXT, "description": "`user:<id>` or `api-client:<id>`"}
_REVISION: Final[Schema] = {**COUNT, "description": "how many values it had, this one among them"}
_OFFSET: Final[Schema] = {
    "type": "integer",
    "minimum": 0,
    "maximum": OFFSET_MS_MAX,
    "description": "milliseconds from the beginning; at most the end of the recording is kept",
}
_SAID: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": COMMENT_CHARS_MAX}
_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX}
_LOOK: Final[dict[str, Schema]] = {"colour": words_of(Colour), "shape": words_of(Shape)}


def _open(*required: str, **properties: Schema) -> Schema:
    """Return an object of which not all is needed."""
    return {**object_of(**properties), "required": list(required)}


ANNOTATION_SCHEMAS: Final[dict[str, Schema]] = {
    "Comment": object_of(
        id=ID,
        replyTo={"type": ["string", "null"], "format": "uuid"},
        author=_AUTHOR,
        madeAt=TIME,
        atMs={**_OFFSET, "description": "milliseconds from the beginning; of a reply that of its comment"},
        text={**TEXT, "description": "empty when it is deleted"},
        deleted=_FLAG,
        revision=_REVISION,
        changedAt=TIME,
    ),
    "CommentPage": page_of("Comment"),
    "NewComment": _open("text", text=_SAID, atMs=_OFFSET),
    "NewReply": object_of(text=_SAID),
    "CommentPatch": _open(text=_SAID, atMs=_OFFSET),
    "Note": object_of(
        text=TEXT,
        revision={**_REVISION, "description": "0 while nobody wrote one"},
        changedBy=MAYBE_TEXT,
        changedAt=_MAYBE_TIME,
    ),
    "NewNote": object_of(text={"type": "string", "maxLength": NOTE_CHARS_MAX}),
    "Favourite": object_of(favourite=_FLAG),
    "Label": object_of(
        id=ID,
        name=TEXT,
        **_LOOK,
        retired={**_FLAG, "description": "offered no more; recordings that carry it keep it"},
        revision=_REVISION,
    ),
    "LabelPage": page_of("Label"),
    "NewLabel": _open("name", name=_NAME, **_LOOK),
    "LabelPatch": _open(name=_NAME, **_LOOK, retired=_FLAG),
    "RecordingLabel": {
        **_open(labelId=ID, name=_NAME, **_LOOK),
        "oneOf": [{"required": ["labelId"]}, {"required": ["name"]}],
        "description": "the id of a label, or a name: then the label is made when there is none",
    },
    "Revision": object_of(
        revision=_REVISION,
        actor=_AUTHOR,
        at=TIME,
        content={"type": "object", "description": "the whole value as it was from then on"},
    ),
    "RevisionPage": page_of("Revision"),
}


def _path(name: str, description: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": ID, "description": description}


ANNOTATION_PARAMETERS: Final[dict[str, Schema]] = {
    "labelId": _path("id", "id of the label"),
    "comment": _path("comment", "id of the comment"),
    "carriedLabel": _path("label", "id of the label"),
    "retired": {
        "name": "retired",
        "in": "query",
        "schema": {"enum": ["0", "1"], "default": "0"},
        "description": "whether labels that are offered no more are listed too",
    },
}

_ID, _COMMENT = ("id", "purpose"), ("id", "comment", "purpose")
_PATCHED: Final = (MERGE_PATCH, JSON)

ANNOTATION_OPERATIONS: Final = {
    "list_comments": Operation(
        "Comments in the order of the sound, each with its replies behind it",
        _ID,
        "CommentPage",
        refusals=(400, 404),
    ),
    "post_comment": Operation(
        "Say something about a moment", _ID, "Comment", status=201, body="NewComment", refusals=(404, 409)
    ),
    "post_reply": Operation(
        "Answer a comment", _COMMENT, "Comment", status=201, body="NewReply", refusals=(404, 409)
    ),
    "get_comment": Operation("One comment", _COMMENT, "Comment", refusals=(400, 404)),
    "patch_comment": Operation(
        "Change one's own comment",
        (*_COMMENT, "ifMatch"),
        "Comment",
        body="CommentPatch",
        body_media_types=_PATCHED,
        refusals=(404, 409, 412),
    ),
    "delete_comment": Operation(
        "Delete one's own comment; what it said stays in its history",
        (*_COMMENT, "ifMatch"),
        status=204,
        refusals=(400, 404, 409, 412),
    ),
    "get_comment_history": Operation(
        "Every value a comment had", _COMMENT, "RevisionPage", refusals=(400, 404)
    ),
    "get_note": Operation("The note", _ID, "Note", refusals=(400, 404)),
    "put_note": Operation(
        "Write the note; what was there stays in its history",
        (*_ID, "ifMatch"),
        "Note",
        body="NewNote",
        refusals=(404, 409, 412),
    ),
    "delete_note": Operation(
        "Take the note away", (*_ID, "ifMatch"), status=204, refusals=(400, 404, 409, 412)
    ),
    "get_note_history": Operation("Every value the note had", _ID, "RevisionPage", refusals=(400, 404)),
    "get_favourite": Operation(
        "Whether it is a favourite of the caller", _ID, "Favourite", refusals=(400, 404)
    ),
    "put_favourite": Operation("Make it a favourite", _ID, "Favourite", refusals=(400, 404, 409)),
    "delete_favourite": Operation("Make it none any more", _ID, status=204, refusals=(400, 404, 409)),
    "list_labels": Operation("The labels of the tenant by name", ("retired",), "LabelPage", refusals=(400,)),
    "post_label": Operation("Add a label", (), "Label", status=201, body="NewLabel", refusals=(409,)),
    "get_label": Operation("One label", ("labelId",), "Label", refusals=(400, 404)),
    "patch_label": Operation(
        "Change a label, retire it or bring it back",
        ("labelId", "ifMatch"),
        "Label",
        body="LabelPatch",
        body_media_types=_PATCHED,
        refusals=(404, 409, 412),
    ),
    "delete_label": Operation(
        "Offer a label no more; recordings keep it", ("labelId",), status=204, refusals=(400, 404, 409)
    ),
    "get_label_history": Operation(
        "Every value a label had", ("labelId",), "RevisionPage", refusals=(400, 404)
    ),
    "list_recording_labels": Operation(
        "The labels a recording carries", _ID, "LabelPage", refusals=(400, 404)
    ),
    "post_recording_label": Operation(
        "Put a label on a recording",
        _ID,
        "Label",
        status=201,
        body="RecordingLabel",
        refusals=(404, 409),
    ),
    "delete_recording_label": Operation(
        "Take a label off a recording",
        ("id", "carriedLabel", "purpose"),
        status=204,
        refusals=(400, 404, 409),
    ),
    "get_recording_label_history": Operation(
        "When which label came and went", _ID, "RevisionPage", refusals=(400, 404)
    ),
}
