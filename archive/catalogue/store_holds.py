"""What is known of the store's own holds: which recordings wait for theirs to be set or taken off.

Rules: runs as worker, and as operator where keys change. `partly` is written before the first
hold is set or taken off, so that none is ever forgotten in the store. Not here: the store
(`retention.store_holds`).
"""

from __future__ import annotations

from sqlalchemy import and_, case, func, not_, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import recordings
from archive.model import RecordingId, TenantId

NONE, PARTLY, HELD = "none", "partly", "held"


def waiting(catalogue: Catalogue, tenant_id: TenantId, limit: int) -> list[RecordingId]:
    """Return recordings whose holds in the store are not what they should be."""
    statement = select(recordings.c.id).where(_waits(tenant_id)).order_by(recordings.c.id).limit(limit)
    with catalogue.transaction(tenant_id) as connection:
        return [RecordingId(row.id) for row in connection.execute(statement)]


def count_waiting(catalogue: Catalogue, tenant_id: TenantId) -> int:
    """Return how many there are."""
    statement = select(func.count()).select_from(recordings).where(_waits(tenant_id))
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar_one()


def begin(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId) -> None:
    """Write down that holds of a recording may stand in the store from now on."""
    of_it = _is(tenant_id, recording_id)
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(update(recordings).where(of_it).values(store_hold=PARTLY))


def wanted(connection: Connection, tenant_id: TenantId, recording_id: RecordingId) -> bool | None:
    """Return whether a recording is to be held, and keep it so for this transaction; None if it is gone."""
    statement = select(recordings.c.on_hold).where(_is(tenant_id, recording_id)).with_for_update()
    return connection.execute(statement).scalar_one_or_none()


def after_new_object() -> ColumnElement[str]:
    """Return what is known of the holds of a recording that got one more object, for its row.

    Who lists the objects may have been through before it was put, or may list them any moment.
    """
    return case((recordings.c.store_hold == NONE, NONE), else_=PARTLY)


def settle(connection: Connection, tenant_id: TenantId, recording_id: RecordingId, *, held: bool) -> None:
    """Write down that all holds of a recording stand in the store, or that none does."""
    of_it = _is(tenant_id, recording_id)
    connection.execute(update(recordings).where(of_it).values(store_hold=HELD if held else NONE))


def _is(tenant_id: TenantId, recording_id: RecordingId) -> ColumnElement[bool]:
    return and_(recordings.c.tenant_id == tenant_id, recordings.c.id == recording_id)


def _waits(tenant_id: TenantId) -> ColumnElement[bool]:
    columns = recordings.c
    return and_(
        columns.tenant_id == tenant_id,
        or_(
            and_(columns.on_hold, columns.store_hold != HELD),
            and_(not_(columns.on_hold), columns.store_hold != NONE),
        ),
    )
