"""Teams: who hears whom, since when, and what a team allows its members.

Membership is a history of periods. Whoever leaves closes theirs: of a contributor the
team goes on hearing what began meanwhile, a listener hears nothing from then on. Whoever
comes back opens another.

Rules: within one tenant, as portal or operator; every change is announced. What is not
given stays. Each change is there twice: in a transaction of its own, and `_within` the
caller's, which has the audit entry as well. Not here: adding a team
(`archive.catalogue.directory`), and what follows for a recording (`archive.access`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, select, update

from archive.access import Right
from archive.catalogue.directory import Capacity, announce, named, open_membership
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import storable
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import team_members, teams, users
from archive.errors import NotFound
from archive.model import TenantId, UserId

LISTENING = (Capacity.LISTENER, Capacity.MANAGER)
"""As what somebody hears a team."""


LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))


@dataclass(frozen=True)
class Team:
    """A team, what its members may do beside hearing, and how many there are now."""

    id: str
    name: str
    rights: frozenset[Right]
    hears_earlier: bool
    listeners: int
    contributors: int


@dataclass(frozen=True)
class Membership:
    """A stretch of time in which somebody is or was in a team; `until` is None while they are."""

    team_id: str
    team_name: str
    user_id: UserId
    login: str
    capacity: Capacity
    since: datetime
    until: datetime | None


def list_teams(catalogue: Catalogue, tenant_id: TenantId) -> list[Team]:
    """Return the teams of a tenant by name."""
    with catalogue.transaction(tenant_id) as connection:
        return _teams(connection, teams.c.tenant_id == tenant_id)


def team_of(catalogue: Catalogue, tenant_id: TenantId, team_id: str) -> Team:
    """Return one team; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        return _team(connection, tenant_id, team_id)


def change(
    catalogue: Catalogue,
    tenant_id: TenantId,
    team_id: str,
    *,
    name: str | None = None,
    hears_earlier: bool | None = None,
    rights: Mapping[Right, bool] | None = None,
) -> Team:
    """Change a team and return it.

    Raises NotFound, Conflict for a name that is taken, Refused for one that can't be shown.
    """
    with catalogue.transaction(tenant_id) as connection:
        return change_within(
            connection, tenant_id, team_id, name=name, hears_earlier=hears_earlier, rights=rights
        )


def lock(connection: Connection, tenant_id: TenantId) -> None:
    """Wait for whoever changes teams or rights of a tenant now, and keep others from it in this transaction.

    What is read after it is what the change of this transaction is made to.
    """
    connection.execute(LOCK, {"name": f"rights/{tenant_id}"})


def team_within(connection: Connection, tenant_id: TenantId, team_id: str) -> Team:
    """Do as `team_of` in the caller's transaction."""
    return _team(connection, tenant_id, team_id)


def teams_within(connection: Connection, tenant_id: TenantId) -> list[Team]:
    """Do as `list_teams` in the caller's transaction."""
    return _teams(connection, teams.c.tenant_id == tenant_id)


def change_within(
    connection: Connection,
    tenant_id: TenantId,
    team_id: str,
    *,
    name: str | None = None,
    hears_earlier: bool | None = None,
    rights: Mapping[Right, bool] | None = None,
) -> Team:
    """Do as `change` in the caller's transaction."""
    lock(connection, tenant_id)
    values: dict[str, object] = {}
    if name is not None:
        values["name"] = named(name)
    if hears_earlier is not None:
        values["hears_earlier"] = hears_earlier
    if rights:
        # On the row as it is, so that two who switch one right each at once do not undo each other.
        values["rights"] = switched(teams.c.rights, rights)
    if values:
        connection.execute(update(teams).where(*_is(tenant_id, team_id)).values(values))
        announce(connection)
    return _team(connection, tenant_id, team_id)


def remove(catalogue: Catalogue, tenant_id: TenantId, team_id: str) -> None:
    """Remove a team with its memberships: nobody hears anybody by way of it any more; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        remove_within(connection, tenant_id, team_id)


def remove_within(connection: Connection, tenant_id: TenantId, team_id: str) -> None:
    """Do as `remove` in the caller's transaction."""
    if not connection.execute(delete(teams).where(*_is(tenant_id, team_id))).rowcount:
        raise NotFound("There is no such team in this tenant.")
    announce(connection)


def enter(
    catalogue: Catalogue,
    tenant_id: TenantId,
    team_id: str,
    user_id: UserId,
    capacity: Capacity,
    *,
    now: datetime,
) -> bool:
    """Put somebody into a team; False when they are in it that way already. Raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        return enter_within(connection, tenant_id, team_id, user_id, capacity, now=now)


def enter_within(
    connection: Connection,
    tenant_id: TenantId,
    team_id: str,
    user_id: UserId,
    capacity: Capacity,
    *,
    now: datetime,
) -> bool:
    """Do as `enter` in the caller's transaction."""
    _team(connection, tenant_id, team_id)
    known = select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.id == storable(user_id))
    if connection.execute(known).first() is None:
        raise NotFound("There is no such user in this tenant.")
    return open_membership(connection, tenant_id, team_id, user_id, capacity, now=now)


