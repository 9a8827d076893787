"""Passkeys: the public keys of people's devices (Web Authentication level 3).

A device names its person by a handle, which is the ids of tenant and person and nothing
that tells of either; so a passkey is looked for within its tenant like everything else.

Rules: public keys are no secret, but which device is whose is the tenant's own. Not here:
what a device signs and how that is checked (`playback_portal.passkey`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Row, delete, func, insert, select, update

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.identities import Account
from archive.catalogue.tables import passkeys, users
from archive.errors import Refused
from archive.model import TenantId, UserId, new_id

PASSKEYS_PER_USER_MAX = 20
"""Telephone, laptop, a stick or two; more is a mistake of a script."""

NAME_CHARS_MAX = 80
CREDENTIAL_ID_BYTES_MAX = 1023
"""Web Authentication section 5.8.1."""


@dataclass(frozen=True)
class Passkey:
    """One device of one person."""

    id: str
    account: Account
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    added_at: datetime
    used_at: datetime | None = None


def handle_of(account: Account) -> bytes:
    """Return by what a device names its person: 32 octets."""
    return uuid.UUID(account.tenant_id).bytes + uuid.UUID(account.user_id).bytes


def account_of(handle: bytes) -> Account | None:
    """Return whom a handle names, or None for what is none."""
    if len(handle) != 2 * 16:
        return None
    tenant, user = (str(uuid.UUID(bytes=handle[start : start + 16])) for start in (0, 16))
    return Account(TenantId(tenant), UserId(user))


def add(
    connection: Connection,
    account: Account,
    *,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
    name: str,
    now: datetime,
) -> str:
    """Add a device in the caller's transaction; return its id. Raises Refused above the limits, Conflict."""
    if not 1 <= len(credential_id) <= CREDENTIAL_ID_BYTES_MAX:
        raise Refused(f"The id of a passkey has 1 to {CREDENTIAL_ID_BYTES_MAX} octets.")
    columns = passkeys.c
    own = (columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
    if (connection.execute(select(func.count()).where(*own)).scalar() or 0) >= PASSKEYS_PER_USER_MAX:
        raise Refused(f"A person has at most {PASSKEYS_PER_USER_MAX} passkeys; remove one first.")
    passkey_id = new_id(now)
    row = {
        "id": passkey_id,
        "tenant_id": account.tenant_id,
        "user_id": account.user_id,
        "credential_id": credential_id,
        "public_key": public_key,
        "sign_count": sign_count,
        "name": "".join(letter for letter in name.strip() if letter.isprintable())[:NAME_CHARS_MAX],
        "added_at": now,
    }
    connection.execute(insert(passkeys), row)
    return passkey_id


def of_account(catalogue: Catalogue, account: Account) -> list[Passkey]:
    """Return the devices of a person, the oldest first; none of who left."""
    columns = passkeys.c
    statement = (
        select(passkeys)
        .join(users, users.c.id == columns.user_id)
        .where(columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
        .where(users.c.left_at.is_(None))
        .order_by(columns.id)
    )
    with catalogue.transaction(account.tenant_id) as connection:
        return [_passkey(row) for row in connection.execute(statement)]


def used(catalogue: Catalogue, passkey: Passkey, *, before: int, sign_count: int, now: datetime) -> bool:
    """Note a signature; False when another with the same count was noted meanwhile: it counts once."""
    columns = passkeys.c
    statement = update(passkeys).where(
        columns.tenant_id == passkey.account.tenant_id, columns.id == passkey.id, columns.sign_count == before
    )
    with catalogue.transaction(passkey.account.tenant_id) as connection:
        return connection.execute(statement.values(sign_count=sign_count, used_at=now)).rowcount > 0


def remove(connection: Connection, account: Account, passkey_id: str) -> bool:
    """Remove a device of a person; False when it was not there."""
    columns = passkeys.c
    statement = delete(passkeys).where(
        columns.tenant_id == account.tenant_id, columns.user_id == account.user_id, columns.id == passkey_id
    )
    return connection.execute(statement).rowcount > 0


def _passkey(row: Row[tuple[object, ...]]) -> Passkey:
    fields = row._mapping  # noqa: SLF001 - the public name of a row's columns, despite its underscore
    return Passkey(
        id=fields["id"],
        account=Account(TenantId(fields["tenant_id"]), UserId(fields["user_id"])),
        credential_id=bytes(fields["credential_id"]),
        public_key=bytes(fields["public_key"]),
        sign_count=fields["sign_count"],
        name=fields["name"],
        added_at=fields["added_at"].astimezone(UTC),
        used_at=fields["used_at"] and fields["used_at"].astimezone(UTC),
    )
