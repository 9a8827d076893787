"""What people may do beside hearing, as their administrators set it, and who hears whom.

A person follows their teams until they have a setting of their own for a right: allowed
or forbidden, whatever the teams say.

Rules: within one tenant, as portal or operator. `hearers_of` gives the same answer as
asking `archive.access` for each person in turn (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, update

from archive.access import Right, Scope
from archive.catalogue.accounts import SUSPENDED
from archive.catalogue.directory import Capacity, announce
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import storable
from archive.catalogue.tables import (
    api_clients,
    case_people,
    case_recordings,
    case_rules,
    cases,
    recordings,
    team_members,
    teams,
    users,
)
from archive.catalogue.teams import LISTENING, Membership, lock, memberships, switched
from archive.errors import NotFound
from archive.model import Recording, Role, TenantId, UserId
from archive.numbers import canonical


@dataclass(frozen=True)
class PersonRights:
    """A person's own settings; a right in neither set follows their teams."""

    user_id: UserId
    login: str
    role: Role
    granted: frozenset[Right]
    denied: frozenset[Right]

    def setting(self, right: Right) -> bool | None:
        """Return what was set for this person, None where they follow their teams."""
        if right in self.granted or right in self.denied:
            return right in self.granted
        return None


class Reason(StrEnum):
    """Why somebody hears the recordings of a person."""

    OWN = "own"
    TEAM = "team"
    AUDITOR = "auditor"
    CASE = "case"
    API_CLIENT = "api-client"


@dataclass(frozen=True)
class Hearer:
    """Somebody who hears a person, why, and the recordings that began in `[since, until)`; None is no bound.

    `user_id` is None for an API client, whose `name` is its own; else `name` is the login. By a
    case they hear what it holds of the person, whenever that began.
    """

    reason: Reason
    name: str
    user_id: UserId | None = None
    capacity: Capacity | None = None
    team_id: str | None = None
    team_name: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, began: datetime) -> bool:
        """Return whether they hear whatever began at this moment; by a case that depends on what it holds."""
        if self.reason is Reason.CASE:
            return False
        return (self.since is None or began >= self.since) and (self.until is None or began < self.until)