def leave(
    catalogue: Catalogue,
    tenant_id: TenantId,
    team_id: str,
    user_id: UserId,
    capacity: Capacity,
    *,
    now: datetime,
) -> bool:
    """Take somebody out of a team; False when they were not in it that way. Raises NotFound for no team."""
    with catalogue.transaction(tenant_id) as connection:
        return leave_within(connection, tenant_id, team_id, user_id, capacity, now=now)


def leave_within(
    connection: Connection,
    tenant_id: TenantId,
    team_id: str,
    user_id: UserId,
    capacity: Capacity,
    *,
    now: datetime,
) -> bool:
    """Do as `leave` in the caller's transaction."""
    columns = team_members.c
    open_period = (
        columns.tenant_id == tenant_id,
        columns.team_id == storable(team_id),
        columns.user_id == storable(user_id),
        columns.capacity == capacity,
        columns.until.is_(None),
    )
    _team(connection, tenant_id, team_id)
    # A period in which nothing could begin is no history.
    void = connection.execute(delete(team_members).where(*open_period, columns.since >= now)).rowcount
    closed = connection.execute(update(team_members).where(*open_period).values(until=now)).rowcount
    announce(connection)
    return bool(void or closed)


def members_of(
    catalogue: Catalogue, tenant_id: TenantId, team_id: str, *, past: bool = False
) -> list[Membership]:
    """Return who is in a team, listeners first, with `past` who was as well; raises NotFound."""
    wanted = [team_members.c.tenant_id == tenant_id, team_members.c.team_id == storable(team_id)]
    if not past:
        wanted.append(team_members.c.until.is_(None))
    with catalogue.transaction(tenant_id) as connection:
        _team(connection, tenant_id, team_id)
        return memberships(connection, *wanted)


def memberships_of(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> list[Membership]:
    """Return the teams somebody is in now."""
    columns = team_members.c
    with catalogue.transaction(tenant_id) as connection:
        return memberships(
            connection,
            columns.tenant_id == tenant_id,
            columns.user_id == storable(user_id),
            columns.until.is_(None),
        )


def memberships_by_person(
    catalogue: Catalogue, tenant_id: TenantId, user_ids: Iterable[UserId]
) -> dict[UserId, list[Membership]]:
    """Return the teams these people are in now; who is in none is left out."""
    columns = team_members.c
    wanted = (columns.tenant_id == tenant_id, columns.user_id.in_(sorted(user_ids)), columns.until.is_(None))
    found: dict[UserId, list[Membership]] = {}
    with catalogue.transaction(tenant_id) as connection:
        for each in memberships(connection, *wanted):
            found.setdefault(each.user_id, []).append(each)
    return found


def memberships(connection: Connection, *conditions: ColumnElement[bool]) -> list[Membership]:
    """Return memberships, listeners and managers before contributors, by login, oldest first."""
    statement = (
        select(team_members, teams.c.name.label("team_name"), users.c.login)
        .join(teams, teams.c.id == team_members.c.team_id)
        .join(users, users.c.id == team_members.c.user_id)
        .where(*conditions)
    )
    found = [_membership(row) for row in connection.execute(statement)]
    order = (*LISTENING, Capacity.CONTRIBUTOR)
    return sorted(found, key=lambda each: (order.index(each.capacity), each.login, each.since))


def switched(column: ColumnElement[Any], rights: Mapping[Right, bool]) -> ColumnElement[Any]:
    """Return a column of rights with these on or off."""
    for right, on in rights.items():
        column = func.array_remove(column, right.value)
        if on:
            column = func.array_append(column, right.value)
    return column


def _is(tenant_id: TenantId, team_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return teams.c.tenant_id == tenant_id, teams.c.id == storable(team_id)


def _teams(connection: Connection, *conditions: ColumnElement[bool]) -> list[Team]:
    statement = select(teams, _count(*LISTENING), _count(Capacity.CONTRIBUTOR)).where(*conditions)
    found = [
        Team(row.id, row.name, frozenset(map(Right, row.rights)), row.hears_earlier, listeners, contributors)
        for row in connection.execute(statement)
        for listeners, contributors in [row[-2:]]
    ]
    return sorted(found, key=lambda team: (team.name.casefold(), team.id))


def _count(*capacities: Capacity) -> ColumnElement[int]:
    members: Select[Any] = select(func.count(team_members.c.user_id.distinct())).where(
        team_members.c.team_id == teams.c.id,
        team_members.c.capacity.in_(capacities),
        team_members.c.until.is_(None),
    )
    return members.correlate(teams).scalar_subquery()


def _team(connection: Connection, tenant_id: TenantId, team_id: str) -> Team:
    found = _teams(connection, *_is(tenant_id, team_id))
    if not found:
        raise NotFound("There is no such team in this tenant.")
    return found[0]


def _membership(row: Row[Any]) -> Membership:
    return Membership(
        team_id=row.team_id,
        team_name=row.team_name,
        user_id=UserId(row.user_id),
        login=row.login,
        capacity=Capacity(row.capacity),
        since=row.since.astimezone(UTC),
        until=in_utc(row.until),
    )
