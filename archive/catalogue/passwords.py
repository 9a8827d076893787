"""Passwords: kept as argon2id, judged in the same time whether there is an account or not.

Rules: a hash is always computed, so that the time tells nothing about who exists. A
hash made by costs of the past is made anew when its password is next given; that ends
no session, for the password is the same.

Not here: who an attempt is for (`archive.catalogue.identities`), and how often one may try
(`archive.throttle`).
"""

from __future__ import annotations

import base64
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.identities import NOBODY, Account
from archive.catalogue.tables import user_passwords, users
from archive.errors import NotFound, Refused
from archive.model import TenantId, UserId

PASSWORD_CHARS_MIN = 12
"""NIST SP 800-63B asks for 8 with a second factor, and for more without one."""

PASSWORD_CHARS_MAX = 256
"""Hashing costs time by length; a longer one is no password."""

DIFFERENT_CHARS_MIN = 5
"""Fewer is a pattern of the keyboard and not a password."""

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


def check_length(password: str) -> None:
    """Raise Refused for a password whose length is out of bounds."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Refused(f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.")


def is_guessable(password: str, *known: str) -> bool:
    """Return whether a password is a pattern, or hardly more than a name somebody knows of its owner."""
    plain = password.casefold()
    for name in filter(None, (each.casefold() for each in known)):
        plain = plain.replace(name, "")
    return len(set(plain)) < DIFFERENT_CHARS_MIN


def set_password(catalogue: Catalogue, tenant_id: TenantId, login: str, password: str) -> None:
    """Set the password of a login, as the operator does; raises NotFound, Refused for its length."""
    check_length(password)
    password_hash = _HASHER.hash(password)
    with catalogue.transaction(tenant_id) as connection:
        user_id = connection.execute(
            select(users.c.id).where(users.c.tenant_id == tenant_id, users.c.login == login.strip().lower())
        ).scalar()
        if user_id is None:
            raise NotFound(f"There is no user {login!r} in this tenant.")
        store(connection, tenant_id, UserId(user_id), password_hash)


def hashed(password: str) -> str:
    """Return what is kept of a password; takes a core for a twentieth of a second. Raises Refused."""
    check_length(password)
    return _HASHER.hash(password)


def store(connection: Connection, tenant_id: TenantId, user_id: UserId, password_hash: str) -> None:
    """Replace a password in the caller's transaction; the database ends all sessions of the person."""
    row = {"tenant_id": tenant_id, "user_id": user_id, "password_hash": password_hash}
    changed = {"password_hash": password_hash, "set_at": func.now()}
    statement = upsert(user_passwords).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=changed))


def verify(catalogue: Catalogue, account: Account | None, password: str) -> bool:
    """Return whether this is the password of an account; never of none, in the same time."""
    if len(password) > PASSWORD_CHARS_MAX or "\0" in password:
        account, password = None, ""
    asked = account or Account(NOBODY, UserId(""))
    columns = user_passwords.c
    own = (columns.tenant_id == asked.tenant_id, columns.user_id == asked.user_id)
    with catalogue.transaction(asked.tenant_id) as connection:
        stored = connection.execute(select(columns.password_hash).where(*own)).scalar()
    try:
        _HASHER.verify(stored or _NOBODYS_HASH, password)
    except (VerificationError, InvalidHashError):
        return False
    if stored is None:
        return False
    if _HASHER.check_needs_rehash(stored):
        with catalogue.transaction(asked.tenant_id) as connection:
            # Unless somebody else changed it meanwhile.
            again = update(user_passwords).where(*own, columns.password_hash == stored)
            connection.execute(again.values(password_hash=_HASHER.hash(password)))
    return True


def exists(catalogue: Catalogue, account: Account) -> bool:
    """Return whether somebody has a password at all; who signs in elsewhere has none."""
    columns = user_passwords.c
    own = (columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
    with catalogue.transaction(account.tenant_id) as connection:
        return connection.execute(select(columns.user_id).where(*own)).first() is not None
