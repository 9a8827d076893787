"""The ETag of a thing an administrator changes, so that nobody overwrites what they have not seen.

A client that sends If-Match learns by 412 that somebody else was first; one that sends
none changes only the fields it names (RFC 7396), which is safe for most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from aiohttp import web

from archive.audit import Json, canonical_json
from archive.errors import Conflict
from playback_portal import byte_range, documents
from playback_portal.problems import Problem


class ChangedMeanwhile(Conflict):
    """Somebody else changed what a form would write over."""


def entity_tag(document: Mapping[str, Json]) -> str:
    """Return the strong ETag of a document, in its quotes (RFC 9110 section 8.8.3)."""
    return f'"{hashlib.sha256(canonical_json(document)).hexdigest()[:32]}"'


def form_tag(document: Mapping[str, Json], names: Iterable[str]) -> str:
    """Return the tag of these fields, as a form says what it was made of."""
    return entity_tag({name: document[name] for name in names}).strip('"')


def require_match(if_match: str | None, document: Mapping[str, Json]) -> None:
    """Raise the 412 Problem when If-Match names another state of the thing than `document`."""
    if if_match is not None and not byte_range.matches(if_match, entity_tag(document), weak=False):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED, "changed", "It was changed meanwhile: read it again first."
        )


def revision_seen(request: web.Request, document: Mapping[str, Json], revision: int) -> int | None:
    """Return the revision If-Match names, None without one; raises the 412 Problem for another state."""
    if_match = request.headers.get("If-Match")
    require_match(if_match, document)
    return None if if_match is None else revision


def tagged_response(document: Mapping[str, Json]) -> web.Response:
    """Return a document as a response with its ETag."""
    return documents.json_response(document, {"ETag": entity_tag(document)})
