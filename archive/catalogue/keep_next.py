"""To keep the next call: a promise a person makes before an on-demand call, until it is used or over.

Rules: one promise a person; the later one replaces the earlier. The recorder that keeps a
call by it deletes that very promise, never one made meanwhile. Not here: which call it
keeps (`recorder.srs`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import directory
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import keep_next, users
from archive.errors import NotFound, Refused
from archive.model import TenantId, UserId

DAYS_MAX = 7
"""A promise made longer ago is forgotten, and would keep a call nobody expects to be kept."""


def set_until(
    catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, until: datetime, *, now: datetime
) -> None:
    """Promise that the next on-demand call which begins before `until` is kept.

    Raises Refused for a moment that is past, without a time zone or more than DAYS_MAX
    days ahead, NotFound for no such user.
    """
    with catalogue.transaction(tenant_id) as connection:
        set_within(connection, tenant_id, user_id, until, now=now)


def set_within(
    connection: Connection, tenant_id: TenantId, user_id: UserId, until: datetime, *, now: datetime
) -> None:
    """Do as `set_until` in the caller's transaction."""
    if until.tzinfo is None or not now < until <= now + timedelta(days=DAYS_MAX):
        raise Refused(f"The next call can be kept until a moment within {DAYS_MAX} days, with its time zone.")
    person = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    if connection.execute(person).first() is None:
        raise NotFound("There is no such user in this tenant.")
    statement = upsert(keep_next).values({"tenant_id": tenant_id, "user_id": user_id, "until": until})
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_={"until": until}))
    directory.announce(connection)


def clear(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> None:
    """Take the promise back; without one, nothing happens."""
    with catalogue.transaction(tenant_id) as connection:
        clear_within(connection, tenant_id, user_id)


def clear_within(connection: Connection, tenant_id: TenantId, user_id: UserId) -> None:
    """Do as `clear` in the caller's transaction."""
    _delete(connection, tenant_id, user_id, None)


def consume(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, until: datetime) -> bool:
    """Delete the promise a call was kept by, as recorder; False when it is another by now."""
    with catalogue.transaction(tenant_id) as connection:
        return _delete(connection, tenant_id, user_id, until)


def until_of(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, *, now: datetime) -> datetime | None:
    """Return until when the next call is kept; None without a promise, or when it is over."""
    with catalogue.transaction(tenant_id) as connection:
        return until_within(connection, tenant_id, user_id, now=now)


def until_within(
    connection: Connection, tenant_id: TenantId, user_id: UserId, *, now: datetime
) -> datetime | None:
    """Do as `until_of` in the caller's transaction."""
    columns = keep_next.c
    statement = select(columns.until).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.until > now
    )
    until = connection.execute(statement).scalar()
    return until.astimezone(UTC) if isinstance(until, datetime) else None


def _delete(connection: Connection, tenant_id: TenantId, user_id: UserId, until: datetime | None) -> bool:
    columns = keep_next.c
    statement = delete(keep_next).where(columns.tenant_id == tenant_id, columns.user_id == user_id)
    if until is not None:
        statement = statement.where(columns.until == until)
    deleted = connection.execute(statement).rowcount > 0
    if deleted:
        directory.announce(connection)
    return deleted
