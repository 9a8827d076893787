"""The tables of the catalogue as SQLAlchemy Core sees them.

`migrations/` makes them, with row-level security, rights and triggers; a test
compares the two. Ids are the text of a UUID; times are `timestamptz` in UTC.

Rules: every table with a `tenant_id` stands under FORCE ROW LEVEL SECURITY;
`INSTANCE_TABLES` are the few that belong to no tenant and hold nothing of one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

INSTANCE_TABLES = frozenset({"exempt_days", "audit_writers"})


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _word(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _maybe(name: str) -> Column[str]:
    return Column(name, Text, nullable=True)


def _tenant() -> Column[str]:
    return Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False)


def _words(name: str) -> Column[object]:
    return Column(name, ARRAY(Text), nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _of_user() -> ForeignKeyConstraint:
    # With the tenant in it, because foreign keys are checked behind row-level security.
    return ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE")


def _of_recording() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "recording_id"], ["recordings.tenant_id", "recordings.id"], ondelete="CASCADE"
    )


tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    _word("name"),
    _word("domain"),
    _maybe("broadworks_service_provider"),
    _maybe("broadworks_group"),
    UniqueConstraint("domain"),
)

peers = Table(
    "peers",
    metadata,
    Column("id", Text, primary_key=True),
    _word("name"),
    _words("addresses"),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=True),
    _word("dialect"),
    _word("srtp"),
    Column("star_codes", Boolean, nullable=False),
    UniqueConstraint("name"),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    _word("login"),
    _maybe("broadworks_id"),
    _word("role"),
    _word("access"),
    Column("downloads", Boolean, nullable=False, server_default=text("false")),
    _maybe("site"),
    _word("mode"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "login"),
    UniqueConstraint("tenant_id", "broadworks_id"),
)

user_numbers = Table(
    "user_numbers",
    metadata,
    _word("tenant_id"),
    _word("user_id"),
    _word("first"),
    _word("last"),
    PrimaryKeyConstraint("tenant_id", "first"),
    _of_user(),
)

user_licences = Table(
    "user_licences",
    metadata,
    _word("tenant_id"),
    _word("user_id"),
    _time("valid_from"),
    _maybe("licence"),
    PrimaryKeyConstraint("user_id", "valid_from"),
    _of_user(),
)

user_passwords = Table(
    "user_passwords",
    metadata,
    _word("tenant_id"),
    Column("user_id", Text, primary_key=True),
    _word("password_hash"),
    _of_user(),
)

teams = Table(
    "teams",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    _word("name"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
)

team_members = Table(
    "team_members",
    metadata,
    _word("tenant_id"),
    _word("team_id"),
    _word("user_id"),
    _word("capacity"),
    PrimaryKeyConstraint("team_id", "user_id", "capacity"),
    _of_user(),
    ForeignKeyConstraint(["tenant_id", "team_id"], ["teams.tenant_id", "teams.id"], ondelete="CASCADE"),
)

api_clients = Table(
    "api_clients",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    _word("name"),
    _word("key_hash"),
    _words("scopes"),
    UniqueConstraint("key_hash"),
    UniqueConstraint("tenant_id", "name"),
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    _tenant(),
    _word("session_id"),
    _word("call_id"),
    _word("call_group"),
    _word("state"),
    _word("mode"),
    _maybe("owner"),
    _maybe("peer_id"),
    _word("direction"),
    _word("layout"),
    _time("started_at"),
    _time("ended_at"),
    _count("duration_ms"),
    _count("recorded_ms"),
    _word("retention_class"),
    _time("retain_until"),
    Column("spans", JSONB, nullable=False),
    _count("packets_received"),
    _count("packets_lost"),
    _count("packets_duplicated"),
    _count("packets_reordered"),
    _word("sha256"),
    _words("channels"),
    Column("sample_rate_hz", Integer, nullable=False),
    _words("flags"),
    Column("on_hold", Boolean, nullable=False),
    _maybe("site"),
    _word("kek_id"),
    Column("wrapped_key", LargeBinary, nullable=False),
    UniqueConstraint("tenant_id", "id"),
    Index(None, "tenant_id", "started_at", "id"),
    Index(None, "tenant_id", "owner", "started_at", "id"),
    Index(None, "tenant_id", "call_group"),
    Index(None, "retain_until"),
)

recording_objects = Table(
    "recording_objects",
    metadata,
    _word("tenant_id"),
    _word("recording_id"),
    _word("kind"),
    _word("key"),
    _word("version_id"),
    _count("plaintext_bytes"),
    _count("ciphertext_bytes"),
    _count("segments"),
    _word("plaintext_sha256"),
    _word("ciphertext_sha256"),
    _word("commitment"),
    _word("media_type"),
    PrimaryKeyConstraint("recording_id", "kind"),
    _of_recording(),
)

recording_parties = Table(
    "recording_parties",
    metadata,
    _word("tenant_id"),
    _word("recording_id"),
    Column("position", Integer, nullable=False),
    _word("channel"),
    _word("number"),
    _word("name"),
    _maybe("user_id"),
    _count("from_ms"),
    Column("to_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("recording_id", "position"),
    _of_recording(),
    Index(None, "tenant_id", "number"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=True),
    _word("call_id"),
    _word("kind"),
    _word("reason"),
    _time("started_at"),
    _time("ended_at"),
    _maybe("peer_id"),
    _words("recording_ids"),
    _words("trace"),
    Index(None, "tenant_id", "started_at", "id"),
)

exempt_days = Table(
    "exempt_days",
    metadata,
    Column("day", Date, primary_key=True),
    _count("count"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    _word("writer"),
    _count("sequence"),
    _word("previous_hash"),
    _word("hash"),
    _time("at"),
    _maybe("tenant_id"),
    _word("actor"),
    _word("action"),
    _word("object"),
    _word("result"),
    _word("body_hash"),
    PrimaryKeyConstraint("writer", "sequence"),
    Index(None, "tenant_id", "object"),
)

audit_bodies = Table(
    "audit_bodies",
    metadata,
    _maybe("tenant_id"),
    _word("writer"),
    _count("sequence"),
    _word("salt"),
    _word("body"),
    PrimaryKeyConstraint("writer", "sequence"),
    ForeignKeyConstraint(["writer", "sequence"], ["audit_entries.writer", "audit_entries.sequence"]),
)

audit_writers = Table(
    "audit_writers",
    metadata,
    Column("writer", Text, primary_key=True),
    _count("sequence"),
    _word("hash"),
)
