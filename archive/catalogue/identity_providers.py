"""The organisation's own sign-in (OpenID Connect), one a tenant: where it is and what we are called there.

Our secret there stands sealed by the root, bound to its tenant.

Rules: the operator writes these, for the portal fetches what they name; the portal reads.
Not here: speaking with a provider (`playback_portal.openid`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import identity_providers
from archive.errors import Refused
from archive.model import TenantId
from keys.binding import length_prefixed
from keys.root import Root

FIELD_CHARS_MAX = 500
"""Issuers and client ids are names, not texts."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FORMAT = "earwitness-oidc-secret/1"


@dataclass(frozen=True)
class Provider:
    """A tenant's provider; with `trusts_second_factor` one it asked for counts here too.

    With `logins_are_addresses` the mailbox login@domain is that of the login: the tenant's mail is at
    its domain, and nobody else gets a mailbox there.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    trusts_second_factor: bool = False
    logins_are_addresses: bool = False


def set_provider(connection: Connection, root: Root, tenant_id: TenantId, provider: Provider) -> None:
    """Write a tenant's provider down, in the place of any earlier; raises Refused for what is none."""
    issuer = checked_issuer(provider.issuer)
    if not all(0 < len(each) <= FIELD_CHARS_MAX for each in (provider.client_id, provider.client_secret)):
        raise Refused(f"Client id and secret have 1 to {FIELD_CHARS_MAX} characters.")
    changed = {
        "issuer": issuer,
        "client_id": provider.client_id,
        "sealed_secret": root.wrap(provider.client_secret.encode(), context_of(tenant_id)),
        "trusts_second_factor": provider.trusts_second_factor,
        "logins_are_addresses": provider.logins_are_addresses,
    }
    statement = upsert(identity_providers).values({"tenant_id": tenant_id, **changed})
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=changed))


def provider_of(catalogue: Catalogue, root: Root, tenant_id: TenantId) -> Provider | None:
    """Return a tenant's provider, or None; raises SealBroken when another root sealed its secret."""
    columns = identity_providers.c
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(
            select(identity_providers).where(columns.tenant_id == tenant_id)
        ).one_or_none()
    if row is None:
        return None
    secret = root.unwrap(row.sealed_secret, context_of(tenant_id)).decode()
    return Provider(row.issuer, row.client_id, secret, row.trusts_second_factor, row.logins_are_addresses)


def remove_provider(connection: Connection, tenant_id: TenantId) -> bool:
    """Take a tenant's provider away; False when there was none."""
    columns = identity_providers.c
    statement = delete(identity_providers).where(columns.tenant_id == tenant_id)
    return connection.execute(statement).rowcount > 0


def checked_issuer(issuer: str) -> str:
    """Return the address of an issuer; raises Refused for one that is not https (or this machine)."""
    parts = urlsplit(issuer.strip())
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    plain = not (parts.query or parts.fragment or parts.username)
    if not (safe and plain and parts.hostname) or len(issuer) > FIELD_CHARS_MAX:
        raise Refused("An issuer is an https address, for instance https://login.bakery.example.")
    return issuer.strip()


def context_of(tenant_id: TenantId) -> bytes:
    """Return what the root binds a provider's secret to."""
    return length_prefixed(_FORMAT) + length_prefixed(tenant_id)
