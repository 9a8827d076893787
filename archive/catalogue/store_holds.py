"""What is known of the store's own holds: which recordings wait for theirs to be set or taken off.

    none | partly | held -> following (somebody sets or takes off) -> held | none
                                  |
                                  +-- the case changed, or an object was put: partly

Rules: runs as worker, and as operator where keys change. It is written down that holds may stand
before the first one is set or taken off, so that none is ever forgotten in the store; what changed
while somebody followed is followed again. Not here: the store (`retention.store_holds`).
"""

from __future__ import annotations

from sqlalchemy import and_, case, func, not_, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import recordings
from archive.model import RecordingId, TenantId

NONE, PARTLY, FOLLOWING, HELD = "none", "partly", "following", "held"


def waiting(catalogue: Catalogue, tenant_id: TenantId, limit: int) -> list[RecordingId]:
    """Return recordings whose holds in the store are not what they should be.

    Those nobody tried come first, then the others in any order: what fails every time keeps
    no other waiting.
    """
    columns = recordings.c
    tried = columns.store_hold.in_([PARTLY, FOLLOWING])
    order = case((tried, 1 + func.random()), else_=0), columns.id
    statement = select(columns.id).where(_waits(tenant_id)).order_by(*order).limit(limit)
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


def follow(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId) -> bool | None:
    """Return whether a recording is to be held by the store, and write down that somebody sees to it.

    None when it is gone, or has the holds it should.
    """
    statement = (
        update(recordings)
        .where(_is(tenant_id, recording_id), _waits(tenant_id))
        .values(store_hold=FOLLOWING)
        .returning(recordings.c.on_hold)
    )
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).scalar_one_or_none()


def settle(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId, *, held: bool) -> bool:
    """Write down that all holds of a recording stand in the store, or that none does; return whether so.

    What changed since `follow` (the case, an object that was put, somebody who followed as
    well) has it followed once more: who was late may have undone what others did.
    """
    columns, of_it = recordings.c, _is(tenant_id, recording_id)
    unchanged = and_(columns.store_hold == FOLLOWING, columns.on_hold.is_(held))
    settled = update(recordings).where(of_it, unchanged).values(store_hold=HELD if held else NONE)
    with catalogue.transaction(tenant_id) as connection:
        if connection.execute(settled).rowcount:
            return True
        connection.execute(update(recordings).where(of_it).values(store_hold=PARTLY))
        return False


def after_new_object() -> ColumnElement[str]:
    """Return what is known of the holds of a recording that got one more object, for its row.

    Who lists the objects may have been through before it was put, or may list them any moment.
    """
    return case((recordings.c.store_hold == NONE, NONE), else_=PARTLY)


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
