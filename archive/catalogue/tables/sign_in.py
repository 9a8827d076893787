"""What people prove themselves by: addresses, sessions of browsers, second factors, invitations, identities.

Tokens stand here as their SHA-256, secrets that must be read back sealed by the root.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from archive.catalogue.tables.columns import count, metadata, of_user, time, word, words

user_emails = Table(
    "user_emails",
    metadata,
    word("tenant_id"),
    Column("user_id", Text, primary_key=True),
    Column("email", Text, nullable=False, index=True),
    time("verified_at", nullable=True),
    UniqueConstraint("tenant_id", "email"),
    of_user(),
)

portal_sessions = Table(
    "portal_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    Column("user_id", Text, nullable=False, index=True),
    word("token_hash"),
    word("stage"),
    words("proofs"),
    time("opened_at"),
    time("seen_at"),
    time("ends_at"),
    word("address"),
    word("agent"),
    UniqueConstraint("token_hash"),
    of_user(),
)

totp_secrets = Table(
    "totp_secrets",
    metadata,
    word("tenant_id"),
    Column("user_id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    time("added_at"),
    count("last_step"),
    of_user(),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    Column("user_id", Text, nullable=False, index=True),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    count("sign_count"),
    word("name"),
    time("added_at"),
    time("used_at", nullable=True),
    UniqueConstraint("tenant_id", "credential_id"),
    of_user(),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    word("tenant_id"),
    word("user_id"),
    word("code_hash"),
    time("used_at", nullable=True),
    PrimaryKeyConstraint("user_id", "code_hash"),
    of_user(),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    Column("user_id", Text, nullable=False, index=True),
    word("kind"),
    word("token_hash"),
    time("made_at"),
    time("ends_at"),
    time("used_at", nullable=True),
    Column("mailed", Boolean, nullable=False),
    UniqueConstraint("token_hash"),
    of_user(),
)

identities = Table(
    "identities",
    metadata,
    word("tenant_id"),
    word("issuer"),
    word("subject"),
    Column("user_id", Text, nullable=False, index=True),
    time("linked_at"),
    PrimaryKeyConstraint("tenant_id", "issuer", "subject"),
    UniqueConstraint("tenant_id", "issuer", "user_id"),
    of_user(),
)

identity_providers = Table(
    "identity_providers",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    word("issuer"),
    word("client_id"),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("trusts_second_factor", Boolean, nullable=False),
    Column("logins_are_addresses", Boolean, nullable=False),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_at", time("failed_at").type, nullable=False, index=True),
    time("succeeded_at", nullable=True),
)
"""By what an attempt is counted, as a hash: before anybody is known there is no tenant."""

spent_challenges = Table(
    "spent_challenges",
    metadata,
    Column("challenge_hash", Text, primary_key=True),
    Column("until", time("until").type, nullable=False, index=True),
)
"""Challenges that were answered, so that no answer counts twice."""
