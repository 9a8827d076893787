"""Links by mail: to begin, and to choose a new password. Each works once, and for a while.

The token is 256 random bits behind the id of its tenant; kept is its SHA-256.

Rules: a newer link ends the earlier ones of the same person, and so does a new password, in
the database itself. Using one that was mailed proves that its reader has the person's mail,
and nothing more: a second factor is asked as ever. One that was handed over in another way
proves no address.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, insert, or_, select, update

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.identities import Account
from archive.catalogue.tables import invitations
from archive.model import TenantId, UserId, new_id

TOKEN_BYTES = 32


class Kind(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    RESET = "reset"


LIFE_S = {Kind.INVITATION: 7 * 24 * 3600, Kind.RESET: 3600}
"""People are invited before a holiday; who forgot a password sits in front of the screen."""

_TOKEN = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Invitation:
    """A link that works."""

    id: str
    account: Account
    kind: Kind
    mailed: bool


def make(connection: Connection, account: Account, kind: Kind, *, now: datetime, mailed: bool = True) -> str:
    """Make a link's token, once to be seen, and end the person's earlier links.

    Only one that goes to the person's address by mail, and nowhere else, is `mailed`.
    """
    columns = invitations.c
    useless = or_(columns.user_id == account.user_id, columns.ends_at < now)
    connection.execute(delete(invitations).where(columns.tenant_id == account.tenant_id, useless))
    token = f"{account.tenant_id}.{secrets.token_urlsafe(TOKEN_BYTES)}"
    row = {
        "id": new_id(now),
        "tenant_id": account.tenant_id,
        "user_id": account.user_id,
        "kind": kind.value,
        "token_hash": _hash(token),
        "made_at": now,
        "ends_at": now + timedelta(seconds=LIFE_S[kind]),
        "mailed": mailed,
    }
    connection.execute(insert(invitations), row)
    return token


def find(catalogue: Catalogue, token: str, *, now: datetime) -> Invitation | None:
    """Return what a link is for, or None when it does not work (any more); it stays as it is."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    columns = invitations.c
    shown = (columns.id, columns.tenant_id, columns.user_id, columns.kind, columns.mailed)
    statement = select(*shown).where(
        columns.tenant_id == match[1],
        columns.token_hash == _hash(token),
        columns.used_at.is_(None),
        columns.ends_at > now,
    )
    with catalogue.transaction(TenantId(match[1])) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    account = Account(TenantId(row.tenant_id), UserId(row.user_id))
    return Invitation(row.id, account, Kind(row.kind), row.mailed)


def use(connection: Connection, invitation: Invitation, *, now: datetime) -> bool:
    """Use a link up in the caller's transaction; False when somebody did so meanwhile."""
    columns = invitations.c
    statement = update(invitations).where(
        columns.tenant_id == invitation.account.tenant_id,
        columns.id == invitation.id,
        columns.used_at.is_(None),
        columns.ends_at > now,
    )
    return connection.execute(statement.values(used_at=now)).rowcount > 0


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