def of_person(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> PersonRights:
    """Return what was set for one person; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        return _person(connection, tenant_id, user_id)


def of_exceptions(catalogue: Catalogue, tenant_id: TenantId) -> list[PersonRights]:
    """Return the people with a setting of their own, by login."""
    with catalogue.transaction(tenant_id) as connection:
        return exceptions_within(connection, tenant_id)


def exceptions_within(connection: Connection, tenant_id: TenantId) -> list[PersonRights]:
    """Do as `of_exceptions` in the caller's transaction."""
    own = or_(users.c.granted != [], users.c.denied != [])
    return _people(connection, users.c.tenant_id == tenant_id, own)


def set_rights(
    catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, rights: Mapping[Right, bool | None]
) -> PersonRights:
    """Allow, forbid, or with None let a person follow their teams; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        return switch(connection, tenant_id, user_id, rights)


def switch(
    connection: Connection, tenant_id: TenantId, user_id: UserId, rights: Mapping[Right, bool | None]
) -> PersonRights:
    """Do as `set_rights` in the caller's transaction."""
    lock(connection, tenant_id)
    values = {
        "granted": switched(users.c.granted, {right: allowed is True for right, allowed in rights.items()}),
        "denied": switched(users.c.denied, {right: allowed is False for right, allowed in rights.items()}),
    }
    own = (users.c.tenant_id == tenant_id, users.c.id == storable(user_id))
    if rights:
        connection.execute(update(users).where(*own).values(values))
        announce(connection)
    return _person(connection, tenant_id, user_id)


def hearers_of(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> list[Hearer]:
    """Return who hears the recordings of a person, and why: everybody, and nobody else; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        found = _hearers(connection, tenant_id, user_id)
        held, theirs = case_recordings.c, recordings.c
        of_them = (
            select(held.case_id)
            .join(recordings, and_(theirs.tenant_id == held.tenant_id, theirs.id == held.recording_id))
            .where(held.tenant_id == tenant_id, theirs.owner == user_id)
        )
        return found + _admitted(connection, tenant_id, of_them)


def hearers_of_call(
    catalogue: Catalogue,
    tenant_id: TenantId,
    user_id: UserId,
    people: Collection[UserId],
    numbers: Collection[str],
    *,
    now: datetime,
) -> list[Hearer]:
    """Return who would hear a person's recording of a call that begins now, of these people and numbers.

    Those too who are admitted to a case that takes such calls in. Raises NotFound.
    """
    rule = case_rules.c
    named = or_(rule.user_id.in_({user_id, *people}), rule.number.in_({*numbers, *map(canonical, numbers)}))
    taking = select(rule.case_id).where(rule.tenant_id == tenant_id, rule.ended_at.is_(None), named)
    with catalogue.transaction(tenant_id) as connection:
        found = [each for each in _hearers(connection, tenant_id, user_id) if each.covers(now)]
        return found + _admitted(connection, tenant_id, taking)


def hearers_of_recording(catalogue: Catalogue, recording: Recording) -> list[Hearer]:
    """Return who hears its owner, or everybody where it has none (any more), and who its cases admit."""
    tenant_id, held = recording.tenant_id, case_recordings.c
    holding = select(held.case_id).where(held.tenant_id == tenant_id, held.recording_id == recording.id)
    with catalogue.transaction(tenant_id) as connection:
        admitted = _admitted(connection, tenant_id, holding)
        if recording.owner is not None:
            with suppress(NotFound):
                return _hearers(connection, tenant_id, recording.owner) + admitted
        return _of_all(connection, tenant_id) + admitted


def _hearers(connection: Connection, tenant_id: TenantId, user_id: UserId) -> list[Hearer]:
    """Return who hears a person by themselves, by teams, by role or by key; raises NotFound."""
    columns = team_members.c
    of_tenant = columns.tenant_id == tenant_id
    person = connection.execute(
        select(users.c.login, users.c.access, users.c.left_at).where(
            users.c.tenant_id == tenant_id, users.c.id == storable(user_id)
        )
    ).one_or_none()
    if person is None:
        raise NotFound("There is no such user in this tenant.")
    is_listening = (columns.capacity.in_(LISTENING), columns.until.is_(None))
    contributes = memberships(
        connection, of_tenant, columns.user_id == user_id, columns.capacity == Capacity.CONTRIBUTOR
    )
    by_team = [each.team_id for each in contributes]
    listeners = memberships(connection, of_tenant, columns.team_id.in_(by_team), *is_listening)
    own = memberships(connection, of_tenant, columns.user_id == user_id, *is_listening)
    earlier = select(teams.c.id).where(teams.c.id.in_(by_team), teams.c.hears_earlier)
    hears_earlier = frozenset(connection.execute(earlier).scalars())
    hears_own = person.left_at is None and (person.access == "own" or own)
    found = [Hearer(Reason.OWN, person.login, user_id)] if hears_own else []
    found += _by_teams(contributes, listeners, hears_earlier)
    return found + _of_all(connection, tenant_id)


def _admitted(connection: Connection, tenant_id: TenantId, case_ids: Select[Any]) -> list[Hearer]:
    """Return who is admitted to any of these cases while it holds; to which one, is theirs to know."""
    people = case_people.c
    statement = (
        select(users.c.id, users.c.login)
        .distinct()
        .join(case_people, and_(people.tenant_id == users.c.tenant_id, people.user_id == users.c.id))
        .join(cases, and_(cases.c.tenant_id == people.tenant_id, cases.c.id == people.case_id))
        .where(users.c.tenant_id == tenant_id, cases.c.id.in_(case_ids))
        .where(people.removed_at.is_(None), cases.c.released_at.is_(None), users.c.left_at.is_(None))
        .order_by(users.c.login)
    )
    return [Hearer(Reason.CASE, row.login, UserId(row.id)) for row in connection.execute(statement)]


def _by_teams(
    contributes: list[Membership], listeners: list[Membership], hears_earlier: frozenset[str]
) -> list[Hearer]:
    return [
        Hearer(
            reason=Reason.TEAM,
            name=listener.login,
            user_id=listener.user_id,
            capacity=listener.capacity,
            team_id=period.team_id,
            team_name=period.team_name,
            since=None if period.until is None and period.team_id in hears_earlier else period.since,
            until=period.until,
        )
        for period in contributes
        for listener in listeners
        if listener.team_id == period.team_id
    ]


def _of_all(connection: Connection, tenant_id: TenantId) -> list[Hearer]:
    """Return who hears everybody: auditors, and programs whose key may read and play."""
    auditors = select(users.c.id, users.c.login).where(
        users.c.tenant_id == tenant_id, users.c.role == Role.AUDITOR
    )
    needed = [Scope.RECORDINGS_READ.value, Scope.RECORDINGS_PLAY.value]
    clients = select(api_clients.c.name).where(
        api_clients.c.tenant_id == tenant_id,
        api_clients.c.user_id.is_(None),
        api_clients.c.scopes.contains(needed),
        # What a restore suspended opens nothing until somebody lets it.
        ~api_clients.c.key_hash.startswith(SUSPENDED, autoescape=True),
    )
    found = [
        Hearer(Reason.AUDITOR, row.login, UserId(row.id))
        for row in connection.execute(auditors.order_by(users.c.login))
    ]
    names = connection.execute(clients.order_by(api_clients.c.name)).scalars()
    return found + [Hearer(Reason.API_CLIENT, name) for name in names]


def _person(connection: Connection, tenant_id: TenantId, user_id: UserId) -> PersonRights:
    found = _people(connection, users.c.tenant_id == tenant_id, users.c.id == storable(user_id))
    if not found:
        raise NotFound("There is no such user in this tenant.")
    return found[0]


def _people(connection: Connection, *conditions: ColumnElement[bool]) -> list[PersonRights]:
    columns = (users.c.id, users.c.login, users.c.role, users.c.granted, users.c.denied)
    return [
        PersonRights(
            user_id=UserId(row.id),
            login=row.login,
            role=Role(row.role),
            granted=frozenset(map(Right, row.granted)),
            denied=frozenset(map(Right, row.denied)),
        )
        for row in connection.execute(select(*columns).where(*conditions).order_by(users.c.login))
    ]
