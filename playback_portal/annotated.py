"""What all rows of annotations share: the recording they are about, and how values are read and shown.

Rules: whoever may know of a recording reads what was written on it, where the tenant asks
for a purpose only with one, as for its sound. Who writes is decided in the archive
(`archive.access.may_annotate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

from aiohttp import web

from archive.access import needs_purpose
from archive.audit import Json
from archive.catalogue import revisions
from archive.catalogue.revisions import Revision
from archive.errors import PurposeRequired, Refused
from archive.model import Recording
from playback_portal import documents
from playback_portal.parameters import text
from playback_portal.problems import not_found
from playback_portal.purposes import purpose_of
from playback_portal.recordings import archived_recording
from playback_portal.route import DETAILS
from playback_portal.services import SCOPE

_T = TypeVar("_T")


async def annotated(request: web.Request) -> Recording:
    """Return the recording of the path, once its purpose is known; raises NotFound or PurposeRequired."""
    recording = (await archived_recording(request)).recording
    purpose = await purpose_of(request, recording.id)
    if purpose is not None:
        tell(request, purpose=purpose)
    elif needs_purpose(request[SCOPE], recording):
        raise PurposeRequired("This recording is somebody else's: say what you open it for.")
    return recording


def tell(request: web.Request, **details: Json) -> None:
    """Let the audit log tell more of the request; never what somebody wrote."""
    request[DETAILS] = {**request.get(DETAILS, {}), **details}


def named(request: web.Request, place: str) -> str:
    """Return the id at a place of the path; what can't be an id is not found."""
    try:
        return str(UUID(request.match_info[place]))
    except ValueError:
        raise not_found() from None


def read_text(chars_max: int, chars_min: int = 1) -> Callable[[Json], str]:
    """Return a reader of texts people write, as they are kept."""
    return checked(lambda value: revisions.written(text(value), chars_max, chars_min))


def checked(read: Callable[[Json], _T]) -> Callable[[Json], _T]:
    """Return a reader for which a rule that the value breaks is a fault of the request."""

    def parse(value: Json) -> _T:
        try:
            return read(value)
        except Refused as error:
            raise ValueError(str(error)) from None

    return parse


def history_response(request: web.Request, found: Iterable[Revision]) -> web.Response:
    """Return revisions as a list, the first one first."""
    return documents.list_response(request, map(revision_document, found), None)


def revision_document(revision: Revision) -> dict[str, Json]:
    """Return a revision as the API shows it."""
    content = {_camel(name): value for name, value in revision.content.items()}
    return {
        "revision": revision.number,
        "actor": revision.actor,
        "at": documents.time_of(revision.at),
        "content": content,
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
