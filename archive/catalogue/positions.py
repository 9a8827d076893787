"""Where a person stopped listening to a recording: one place each, the same on all of their devices.

Rules: a position is of one person alone and goes with the recording. Programs that act
for nobody have none. What may be heard at all is decided before (`archive.access`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import positions
from archive.errors import Refused
from archive.model import Recording


def kept(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> int:
    """Return where the person stopped, in milliseconds from the beginning; 0 where they never listened."""
    columns = positions.c
    statement = select(columns.position_ms).where(
        columns.tenant_id == scope.tenant_id,
        columns.user_id == (scope.user_id or ""),
        columns.recording_id == recording.id,
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return connection.execute(statement).scalar_one_or_none() or 0


def keep(
    catalogue: Catalogue, scope: AccessScope, recording: Recording, position_ms: int, *, now: datetime
) -> int:
    """Keep where the person is, at most the end; return it. Raises Refused for who is nobody."""
    if scope.user_id is None:
        raise Refused("Positions are kept of people; this key acts for nobody.")
    position_ms = min(max(position_ms, 0), recording.duration_ms)
    row = {
        "tenant_id": scope.tenant_id,
        "user_id": scope.user_id,
        "recording_id": recording.id,
        "position_ms": position_ms,
        "kept_at": now,
    }
    changed = {"position_ms": position_ms, "kept_at": now}
    statement = upsert(positions).values(row)
    with catalogue.transaction(scope.tenant_id) as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=["user_id", "recording_id"], set_=changed)
        )
    return position_ms
