"""Holds that were found in the object store while the database knew nothing of them.

After the loss of the database the store's own holds are what is left of the cases. What
they stand on is held again, in one case a tenant made for it: nobody knows any more which
case it was, and two people release it as any other.

Rules: runs as operator; called again it changes nothing. Not here: who found them
(`archive.rebuild`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, insert, select, update

from archive.catalogue import case_rules
from archive.catalogue.engine import Connection
from archive.catalogue.store_holds import NONE, PARTLY
from archive.catalogue.tables import cases, recordings
from archive.model import GOING_STATES, RecordingId, TenantId, new_id

ACTOR = "service:rebuild"
NAME = "Found in the object store"
REASON = "A hold of the object store stood on it when the catalogue was rebuilt; the case it was in is lost."


def keep(connection: Connection, tenant_id: TenantId, recording_id: RecordingId, *, now: datetime) -> bool:
    """Hold a recording on which a hold of the store was found; return whether it was not known to be held.

    Of one whose holds are being set or taken off, the store says nothing new.
    """
    of_it = and_(recordings.c.tenant_id == tenant_id, recordings.c.id == recording_id)
    columns = recordings.c
    row = connection.execute(
        select(columns.on_hold, columns.store_hold, columns.state).where(of_it).with_for_update()
    ).one_or_none()
    if row is None or row.on_hold or row.store_hold != NONE or row.state in GOING_STATES:
        return False
    case_id = _case(connection, tenant_id, now)
    case_rules.put(connection, tenant_id, case_id, (recording_id,), actor=ACTOR, now=now)
    connection.execute(update(recordings).where(of_it).values(on_hold=True, store_hold=PARTLY))
    return True


def _case(connection: Connection, tenant_id: TenantId, now: datetime) -> str:
    """Return the tenant's case of found holds that was not released, made now if there is none."""
    case_rules.lock(connection, tenant_id)
    known = select(cases.c.id).where(
        cases.c.tenant_id == tenant_id, cases.c.opened_by == ACTOR, cases.c.released_at.is_(None)
    )
    found = connection.execute(known.order_by(cases.c.id).limit(1)).scalar()
    if found is not None:
        return str(found)
    case_id = new_id(now)
    row = {"id": case_id, "tenant_id": tenant_id, "name": NAME, "reason": REASON}
    connection.execute(insert(cases).values({**row, "opened_by": ACTOR, "opened_at": now}))
    return case_id
