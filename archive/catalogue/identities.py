"""Whom a name means: login@domain, a proved e-mail address, or a subject of the organisation's own sign-in.

An address counts for signing in only once its owner proved it, by a link that was mailed
there, and while it means one person of all tenants. A login of a tenant's own domain comes
before any address that looks the same.

A provider's subject is linked to the one person who proved the address it vouches for, and
never on a guess: an address that means two people means nobody. A login is such an address
where the operator said so of the provider. An account has one subject of a provider.

Rules: finding an account takes the same questions to the database whether there is one
or not. Who left is nobody; what they proved of an address was undone when they did. Not
here: proving anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import identities, invitations, tenants, user_emails, users
from archive.errors import Refused
from archive.model import Role, TenantId, UserId
from archive.throttle import identifier

EMAIL_CHARS_MAX = 254
"""RFC 5321 section 4.5.3.1.3: a path of 256 octets with its brackets."""

NOBODY = TenantId("-")
"""The tenant of nobody, under which nothing is ever found."""

_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*")
_TENANT_OF_DOMAIN = select(func.tenant_of_domain(bindparam("domain")))
_BY_EMAIL = func.accounts_of_email(bindparam("email")).table_valued("tenant_id", "user_id")
_ACCOUNTS_OF_EMAIL = select(_BY_EMAIL.c.tenant_id, _BY_EMAIL.c.user_id)


@dataclass(frozen=True)
class Account:
    """A person of a tenant who can sign in."""

    tenant_id: TenantId
    user_id: UserId


@dataclass(frozen=True)
class Particulars:
    """What signing in needs to know of a person; `email` is proved or not."""

    account: Account
    login: str
    domain: str
    tenant_name: str
    role: Role
    email: str | None = None
    email_verified: bool = False
    has_left: bool = False


def find(catalogue: Catalogue, typed: str) -> Account | None:
    """Return the account somebody names by login@domain or a proved e-mail address, or None."""
    name = identifier(typed)
    login, _, domain = name.rpartition("@")
    with catalogue.transaction() as connection:
        tenant_id = connection.execute(_TENANT_OF_DOMAIN, {"domain": domain}).scalar()
        by_email = connection.execute(_ACCOUNTS_OF_EMAIL, {"email": name}).all()
    tenant = TenantId(tenant_id) if isinstance(tenant_id, str) else NOBODY
    by_login = select(users.c.id).where(
        users.c.tenant_id == tenant, users.c.login == login, users.c.left_at.is_(None)
    )
    with catalogue.transaction(tenant) as connection:
        user_id = connection.execute(by_login).scalar()
    if user_id is not None:
        return Account(tenant, UserId(user_id))
    if len(by_email) == 1:
        return Account(TenantId(by_email[0].tenant_id), UserId(by_email[0].user_id))
    return None


def tenant_of_domain(catalogue: Catalogue, domain: str) -> TenantId | None:
    """Return the tenant of a domain, as the portal."""
    plain = identifier(f"x@{domain.strip()}").removeprefix("x@")
    with catalogue.transaction() as connection:
        found = connection.execute(_TENANT_OF_DOMAIN, {"domain": plain}).scalar()
    return TenantId(found) if isinstance(found, str) else None


def particulars(catalogue: Catalogue, account: Account) -> Particulars | None:
    """Return what is known of a person, or None when they are gone."""
    statement = (
        select(
            users.c.login,
            users.c.role,
            tenants.c.name,
            tenants.c.domain,
            user_emails.c.email,
            user_emails.c.verified_at,
            users.c.left_at,
        )
        .join(tenants, tenants.c.id == users.c.tenant_id)
        .outerjoin(user_emails, user_emails.c.user_id == users.c.id)
        .where(users.c.tenant_id == account.tenant_id, users.c.id == account.user_id)
    )
    with catalogue.transaction(account.tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return Particulars(
        account,
        row.login,
        row.domain,
        row.name,
        Role(row.role),
        row.email,
        row.verified_at is not None,
        row.left_at is not None,
    )


def checked_email(email: str) -> str:
    """Return an address in one spelling; raises Refused for what is none."""
    plain = email.strip().lower()
    if len(plain) > EMAIL_CHARS_MAX or _EMAIL.fullmatch(plain) is None:
        raise Refused("That is not an e-mail address, for instance anna@bakery.example.")
    return plain


def set_email(connection: Connection, account: Account, email: str) -> str:
    """Write down a person's address, not proved unless it was the same before; return its spelling.

    Links that went to another address end. Raises Refused, and Conflict when somebody else
    of the tenant has the address.
    """
    plain = checked_email(email)
    if email_of(connection, account) == plain:
        return plain
    row = {"tenant_id": account.tenant_id, "user_id": account.user_id, "email": plain, "verified_at": None}
    statement = upsert(user_emails).values(row)
    changed = {"email": plain, "verified_at": None}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=changed))
    sent = (invitations.c.tenant_id == account.tenant_id, invitations.c.user_id == account.user_id)
    connection.execute(delete(invitations).where(*sent))
    return plain


def email_of(connection: Connection, account: Account) -> str | None:
    """Return the address of a person, proved or not, in the caller's transaction."""
    columns = user_emails.c
    own = (columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
    return connection.execute(select(columns.email).where(*own)).scalar()


def prove_email(connection: Connection, account: Account, *, now: datetime) -> None:
    """Note that the person reads the mail of their address."""
    columns = user_emails.c
    own = (columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
    connection.execute(update(user_emails).where(*own, columns.verified_at.is_(None)).values(verified_at=now))


def of_subject(catalogue: Catalogue, tenant_id: TenantId, issuer: str, subject: str) -> Account | None:
    """Return the account a subject of an issuer was linked to, or None."""
    columns = identities.c
    statement = (
        select(columns.user_id)
        .join(users, users.c.id == columns.user_id)
        .where(columns.tenant_id == tenant_id, columns.issuer == issuer, columns.subject == subject)
        .where(users.c.left_at.is_(None))
    )
    with catalogue.transaction(tenant_id) as connection:
        user_id = connection.execute(statement).scalar()
    return None if user_id is None else Account(tenant_id, UserId(user_id))


def of_vouched_email(
    catalogue: Catalogue, tenant_id: TenantId, email: str, *, logins_are_addresses: bool = False
) -> Account | None:
    """Return the one person of a tenant who proved the address a provider vouches for, or None.

    With `logins_are_addresses` also the person whose login@domain it is. A login that looks like
    the address of somebody else means nobody, either way.
    """
    plain = identifier(email)
    by_email = select(user_emails.c.user_id).where(
        user_emails.c.tenant_id == tenant_id,
        user_emails.c.email == plain,
        user_emails.c.verified_at.is_not(None),
    )
    by_login = (
        select(users.c.id)
        .join(tenants, tenants.c.id == users.c.tenant_id)
        .where(users.c.tenant_id == tenant_id, users.c.login + "@" + tenants.c.domain == plain)
        .where(users.c.left_at.is_(None))
    )
    with catalogue.transaction(tenant_id) as connection:
        proved = set(connection.execute(by_email).scalars())
        named = set(connection.execute(by_login).scalars())
    meant = proved | named
    if len(meant) != 1 or not (proved or logins_are_addresses):
        return None
    return Account(tenant_id, UserId(meant.pop()))


def link(connection: Connection, account: Account, issuer: str, subject: str, *, now: datetime) -> None:
    """Link a subject to an account, in the caller's transaction; raises Conflict when either is linked."""
    row = {
        "tenant_id": account.tenant_id,
        "issuer": issuer,
        "subject": subject,
        "user_id": account.user_id,
        "linked_at": now,
    }
    connection.execute(insert(identities), row)


def unlink(connection: Connection, account: Account) -> bool:
    """Let a person be linked anew, by whatever subject comes first; False when they were not linked."""
    columns = identities.c
    own = (columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
    return connection.execute(delete(identities).where(*own)).rowcount > 0
