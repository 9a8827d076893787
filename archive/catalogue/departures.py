"""People who leave: what ends with that, what stays, and taking it back.

Their recordings stay, and who heard them goes on hearing what was recorded meanwhile. From
then on nobody is recorded for them, signs in as them or hears anything as them: licence
and numbers are free, memberships are closed, sessions, links and keys end, and an address
they proved has to be proved anew. Who decided for others or heard everything comes back as
a user: a role of power takes two people each time.

What they had is written down and given back to who comes back, as far as it is still free.

Rules: within one tenant, in the caller's transaction, which has the audit entry as well.
Nobody who left is changed before they are back (`archive.catalogue.directory`). Not here:
who may do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from archive.catalogue import directory, portal_sessions
from archive.catalogue.directory import Capacity, UserFields
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.licences import kept_of
from archive.catalogue.tables import (
    api_clients,
    departures,
    invitations,
    keep_next,
    team_members,
    user_emails,
    users,
)
from archive.errors import Conflict
from archive.model import RecordingMode, RetentionClass, Role, TenantId, User, UserId

LEFT_ALREADY = "This person left already."
HERE = "This person has not left."


@dataclass(frozen=True)
class Outlook:
    """What a departure would end and leave: recordings that stay, and open sessions and keys."""

    recordings: int
    sessions: int
    keys: int


@dataclass(frozen=True)
class Return:
    """Somebody who is back, and the numbers they had that belong to somebody else by now."""

    user: User
    taken: tuple[str, ...]


def outlook(catalogue: Catalogue, user: User, *, now: datetime) -> Outlook:
    """Return what would happen if a person left now, as their confirmation tells it."""
    own = (api_clients.c.tenant_id == user.tenant_id, api_clients.c.user_id == user.id)
    with catalogue.transaction(user.tenant_id) as connection:
        kept = kept_of(connection, user.tenant_id, [user.id])
        keys = connection.execute(select(func.count()).select_from(api_clients).where(*own)).scalar_one()
    sessions = portal_sessions.of_user(catalogue, user.tenant_id, user.id, now=now)
    return Outlook(sum(each.count for each in kept), len(sessions), keys)


def leave(connection: Connection, tenant_id: TenantId, user_id: UserId, *, now: datetime) -> User:
    """Let a person leave; return them as they were. Raises NotFound, Conflict for who left already."""
    user = directory.lock_user(connection, tenant_id, user_id, {"numbers"})
    if user.left_at is not None:
        raise Conflict(LEFT_ALREADY)
    had = {"licence": user.licence, "mode": user.mode, "broadworks_id": user.broadworks_id}
    own = {"tenant_id": tenant_id, "user_id": user_id}
    connection.execute(insert(departures), {**own, **had, "numbers": list(user.numbers)})
    _close_memberships(connection, tenant_id, user_id, now)
    freed: UserFields = {
        "numbers": (),
        "broadworks_id": None,
        "licence": None,
        "mode": RecordingMode.NEVER,
        "role": Role.USER,
    }
    directory.update_user(connection, tenant_id, user.login, now=now, **freed)
    _set_left(connection, tenant_id, user_id, now)
    _end_ways_in(connection, tenant_id, user_id)
    return user


def come_back(connection: Connection, tenant_id: TenantId, user_id: UserId, *, now: datetime) -> Return:
    """Take a departure back; raises NotFound, Conflict for who has not left."""
    user = directory.lock_user(connection, tenant_id, user_id, {"numbers"})
    if user.left_at is None:
        raise Conflict(HERE)
    gone = (departures.c.tenant_id == tenant_id, departures.c.user_id == user_id)
    had = connection.execute(delete(departures).where(*gone).returning(departures)).one()
    _set_left(connection, tenant_id, user_id, None)
    free = directory.free_numbers(connection, tenant_id, had.numbers)
    fields: UserFields = {
        "numbers": free,
        "licence": None if had.licence is None else RetentionClass(had.licence),
        "mode": RecordingMode(had.mode),
    }
    if had.broadworks_id is not None and not _is_known_to_the_exchange(
        connection, tenant_id, had.broadworks_id
    ):
        fields["broadworks_id"] = had.broadworks_id
    for team_id, capacity in _memberships_until(connection, tenant_id, user_id, user.left_at):
        directory.open_membership(connection, tenant_id, team_id, user_id, capacity, now=now)
    back = directory.update_user(connection, tenant_id, user.login, now=now, **fields)
    return Return(back, tuple(each for each in had.numbers if each not in free))


def _close_memberships(connection: Connection, tenant_id: TenantId, user_id: UserId, now: datetime) -> None:
    """End what they are in now: who heard them goes on hearing what began meanwhile."""
    columns = team_members.c
    still = (columns.tenant_id == tenant_id, columns.user_id == user_id, columns.until.is_(None))
    # A period in which nothing could begin is no history.
    connection.execute(delete(team_members).where(*still, columns.since >= now))
    connection.execute(update(team_members).where(*still).values(until=now))


def _memberships_until(
    connection: Connection, tenant_id: TenantId, user_id: UserId, moment: datetime
) -> Sequence[tuple[str, Capacity]]:
    columns = team_members.c
    statement = select(columns.team_id, columns.capacity).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.until == moment
    )
    return [(row.team_id, Capacity(row.capacity)) for row in connection.execute(statement)]


def _set_left(connection: Connection, tenant_id: TenantId, user_id: UserId, left_at: datetime | None) -> None:
    own = (users.c.tenant_id == tenant_id, users.c.id == user_id)
    connection.execute(update(users).where(*own).values(left_at=left_at))
    directory.announce(connection)


def _end_ways_in(connection: Connection, tenant_id: TenantId, user_id: UserId) -> None:
    portal_sessions.end_all(connection, tenant_id, user_id)
    for table in (api_clients, invitations, keep_next):
        connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.user_id == user_id))
    # The mailbox is somebody else's by tomorrow: no link for a new password goes there.
    proved = (user_emails.c.tenant_id == tenant_id, user_emails.c.user_id == user_id)
    connection.execute(update(user_emails).where(*proved).values(verified_at=None))


def _is_known_to_the_exchange(connection: Connection, tenant_id: TenantId, broadworks_id: str) -> bool:
    named = (users.c.tenant_id == tenant_id, users.c.broadworks_id == broadworks_id)
    return connection.execute(select(users.c.id).where(*named)).first() is not None
