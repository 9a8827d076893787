"""Who is asking: a person or an API key on one side, an `AccessScope` on the other.

An API key is shown once and kept as its SHA-256 (it is 256 random bits, so a slow hash
would protect nothing). The key names its tenant, so that it is looked for under
row-level security like everything else.

Rules: a scope is read afresh for each request. Not here: passwords
(`archive.catalogue.passwords`) and sessions (`archive.catalogue.portal_sessions`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Select,
    Text,
    and_,
    bindparam,
    case,
    false,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from archive.access import AccessScope, Hearing, Right, Scope
from archive.catalogue import case_people
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import api_clients, team_members, teams, tenant_policies, users
from archive.errors import Conflict, NotFound, Refused
from archive.model import Role, TenantId, UserId, new_id

CLIENT_NAME_CHARS_MAX = 200
KEY_BYTES = 32

SUSPENDED: Final = "suspended:"
"""Before the hash of a key that opens nothing until somebody says that it still may: no hash begins so."""

_KEY = re.compile(r"ew_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class ApiKey:
    """A new API client and its key, which can't be shown again."""

    id: str
    key: str


def scope_of_user(catalogue: Catalogue, tenant_id: TenantId, user_id: UserId) -> AccessScope:
    """Return what a person may reach right now; raises NotFound when they are gone."""
    with catalogue.transaction(tenant_id) as connection:
        return _scope_of_user(connection, tenant_id, user_id)


def add_api_client(
    catalogue: Catalogue,
    tenant_id: TenantId,
    name: str,
    scopes: Iterable[str],
    *,
    now: datetime,
    user_id: UserId | None = None,
) -> ApiKey:
    """Add an API client and return its key, once; with `user_id` the key acts as that person.

    Raises Refused for scopes that do not exist, Conflict when the name is taken, NotFound
    for no such person.
    """
    known = {str(scope) for scope in Scope}
    wanted = sorted(set(scopes))
    if not wanted or not known.issuperset(wanted):
        raise Refused(f"An API client has one or more of the scopes {', '.join(sorted(known))}.")
    name = name.strip()
    if not name or len(name) > CLIENT_NAME_CHARS_MAX or not name.isprintable():
        raise Refused(f"A name has 1 to {CLIENT_NAME_CHARS_MAX} printable characters.")
    key = f"ew_{tenant_id}_{secrets.token_urlsafe(KEY_BYTES)}"
    client_id = new_id(now)
    row = {"id": client_id, "tenant_id": tenant_id, "name": name, "key_hash": _hash(key), "scopes": wanted}
    with catalogue.transaction(tenant_id) as connection:
        if user_id is not None:
            _scope_of_user(connection, tenant_id, user_id)
        connection.execute(insert(api_clients), {**row, "user_id": user_id})
    return ApiKey(client_id, key)


