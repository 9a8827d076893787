"""The JSON and the operations of how an organisation looks, for the OpenAPI document.

Rules: literal data only, as in `playback_portal.administration_schemas`.
"""

from __future__ import annotations

from typing import Final

from archive.branding import NAME_CHARS_MAX
from playback_portal.looks import PICTURES
from playback_portal.operations import Operation
from playback_portal.schemas import Schema, object_of

_COLOUR: Final[Schema] = {
    "type": ["string", "null"],
    "pattern": "^#[0-9A-Fa-f]{6}$",
    "description": "of what can be pressed, with 4.5:1 on every surface of its theme; null for ours",
}
_WORDS: Final[dict[str, Schema]] = {
    "name": {
        "type": "string",
        "maxLength": NAME_CHARS_MAX,
        "description": "empty for the name the provider wrote down",
    },
    "accentLight": _COLOUR,
    "accentDark": _COLOUR,
}
_FILE: Final[Schema] = {"type": ["string", "null"], "description": "path of a file that never changes"}

LOOK_SCHEMAS: Final[dict[str, Schema]] = {
    "Branding": object_of(**_WORDS, logo=_FILE, styleSheet=_FILE),
    "NewBranding": {"type": "object", "properties": _WORDS, "additionalProperties": False},
    "Logo": {"type": "string", "contentEncoding": "binary", "description": "a picture of at most 1 MiB"},
}

LOOK_OPERATIONS: Final[dict[str, Operation]] = {
    "get_branding": Operation(
        "How the organisation looks: name, colours and logo", (), "Branding", refusals=(400,)
    ),
    "put_branding": Operation(
        "Show a name and colours at once; what is left out is as everybody's, the logo stays",
        ("ifMatch",),
        "Branding",
        refusals=(412,),
        body="NewBranding",
    ),
    "put_logo": Operation(
        "Show a logo at once, made anew as a small PNG; name and colours stay",
        ("ifMatch",),
        "Branding",
        refusals=(412,),
        body="Logo",
        body_media_types=PICTURES,
    ),
    "delete_logo": Operation("Show no logo", ("ifMatch",), status=204, refusals=(400, 412)),
}
