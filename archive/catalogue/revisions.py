"""Earlier values of what people write on recordings: kept by the database at each change, read here.

What the modules of the kinds (`comments`, `notes`, `labels`, `favourites`) have in common
stands here too: what a text may hold, and who changed something when.

Rules: a revision is never changed, and deleted only with its recording. Whoever names the
revision they saw changes nothing that somebody else changed since (`expect`); whoever names
none overwrites it, and what was there stays as a revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from archive.access import AccessScope, may_annotate
from archive.catalogue.documents import storable
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import annotation_revisions
from archive.errors import Conflict, Refused
from archive.model import Recording

REVISIONS_MAX = 1000
"""Nobody changes one text so often; a program that does would fill the disk."""

LINE_BREAK, TAB = "\n", "\t"


class Kind(StrEnum):
    """What has revisions, as the database calls it."""

    COMMENT = "comment"
    NOTE = "note"
    LABEL = "label"
    RECORDING_LABEL = "recording-label"
    FAVOURITE = "favourite"
    EVALUATION = "evaluation"
    EVALUATION_FORM = "evaluation-form"


@dataclass(frozen=True)
class Revision:
    """A value something had, from `at` until the next revision; `actor` gave it that value."""

    number: int
    actor: str
    at: datetime
    object_id: str
    content: Mapping[str, Any]


def of_object(catalogue: Catalogue, scope: AccessScope, kind: Kind, object_id: str) -> list[Revision]:
    """Return every value a thing had, the first one first; its caller knows that it may be seen."""
    return _read(catalogue, scope, kind, annotation_revisions.c.object_id == object_id)


def of_recording(
    catalogue: Catalogue, scope: AccessScope, kind: Kind, recording: Recording
) -> list[Revision]:
    """Return every value all things of a kind had on a recording, in the order of time."""
    return _read(catalogue, scope, kind, annotation_revisions.c.recording_id == recording.id)


def _read(catalogue: Catalogue, scope: AccessScope, kind: Kind, condition: Any) -> list[Revision]:
    columns = annotation_revisions.c
    statement = (
        select(annotation_revisions)
        .where(columns.tenant_id == scope.tenant_id, columns.kind == kind, condition)
        .order_by(columns.changed_at, columns.object_id, columns.revision)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        rows = connection.execute(statement).all()
    return [
        Revision(row.revision, row.changed_by, row.changed_at, row.object_id, row.content) for row in rows
    ]


def changed(scope: AccessScope, now: datetime) -> dict[str, object]:
    """Return the columns that say who changes something and when."""
    return {"changed_by": scope.actor, "changed_at": now}


def expect(revision: int | None, found: int) -> None:
    """Raise Conflict when somebody saw another revision than there is, or there are too many already."""
    if revision is not None and revision != found:
        raise Conflict("Somebody else changed it meanwhile: look at it as it is now.")
    if found >= REVISIONS_MAX:
        raise Conflict(f"It was changed {REVISIONS_MAX} times already, and can't be changed any more.")


def require_annotating(scope: AccessScope, recording: Recording) -> None:
    """Raise Refused for who may not write on a recording."""
    if not may_annotate(scope, recording):
        raise Refused("Whoever may hear this recording writes on it; auditors only read.")


def written(text: str, chars_max: int, chars_min: int = 1) -> str:
    """Return a text as it is kept: lines end by a line feed, nothing around it; raises Refused.

    What can't be shown (control characters) is refused; marks of direction stay, since people
    write Arabic and Hebrew too. Pages set each text apart, so that no mark reaches beyond it.
    """
    found = storable(text).replace("\r\n", LINE_BREAK).replace("\r", LINE_BREAK).strip()
    if not chars_min <= len(found) <= chars_max:
        raise Refused(f"It has {chars_min} to {chars_max} characters.")
    if any(_is_control(character) for character in found):
        raise Refused("It holds characters that can't be shown.")
    return found


def _is_control(character: str) -> bool:
    return character not in {LINE_BREAK, TAB} and (character < " " or "\x7f" <= character <= "\x9f")
