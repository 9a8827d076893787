"""The note of a recording: one text that everybody who hears it may write on.

Rules: whoever names the revision they saw does not overwrite what they have not; every
earlier text stays (`archive.catalogue.revisions`). An empty note is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from archive.access import AccessScope
from archive.catalogue import search
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.revisions import changed, expect, require_annotating, written
from archive.catalogue.tables import notes
from archive.model import Recording

NOTE_CHARS_MAX = 10_000
"""Five pages: minutes of a long call."""


@dataclass(frozen=True)
class Note:
    """What the note says; nobody wrote one yet while `revision` is 0."""

    text: str = ""
    revision: int = 0
    changed_by: str = ""
    changed_at: datetime | None = None


NO_NOTE = Note()


def of_recording(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> Note:
    """Return the note of a recording; its caller knows it may be read."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _note(connection, recording)


def put(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    text: str,
    *,
    revision: int | None = None,
    now: datetime,
) -> Note:
    """Write the note; nothing in it takes it away. The same text again changes nothing.

    Raises Refused for who may not or what can't be kept, Conflict for another `revision`
    than there is.
    """
    require_annotating(scope, recording)
    said = written(text, NOTE_CHARS_MAX, chars_min=0)
    with catalogue.transaction(scope.tenant_id) as connection:
        search.begin(connection, recording.id)
        before = _note(connection, recording)
        if said == before.text:
            return before
        expect(revision, before.revision)
        values = {"text": said, **changed(scope, now)}
        if before is NO_NOTE:
            row = {"tenant_id": scope.tenant_id, "recording_id": recording.id, **values}
            connection.execute(insert(notes), row)
        else:
            connection.execute(update(notes).where(notes.c.recording_id == recording.id).values(values))
        search.refresh(connection, recording.id)
        return _note(connection, recording)


def _note(connection: Connection, recording: Recording) -> Note:
    statement = select(notes).where(notes.c.recording_id == recording.id)
    row: Row[Any] | None = connection.execute(statement).one_or_none()
    return NO_NOTE if row is None else Note(row.text, row.revision, row.changed_by, row.changed_at)