def authenticate_key(catalogue: Catalogue, key: str) -> AccessScope | None:
    """Return the scope of an API key, or None when no client has it, or its person left.

    A key of a person gives that person's scope, narrowed to the scopes of the key.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    tenant_id = TenantId(match[1])
    columns = api_clients.c
    asks = func.coalesce(tenant_policies.c.purpose_required, false()).label("asks_purpose")
    statement = (
        select(columns.id, columns.scopes, columns.user_id, asks)
        .outerjoin(tenant_policies, tenant_policies.c.tenant_id == columns.tenant_id)
        .where(columns.tenant_id == tenant_id, columns.key_hash == _hash(key))
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        scopes = frozenset(row.scopes)
        if row.user_id is None:
            actor = f"api-client:{row.id}"
            return AccessScope(tenant_id, actor, scopes=scopes, asks_purpose=row.asks_purpose)
        with suppress(NotFound):
            return replace(_scope_of_user(connection, tenant_id, UserId(row.user_id)), scopes=scopes)
    return None


def scope_of_client(catalogue: Catalogue, tenant_id: TenantId, client_id: str) -> AccessScope:
    """Return what an API client may reach right now; raises NotFound when it is gone."""
    columns = api_clients.c
    statement = select(columns.scopes).where(
        columns.tenant_id == tenant_id, columns.id == client_id, columns.user_id.is_(None)
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such API client any more.")
    return AccessScope(tenant_id, f"api-client:{client_id}", scopes=frozenset(row.scopes))


def resume_api_client(catalogue: Catalogue, tenant_id: TenantId, name: str) -> str:
    """Let the key of an API client that a restore suspended open again, and return the client's id.

    Raises NotFound for none of that name, Conflict when it is not suspended.
    """
    columns = api_clients.c
    of_it = and_(columns.tenant_id == tenant_id, columns.name == name)
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(
            select(columns.id, columns.key_hash).where(of_it).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound("There is no API client of that name.")
        if not row.key_hash.startswith(SUSPENDED):
            raise Conflict("The key of this API client is not suspended.")
        given = row.key_hash.removeprefix(SUSPENDED)
        connection.execute(update(api_clients).where(of_it).values(key_hash=given))
    return str(row.id)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _scope_of_user(connection: Connection, tenant_id: TenantId, user_id: UserId) -> AccessScope:
    row = connection.execute(PERSON, {"of_tenant": tenant_id, "of_user": user_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such user any more.")
    return AccessScope(
        tenant_id=tenant_id,
        actor=f"user:{user_id}",
        role=Role(row.role),
        user_id=user_id,
        access=row.access,
        team_ids=frozenset(row.team_ids),
        managed_team_ids=frozenset(row.managed_team_ids),
        heard=_heard(connection, tenant_id, row.team_ids) if row.team_ids else frozenset(),
        granted=_rights(row.granted),
        denied=_rights(row.denied),
        own_rights=_rights(row.own_rights),
        asks_purpose=row.asks_purpose,
        case_ids=frozenset(row.case_ids),
    )


def _heard(connection: Connection, tenant_id: TenantId, team_ids: Sequence[str]) -> frozenset[Hearing]:
    """Return whom the listeners of these teams hear, and from when to when."""
    found = connection.execute(HEARD, {"of_tenant": tenant_id, "of_teams": list(team_ids)})
    return frozenset(
        Hearing(
            user_id=UserId(row.user_id),
            team_id=row.team_id,
            since=in_utc(row.since),
            until=in_utc(row.until),
            rights=_rights(row.rights),
        )
        for row in found
    )


def _rights(words: Iterable[str]) -> frozenset[Right]:
    return frozenset(map(Right, words))


def _person() -> Select[Any]:
    """Return the statement that finds a person, the teams they listen to, and what their own teams allow."""
    mine = team_members.c
    now_in = (mine.tenant_id == users.c.tenant_id, mine.user_id == users.c.id, mine.until.is_(None))

    def teams_as(*capacities: Capacity) -> ScalarSelect[Any]:
        listed = select(mine.team_id).where(*now_in, mine.capacity.in_(capacities))
        return listed.distinct().correlate(users).scalar_subquery()

    allowed = (
        select(func.unnest(teams.c.rights))
        .join(team_members, mine.team_id == teams.c.id)
        .where(*now_in, mine.capacity == Capacity.CONTRIBUTOR)
        .correlate(users)
    )
    return (
        select(
            users.c.role,
            users.c.access,
            users.c.granted,
            users.c.denied,
            func.coalesce(tenant_policies.c.purpose_required, false()).label("asks_purpose"),
            func.array(teams_as(Capacity.LISTENER, Capacity.MANAGER)).label("team_ids"),
            func.array(teams_as(Capacity.MANAGER)).label("managed_team_ids"),
            func.array(allowed.scalar_subquery()).label("own_rights"),
            func.array(
                case_people.admitted_to(users.c.tenant_id, users.c.id).correlate(users).scalar_subquery()
            ).label("case_ids"),
        )
        .outerjoin(tenant_policies, tenant_policies.c.tenant_id == users.c.tenant_id)
        .where(users.c.tenant_id == bindparam("of_tenant"), users.c.id == bindparam("of_user"))
        # Who left reaches nothing, by whatever way they come.
        .where(users.c.left_at.is_(None))
    )


def _heard_statement() -> Select[Any]:
    """Return the statement that finds who contributes or contributed to teams.

    Earlier recordings are those of who is in the team now: whoever left took along what
    is not the team's.
    """
    theirs = team_members.c
    earlier = and_(teams.c.hears_earlier, theirs.until.is_(None))
    return (
        select(
            theirs.user_id,
            theirs.team_id,
            case((earlier, None), else_=theirs.since).label("since"),
            theirs.until,
            teams.c.rights,
        )
        .join(teams, teams.c.id == theirs.team_id)
        .where(
            theirs.tenant_id == bindparam("of_tenant"),
            theirs.team_id == func.any(bindparam("of_teams", type_=ARRAY(Text))),
            theirs.capacity == Capacity.CONTRIBUTOR,
        )
    )


PERSON = _person()
"""Made once: who asks is found out afresh for each request, and most of that was making the statement."""

HEARD = _heard_statement()
