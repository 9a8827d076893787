"""Tenants, people and teams: read as a whole by recorders, changed one by one.

`load_directory` takes the frozen copy every recorder carries; each change tells the
channel `directory_changed`, so that copies are taken afresh at once. Licences are
kept as history: what was in force when a recording began can be told later.

Rules: operators change tenants, the portal and operators the rest, each
within one tenant. A name or number that is taken is a Conflict. Every change calls
`announce`, in whichever module it is made. Not here: how rows are read
(`archive.catalogue.directory_rows`), `peers`, policies, promises and lists of numbers
(`policies`, `keep_next`, `do_not_record`, `exempt_numbers`), the history of licences
(`licences`), passwords and API keys (`accounts`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypedDict, Unpack

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import directory_rows as rows
from archive.catalogue import grounds
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.snapshot import Directory, NumberRange
from archive.catalogue.tables import (
    team_members,
    teams,
    tenants,
    user_licences,
    user_numbers,
    users,
)
from archive.errors import Conflict, NotFound, Refused
from archive.grounds import STANDARD, Grounds
from archive.model import (
    RecordingMode,
    RetentionClass,
    Role,
    Tenant,
    TenantId,
    User,
    UserId,
    new_id,
)
from archive.numbers import is_exempt_number

CHANNEL = "directory_changed"
NAME_CHARS_MAX = 200
NUMBERS_PER_USER_MAX = 200
"""Ranges count as one. A switchboard has some dozens; more belongs to several users."""


LEFT = "This person left. Take their departure back before you change something of them."

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LOGIN = re.compile(r"[a-z0-9._%+-]+")

LOCK_NUMBERS = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("tenant_id"), 1)))


class Capacity(StrEnum):
    """As what a user is in a team: hears it, or is heard in it."""

    LISTENER = "listener"
    CONTRIBUTOR = "contributor"
    MANAGER = "manager"
    """A listener who sees the team's figures too."""


class UserFields(TypedDict, total=False):
    """What can be said of a user when adding or changing one; what is left out stays."""

    numbers: Sequence[str]
    broadworks_id: str | None
    role: Role
    access: str
    site: str | None
    licence: RetentionClass | None
    mode: RecordingMode
    own_modes: Sequence[RecordingMode]


def load_directory(catalogue: Catalogue) -> Directory:
    """Return all a recorder, worker or operator must know of every tenant, in one short transaction."""
    with catalogue.transaction() as connection:
        found_tenants, groups = rows.tenants_and_groups(connection)
        return Directory(
            tenants=found_tenants,
            peers=rows.all_peers(connection),
            users=rows.users_where(connection),
            broadworks_groups=groups,
            do_not_record=rows.all_do_not_record(connection),
            exempt_numbers=rows.all_exempt_numbers(connection),
            without_grounds=rows.tenants_without_grounds(connection),
        )


def add_tenant(
    catalogue: Catalogue,
    name: str,
    domain: str,
    *,
    now: datetime,
    broadworks_service_provider: str | None = None,
    broadworks_group: str | None = None,
    operates: bool = False,
    why: Grounds | None = STANDARD,
) -> Tenant:
    """Add a customer, or the provider's own tenant, which `operates`.

    `why` it records is the provider's text, or what was agreed; without any nobody is recorded
    before an administrator writes it. Raises Conflict when domain or BroadWorks group has one,
    Refused for a bad name.
    """
    domain = domain.strip().lower()
    if not _DOMAIN.fullmatch(domain) or len(domain) > NAME_CHARS_MAX:
        raise Refused(f"{domain!r} is not a domain, for instance bakery.example.")
    if broadworks_group is not None and broadworks_service_provider is None:
        raise Refused("A BroadWorks group needs its service provider.")
    tenant = Tenant(TenantId(new_id(now)), named(name), domain, operates=operates)
    with catalogue.transaction(tenant.id) as connection:
        row = {
            "id": tenant.id,
            "name": tenant.name,
            "domain": tenant.domain,
            "broadworks_service_provider": broadworks_service_provider,
            "broadworks_group": broadworks_group,
            "operates": operates,
        }
        connection.execute(insert(tenants), row)
        if why is not None and not operates:
            grounds.register(connection, tenant.id, why, "operator", now=now, standard=why is STANDARD)
        announce(connection)
    return tenant


def ensure_tenant(connection: Connection, tenant: Tenant, *, now: datetime) -> None:
    """Make sure a tenant with this id exists: rebuilding a catalogue begins so; runs as operator.

    A new one has the provider's text of why it records: it recorded before its own was lost, and a call
    that nobody can be named for yet goes on waiting in quarantine.
    """
    row = {"id": tenant.id, "name": tenant.name, "domain": tenant.domain}
    inserted = connection.execute(
        upsert(tenants).values(row).on_conflict_do_nothing(index_elements=["id"]).returning(tenants.c.id)
    )
    if inserted.first() is not None:
        grounds.register(connection, tenant.id, STANDARD, "operator", now=now, standard=True)
        announce(connection)


