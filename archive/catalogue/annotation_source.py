"""What was written on a recording, as far as it is found by it: a source of `archive.catalogue.search`.

Rules: reads only, in the transaction of whoever changed something. Names of labels are not
here: a recording is found by the label itself, whatever it is called today
(`archive.catalogue.documents`).
"""

from __future__ import annotations

from sqlalchemy import select

from archive.catalogue.engine import Connection
from archive.catalogue.lexemes import Annotations, Facet
from archive.catalogue.tables import comments, favourites, notes, recording_labels
from archive.model import RecordingId, UserId


def found_by(connection: Connection, recording_id: RecordingId) -> Annotations:
    """Return the texts, labels and favourites of a recording: the note, then the comments, oldest first.

    In this order a text of very many words is found: all of the note is, whatever else is said.
    """
    said = connection.execute(
        select(comments.c.text)
        .where(comments.c.recording_id == recording_id, ~comments.c.deleted)
        .order_by(comments.c.made_at, comments.c.id)
    ).scalars()
    noted = connection.execute(
        select(notes.c.text).where(notes.c.recording_id == recording_id, notes.c.text != "")
    ).scalars()
    labelled = connection.execute(
        select(recording_labels.c.label_id).where(
            recording_labels.c.recording_id == recording_id, recording_labels.c.attached
        )
    ).scalars()
    marked = connection.execute(
        select(favourites.c.user_id).where(favourites.c.recording_id == recording_id, favourites.c.marked)
    ).scalars()
    of_kind = {Facet.COMMENT: list(said), Facet.NOTE: list(noted), Facet.LABEL: list(labelled)}
    return Annotations(
        texts=(*of_kind[Facet.NOTE], *of_kind[Facet.COMMENT]),
        label_ids=tuple(of_kind[Facet.LABEL]),
        favourite_of=tuple(UserId(each) for each in marked),
        facets=frozenset(facet for facet, found in of_kind.items() if found),
    )
