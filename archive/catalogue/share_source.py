"""Play links as recordings are found by them: a source of `archive.catalogue.search`, and the filter by time.

A document says that a recording has a link nobody ended; whether one works at a moment, for links
end by themselves, is asked of the links (`working_at`).

Rules: reads only. Not here: who may know of which link (`archive.catalogue.shares`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select

from archive.catalogue.engine import Connection
from archive.catalogue.lexemes import Annotations, Facet
from archive.catalogue.tables import shares
from archive.model import RecordingId


def found_by(connection: Connection, recording_id: RecordingId) -> Annotations:
    """Return whether a recording has links, as a facet."""
    columns = shares.c
    kept = select(columns.id).where(columns.recording_id == recording_id, columns.revoked_at.is_(None))
    some = connection.execute(kept.limit(1)).first() is not None
    return Annotations(facets=frozenset({Facet.SHARE} if some else ()))


def working_at(moment: datetime) -> ColumnElement[bool]:
    """Return the filter for links that somebody could open at a moment."""
    columns = shares.c
    unspent = or_(columns.plays_max.is_(None), columns.plays < columns.plays_max)
    return and_(columns.revoked_at.is_(None), columns.ends_at > moment, unspent)


def shared_at(moment: datetime, recording_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the filter for recordings, by the column of their id, that a link leads to at a moment."""
    return exists(select(1).where(shares.c.recording_id == recording_id, working_at(moment)))