def list_tenants(catalogue: Catalogue) -> list[Tenant]:
    """Return all tenants by domain, as recorder, worker or operator."""
    with catalogue.transaction() as connection:
        return sorted(rows.tenants_where(connection), key=lambda tenant: tenant.domain)


def tenant_by_domain(catalogue: Catalogue, domain: str) -> Tenant:
    """Return the tenant of a domain, as recorder, worker or operator; raises NotFound."""
    with catalogue.transaction() as connection:
        found = rows.tenants_where(connection, tenants.c.domain == domain.strip().lower())
    if not found:
        raise NotFound(f"There is no tenant with the domain {domain!r}; `earwitness tenant list` shows them.")
    return found[0]


def add_user(
    catalogue: Catalogue, tenant_id: TenantId, login: str, *, now: datetime, **fields: Unpack[UserFields]
) -> User:
    """Add a person to a tenant; `login` is the part before the @.

    Raises Conflict when login, number or BroadWorks id belongs to somebody else, Refused for a
    mode that records without a licence or for a value that is not one, and GroundsMissing.
    """
    with catalogue.transaction(tenant_id) as connection:
        return insert_user(connection, tenant_id, login, now=now, **fields)


def insert_user(
    connection: Connection, tenant_id: TenantId, login: str, *, now: datetime, **fields: Unpack[UserFields]
) -> User:
    """Add a person in the caller's transaction; raises as `add_user`."""
    login = login.strip().lower()
    if not _LOGIN.fullmatch(login) or len(login) > NAME_CHARS_MAX:
        raise Refused(f"{login!r} is not a login: letters, digits and . _ % + - only.")
    # One operator more is one from the first row on: nobody else may stand in their tenant.
    role = Role.OPERATOR if fields.get("role") is Role.OPERATOR else Role.USER
    user = User(UserId(new_id(now)), tenant_id, login, role=role)
    row = {name: getattr(user, name) for name in ("id", "tenant_id", "login", "role", "access", "mode")}
    connection.execute(insert(users), row)
    return _change(connection, user, fields, now)


def set_user(
    catalogue: Catalogue, tenant_id: TenantId, login: str, *, now: datetime, **fields: Unpack[UserFields]
) -> User:
    """Change a person; what is not given stays. Raises NotFound, and as `add_user`."""
    with catalogue.transaction(tenant_id) as connection:
        return update_user(connection, tenant_id, login, now=now, **fields)


def update_user(
    connection: Connection, tenant_id: TenantId, login: str, *, now: datetime, **fields: Unpack[UserFields]
) -> User:
    """Change a person in the caller's transaction; raises as `set_user`."""
    user = user_of_login(connection, tenant_id, login)
    if user is None:
        raise NotFound(f"There is no user {login!r} in this tenant.")
    return _change(connection, lock_user(connection, tenant_id, user.id, fields), fields, now)


def change_locked(connection: Connection, user: User, *, now: datetime, **fields: Unpack[UserFields]) -> User:
    """Change a person, read when the caller's transaction had locked them already; raises as `set_user`."""
    return _change(connection, user, fields, now)


def lock_user(
    connection: Connection, tenant_id: TenantId, user_id: UserId, fields: Collection[str] = ()
) -> User:
    """Return a person whom nobody else changes before the caller's transaction is over; raises NotFound.

    `fields` names what is about to change: the numbers of a tenant have a lock of their own,
    and whoever takes it after the lock of a person may wait for somebody who waits for them.
    """
    if "numbers" in fields:
        connection.execute(LOCK_NUMBERS, {"tenant_id": tenant_id})
    row = (users.c.tenant_id == tenant_id, users.c.id == user_id)
    connection.execute(select(users.c.id).where(*row).with_for_update())
    return _of_id(connection, tenant_id, user_id)


def lock_people(connection: Connection, tenant_id: TenantId, user_ids: Iterable[UserId]) -> None:
    """Keep others from several people and from all numbers of their tenant for the caller's transaction.

    In one order whoever asks, so that two who change the same people do not wait for each other.
    """
    connection.execute(LOCK_NUMBERS, {"tenant_id": tenant_id})
    meant = (users.c.tenant_id == tenant_id, users.c.id.in_(sorted(user_ids)))
    connection.execute(select(users.c.id).where(*meant).order_by(users.c.id).with_for_update())


