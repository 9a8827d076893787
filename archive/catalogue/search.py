"""Keeping documents true: made anew whenever something that is found is written on a recording.

Whoever changes a comment, note, label, favourite or share calls `refresh` in the transaction
of the change, so that a search never misses what a page shows. What is written where is read
by `SOURCES`, one for each kind; a source imports nothing of this module.

Two who write on one recording at the same moment wait for each other, from `begin` or
`refresh` on until their transaction ends: else the later document would lack what the
earlier one had not shown yet.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select

from archive.catalogue import annotation_source, documents, recordings, share_source
from archive.catalogue.engine import Connection
from archive.catalogue.lexemes import Annotations
from archive.model import RecordingId

Source = Callable[[Connection, RecordingId], Annotations]

SOURCES: tuple[Source, ...] = (annotation_source.found_by, share_source.found_by)


def begin(connection: Connection, recording_id: RecordingId) -> None:
    """Wait until nobody else writes on the recording; for changes that look before they write."""
    connection.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"written:{recording_id}", 0)))
    )


def refresh(connection: Connection, recording_id: RecordingId) -> None:
    """Make the document of a recording anew; raises NotFound."""
    begin(connection, recording_id)
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
