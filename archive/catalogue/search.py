"""Keeping documents true: made anew whenever something that is found is written on a recording.

Whoever changes a comment, note, label, favourite or share calls `refresh` in the transaction
of the change, so that a search never misses what a page shows. What is written where is read
by `SOURCES`, one for each kind; a source imports nothing of this module.
"""

from __future__ import annotations

from collections.abc import Callable

from archive.catalogue import documents, recordings
from archive.catalogue.engine import Connection
from archive.catalogue.lexemes import Annotations
from archive.model import RecordingId

Source = Callable[[Connection, RecordingId], Annotations]

SOURCES: tuple[Source, ...] = ()


def refresh(connection: Connection, recording_id: RecordingId) -> None:
    """Make the document of a recording anew; raises NotFound."""
    recording = recordings.in_transaction(connection, recording_id)
    written = [source(connection, recording_id) for source in SOURCES]
    documents.put(connection, recording, together(written))


def together(written: list[Annotations]) -> Annotations:
    """Return what several sources found as one."""
    return Annotations(
        texts=tuple(text for each in written for text in each.texts),
        label_ids=tuple(label_id for each in written for label_id in each.label_ids),
        favourite_of=tuple(user_id for each in written for user_id in each.favourite_of),
        facets=frozenset(facet for each in written for facet in each.facets),
    )
