"""Who is asking: passwords and API keys on one side, an `AccessScope` on the other.

A password is kept as an argon2id hash. An API key is shown once and kept as its
SHA-256 (it is 256 random bits, so a slow hash would protect nothing). The key names
its tenant, so that it is looked for under row-level security like everything else.

Rules: whoever fails to sign in learns nothing about what was wrong, neither from
the answer nor from its time. A scope is read afresh for each request.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import ARGON2_VERSION
from sqlalchemy import Connection, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, Scope
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import api_clients, team_members, user_passwords, users
from archive.errors import NotFound, Refused
from archive.model import Role, TenantId, UserId, new_id

PASSWORD_CHARS_MIN = 12
"""NIST SP 800-63B asks for 8 with a second factor, and for more without one."""

PASSWORD_CHARS_MAX = 256
"""Hashing costs time by length; a longer one is no password."""

CLIENT_NAME_CHARS_MAX = 200
KEY_BYTES = 32

_HASHER = PasswordHasher()


def _hash_of_nothing() -> str:
    """Return a hash no password has; as costly to verify as any, and made without hashing at each import."""
    salt, tag = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_HASHER.salt_len, _HASHER.hash_len)
    )
    cost = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${tag}"


_NOBODYS_HASH = _hash_of_nothing()
_KEY = re.compile(r"ew_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9_-]{43})")

TENANT_OF_DOMAIN = select(func.tenant_of_domain(bindparam("domain")))


@dataclass(frozen=True)
class ApiKey:
    """A new API client and its key, which can't be shown again."""

    id: str
    key: str


def set_password(catalogue: Catalogue, tenant_id: TenantId, login: str, password: str) -> None:
    """Set a person's password; raises NotFound, or Refused for a length out of bounds."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Refused(f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.")
    password_hash = _HASHER.hash(password)
    with catalogue.transaction(tenant_id) as connection:
        user_id = connection.execute(
            select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.login == login.strip().lower())
        ).scalar()
        if user_id is None:
            raise NotFound(f"There is no user {login!r} in this tenant.")
        row = {"tenant_id": tenant_id, "user_id": user_id, "password_hash": password_hash}
        statement = upsert(user_passwords).values(row)
        connection.execute(
            statement.on_conflict_do_update(index_elements=["user_id"], set_={"password_hash": password_hash})
        )


def authenticate_user(catalogue: Catalogue, login_at_domain: str, password: str) -> AccessScope | None:
    """Return the scope of a person, as the portal's role, or None for any wrong combination.

    A hash is always computed, so that the time tells nothing about who exists.
    """
    login, _, domain = login_at_domain.strip().lower().rpartition("@")
    if "\0" in login_at_domain or len(password) > PASSWORD_CHARS_MAX:
        login, domain, password = "", "", ""
    tenant_id, user_id, password_hash = _stored_password(catalogue, login, domain)
    try:
        _HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return None
    if tenant_id is None or user_id is None:
        return None
    return scope_of_user(catalogue, tenant_id, user_id)


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
    """Return the scope of an API key, or None when no client has it.

    A key of a person gives that person's scope, narrowed to the scopes of the key.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    tenant_id = TenantId(match[1])
    columns = api_clients.c
    statement = select(columns.id, columns.scopes, columns.user_id).where(
        columns.tenant_id == tenant_id, columns.key_hash == _hash(key)
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        scopes = frozenset(row.scopes)
        if row.user_id is None:
            return AccessScope(tenant_id=tenant_id, actor=f"api-client:{row.id}", scopes=scopes)
        return replace(_scope_of_user(connection, tenant_id, UserId(row.user_id)), scopes=scopes)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _stored_password(
    catalogue: Catalogue, login: str, domain: str
) -> tuple[TenantId | None, UserId | None, str]:
    with catalogue.transaction() as connection:
        tenant_id = connection.execute(TENANT_OF_DOMAIN, {"domain": domain}).scalar()
    if tenant_id is None:
        return None, None, _NOBODYS_HASH
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(
            select(users.c.id, user_passwords.c.password_hash)
            .join(user_passwords, user_passwords.c.user_id == users.c.id)
            .where(users.c.tenant_id == tenant_id, users.c.login == login)
        ).one_or_none()
    return (None, None, _NOBODYS_HASH) if row is None else (tenant_id, UserId(row.id), row.password_hash)


def _scope_of_user(connection: Connection, tenant_id: TenantId, user_id: UserId) -> AccessScope:
    row = connection.execute(
        select(users).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such user any more.")
    team_ids, heard = _teams_heard(connection, tenant_id, user_id)
    return AccessScope(
        tenant_id=tenant_id,
        actor=f"user:{user_id}",
        role=Role(row.role),
        user_id=user_id,
        access=row.access,
        team_ids=team_ids,
        heard_user_ids=heard,
        downloads=row.downloads,
    )


def _teams_heard(
    connection: Connection, tenant_id: TenantId, user_id: UserId
) -> tuple[frozenset[str], frozenset[UserId]]:
    """Return the teams a person listens to, and who contributes to them."""
    mine, theirs = team_members.alias(), team_members.alias()
    listens = (mine.c.tenant_id == tenant_id, mine.c.user_id == user_id, mine.c.capacity == "listener")
    team_ids = connection.execute(select(mine.c.team_id).where(*listens)).scalars()
    heard = connection.execute(
        select(theirs.c.user_id)
        .join(mine, mine.c.team_id == theirs.c.team_id)
        .where(*listens, theirs.c.capacity == "contributor")
    ).scalars()
    return frozenset(team_ids), frozenset(map(UserId, heard))