def list_users(catalogue: Catalogue, tenant_id: TenantId) -> list[User]:
    """Return a tenant's people by login."""
    with catalogue.transaction(tenant_id) as connection:
        return sorted(
            rows.users_where(connection, users.c.tenant_id == tenant_id), key=lambda user: user.login
        )


def user_by_id(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> User:
    """Return one person of a tenant; raises NotFound."""
    with catalogue.transaction(tenant_id) as connection:
        return _of_id(connection, tenant_id, user_id)


def set_own_mode(connection: Connection, user: User, mode: RecordingMode, *, now: datetime) -> User:
    """Change a person's mode at their own wish, in the transaction that locked them.

    Raises Refused for one that is not theirs to choose.
    """
    if mode not in user.own_modes:
        choice = ", ".join(user.own_modes) or "none"
        raise Refused(f"The administrator lets you choose from these modes: {choice}.")
    return _change(connection, user, {"mode": mode}, now)


def licence_at(
    catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, moment: datetime
) -> RetentionClass | None:
    """Return the licence that was in force for a person at a moment; None for none."""
    columns = user_licences.c
    statement = (
        select(columns.licence)
        .where(columns.tenant_id == tenant_id, columns.user_id == user_id, columns.valid_from <= moment)
        .order_by(columns.valid_from.desc())
        .limit(1)
    )
    with catalogue.transaction(tenant_id) as connection:
        licence = connection.execute(statement).scalar()
    return None if licence is None else RetentionClass(licence)


def add_team(catalogue: Catalogue, tenant_id: TenantId, name: str, *, now: datetime) -> str:
    """Add a team and return its id; raises Conflict when the name is taken."""
    with catalogue.transaction(tenant_id) as connection:
        return insert_team(connection, tenant_id, name, now=now)


def insert_team(connection: Connection, tenant_id: TenantId, name: str, *, now: datetime) -> str:
    """Add a team in the caller's transaction; raises as `add_team`."""
    team_id = new_id(now)
    connection.execute(insert(teams), {"id": team_id, "tenant_id": tenant_id, "name": named(name)})
    announce(connection)
    return team_id


def set_team_member(
    catalogue: Catalogue,
    tenant_id: TenantId,
    team_name: str,
    login: str,
    capacity: Capacity,
    *,
    now: datetime,
) -> None:
    """Put a user into a team from `now` on; raises NotFound. Twice is once.

    Of a contributor the team hears what begins from then on, and earlier recordings where
    it is allowed to (`archive.catalogue.teams`, where members are taken out again).
    """
    with catalogue.transaction(tenant_id) as connection:
        team_id = connection.execute(
            select(teams.c.id).where(teams.c.tenant_id == tenant_id, teams.c.name == team_name.strip())
        ).scalar()
        user = user_of_login(connection, tenant_id, login)
        if team_id is None or user is None:
            raise NotFound(
                f"There is no {'team' if team_id is None else 'user'} of that name in this tenant."
            )
        open_membership(connection, tenant_id, team_id, user.id, capacity, now=now)


def open_membership(
    connection: Connection,
    tenant_id: TenantId,
    team_id: str,
    user_id: UserId,
    capacity: Capacity,
    *,
    now: datetime,
) -> bool:
    """Put somebody into a team in the caller's transaction; False when they are in it that way already.

    Raises Refused for who left.
    """
    gone = (users.c.tenant_id == tenant_id, users.c.id == user_id, users.c.left_at.is_not(None))
    if connection.execute(select(users.c.id).where(*gone)).first() is not None:
        raise Refused(LEFT)
    row = {"tenant_id": tenant_id, "team_id": team_id, "user_id": user_id, "capacity": capacity, "since": now}
    statement = upsert(team_members).values(row).on_conflict_do_nothing().returning(team_members.c.since)
    opened = connection.execute(statement).first() is not None
    announce(connection)
    return opened


def announce(connection: Connection) -> None:
    """Tell everyone who carries a directory, when this transaction commits, to load it afresh."""
    connection.execute(select(func.pg_notify(CHANNEL, "")))


def _change(connection: Connection, before: User, fields: UserFields, now: datetime) -> User:
    if before.left_at is not None:
        raise Refused(LEFT)
    if fields.get("access", "own") not in {"none", "own"}:
        raise Refused("Access is none or own.")
    if fields.get("role") is Role.OPERATOR and before.role is not Role.OPERATOR:
        raise Refused("Nobody becomes an operator: they are added in the tenant of the provider.")
    licence, mode = fields.get("licence", before.licence), fields.get("mode", before.mode)
    if licence is None and mode is not RecordingMode.NEVER:
        raise Refused(f"The mode {mode} records, which needs a licence; give one, or set the mode to never.")
    if before.role is not Role.OPERATOR:  # who is never recorded, as is said below
        grounds.require(connection, before, licence, mode)
    own = {"tenant_id": before.tenant_id, "user_id": before.id}
    columns = {name: value for name, value in fields.items() if name not in {"numbers", "licence"}}
    if "own_modes" in fields:
        columns["own_modes"] = [str(each) for each in RecordingMode if each in fields["own_modes"]]
    if fields.get("broadworks_id") is not None:
        # BroadWorks compares userIDs without regard to case, so that two spellings are one person.
        columns["broadworks_id"] = named(fields["broadworks_id"] or "").lower()
    if fields.get("site") is not None:
        columns["site"] = named(fields["site"] or "")
    if columns:
        row = (users.c.tenant_id == before.tenant_id, users.c.id == before.id)
        connection.execute(update(users).where(*row).values(columns))
    if "numbers" in fields:
        _set_numbers(connection, before.tenant_id, before.id, fields["numbers"])
    if licence != before.licence:
        connection.execute(insert(user_licences), {**own, "valid_from": now, "licence": licence})
    user = _of_id(connection, before.tenant_id, before.id)
    if user.licence is None and user.mode is not RecordingMode.NEVER:
        raise Refused(
            f"The mode {user.mode} records, which needs a licence; give one, or set the mode to never."
        )
    if user.role is Role.OPERATOR and (user.licence is not None or user.numbers):
        raise Refused("An operator is not recorded: they have no licence and no numbers.")
    announce(connection)
    return user


def _set_numbers(
    connection: Connection, tenant_id: TenantId, user_id: UserId, numbers: Sequence[str]
) -> None:
    if len(numbers) > NUMBERS_PER_USER_MAX:
        raise Refused(f"A user has at most {NUMBERS_PER_USER_MAX} numbers and ranges.")
    ranges = sorted(set(map(NumberRange.parse, numbers)))
    if any(is_exempt_number(end) for each in ranges for end in (each.first, each.last)):
        raise Refused("Emergency and help line numbers are never recorded and can't belong to a user.")
    # Overlap is not a matter of one row: whoever changes numbers of this tenant waits here.
    connection.execute(LOCK_NUMBERS, {"tenant_id": tenant_id})
    added = _exempted(connection, tenant_id)
    # Inside a range it may stand: that is one confidential desk behind a trunk.
    if any(each.first == each.last and each.first in added for each in ranges):
        raise Refused("One of these numbers was made exempt: no call of its user would leave anything.")
    columns = user_numbers.c
    connection.execute(delete(user_numbers).where(columns.tenant_id == tenant_id, columns.user_id == user_id))
    for each in ranges:
        taken = select(columns.user_id).where(rows.overlapping(user_numbers, tenant_id, each))
        if connection.execute(taken).first() is not None:
            raise Conflict("One of these numbers is given twice, or belongs to another user of this tenant.")
        row = {"tenant_id": tenant_id, "user_id": user_id, "first": each.first, "last": each.last}
        connection.execute(insert(user_numbers), row)


def free_numbers(connection: Connection, tenant_id: TenantId, numbers: Sequence[str]) -> list[str]:
    """Return those that could be given to somebody, to who holds the lock of the tenant's numbers."""
    added = _exempted(connection, tenant_id)
    free = []
    for each in map(NumberRange.parse, numbers):
        taken = select(user_numbers.c.user_id).where(rows.overlapping(user_numbers, tenant_id, each))
        exempt = each.first == each.last and each.first in added
        if not exempt and connection.execute(taken).first() is None:
            free.append(str(each))
    return free


def _exempted(connection: Connection, tenant_id: TenantId) -> set[str]:
    """Return the numbers that operator and tenant made exempt."""
    return {
        item.number for item in rows.all_exempt_numbers(connection) if item.tenant_id in {None, tenant_id}
    }


def user_of_login(connection: Connection, tenant_id: TenantId, login: str) -> User | None:
    """Return the person of a login, None for nobody."""
    found = rows.users_where(
        connection, users.c.tenant_id == tenant_id, users.c.login == login.strip().lower()
    )
    return found[0] if found else None


def _of_id(connection: Connection, tenant_id: TenantId, user_id: UserId) -> User:
    found = rows.users_where(connection, users.c.tenant_id == tenant_id, users.c.id == user_id)
    if not found:
        raise NotFound("There is no such user in this tenant.")
    return found[0]


def named(name: str) -> str:
    """Return a name without blanks around it; raises Refused for what can't be shown or is too long."""
    name = name.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise Refused(f"A name has 1 to {NAME_CHARS_MAX} printable characters.")
    return name
