"""Favourites: recordings somebody wants to find again, each person's own.

Rules: only people have favourites, of what they hear; nobody sees another's. When one was
marked or unmarked stays known (`archive.catalogue.revisions`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope
from archive.catalogue import search
from archive.catalogue.engine import Catalogue
from archive.catalogue.revisions import changed, expect, require_annotating
from archive.catalogue.tables import favourites
from archive.errors import Refused
from archive.model import Recording


def is_favourite(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> bool:
    """Return whether it is a favourite of who asks; of a program none is."""
    columns = favourites.c
    statement = select(columns.recording_id).where(
        columns.user_id == (scope.user_id or ""), columns.recording_id == recording.id, columns.marked
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return connection.execute(statement).first() is not None


def mark(
    catalogue: Catalogue, scope: AccessScope, recording: Recording, *, marked: bool, now: datetime
) -> None:
    """Make a recording a favourite, or none any more; twice is once. Raises Refused for who may not."""
    if scope.user_id is None:
        raise Refused("Favourites are kept by people; this key acts for nobody.")
    require_annotating(scope, recording)
    columns = favourites.c
    own = select(favourites).where(columns.recording_id == recording.id, columns.user_id == scope.user_id)
    values = {"marked": marked, **changed(scope, now)}
    row = {
        "tenant_id": scope.tenant_id,
        "recording_id": recording.id,
        "user_id": scope.user_id,
        **values,
    }
    with catalogue.transaction(scope.tenant_id) as connection:
        search.begin(connection, recording.id)
        before = connection.execute(own).one_or_none()
        if marked == (before is not None and before.marked):
            return
        expect(None, 0 if before is None else before.revision)
        statement = upsert(favourites).values(row)
        keys = ["recording_id", "user_id"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
        search.refresh(connection, recording.id)
