"""Tenants, peers, people, teams and what they decided."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from archive.catalogue.tables.columns import (
    maybe,
    metadata,
    of_user,
    tenant,
    time,
    word,
    words,
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    word("name"),
    word("domain"),
    maybe("broadworks_service_provider"),
    maybe("broadworks_group"),
    Column("operates", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("domain"),
)

tenant_policies = Table(
    "tenant_policies",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("keep_grace_h", Integer, nullable=False),
    word("above_cap"),
    Column("purpose_required", Boolean, nullable=False, server_default=text("false")),
    Column("exports_alone_max", Integer, nullable=False, server_default=text("100")),
    Column("trash_days", Integer, nullable=False, server_default=text("7")),
    Column("idle_minutes", Integer, nullable=False, server_default=text("30")),
)

brandings = Table(
    "brandings",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False),
    Column("draft", Boolean, nullable=False),
    word("version"),
    word("name"),
    maybe("accent_light"),
    maybe("accent_dark"),
    Column("logo", LargeBinary, nullable=True),
    word("changed_by"),
    time("changed_at"),
    PrimaryKeyConstraint("tenant_id", "draft"),
)

recording_grounds = Table(
    "recording_grounds",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    words("purposes"),
    word("legal_basis"),
    word("balancing"),
    word("notice_nl"),
    word("notice_en"),
    words("told_by"),
    Column("standard", Boolean, nullable=False),
    word("registered_by"),
    time("registered_at"),
    Index("recording_grounds_tenant_id_registered_at_id_idx", "tenant_id", "registered_at", "id"),
)

peers = Table(
    "peers",
    metadata,
    Column("id", Text, primary_key=True),
    word("name"),
    words("addresses"),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=True),
    word("dialect"),
    word("srtp"),
    Column("star_codes", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    UniqueConstraint("name"),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("login"),
    maybe("broadworks_id"),
    word("role"),
    word("access"),
    maybe("site"),
    word("mode"),
    Column("own_modes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("granted", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("denied", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    time("left_at", nullable=True),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "login"),
    UniqueConstraint("tenant_id", "broadworks_id"),
)

departures = Table(
    "departures",
    metadata,
    word("tenant_id"),
    Column("user_id", Text, primary_key=True),
    maybe("licence"),
    word("mode"),
    maybe("broadworks_id"),
    words("numbers"),
    of_user(),
)

user_numbers = Table(
    "user_numbers",
    metadata,
    word("tenant_id"),
    word("user_id"),
    word("first"),
    word("last"),
    PrimaryKeyConstraint("tenant_id", "first"),
    of_user(),
)

user_licences = Table(
    "user_licences",
    metadata,
    word("tenant_id"),
    word("user_id"),
    time("valid_from"),
    maybe("licence"),
    PrimaryKeyConstraint("user_id", "valid_from"),
    of_user(),
    Index(None, "tenant_id", "valid_from"),
)

user_passwords = Table(
    "user_passwords",
    metadata,
    word("tenant_id"),
    Column("user_id", Text, primary_key=True),
    word("password_hash"),
    Column("set_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    of_user(),
)

teams = Table(
    "teams",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("name"),
    Column("rights", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("hears_earlier", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
)

team_members = Table(
    "team_members",
    metadata,
    word("tenant_id"),
    word("team_id"),
    word("user_id"),
    word("capacity"),
    time("since"),
    time("until", nullable=True),
    PrimaryKeyConstraint("team_id", "user_id", "capacity", "since"),
    of_user(),
    ForeignKeyConstraint(["tenant_id", "team_id"], ["teams.tenant_id", "teams.id"], ondelete="CASCADE"),
    Index(
        "team_members_open_idx",
        "team_id",
        "user_id",
        "capacity",
        unique=True,
        postgresql_where=text("until IS NULL"),
    ),
    Index(None, "user_id"),
)

api_clients = Table(
    "api_clients",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("name"),
    word("key_hash"),
    words("scopes"),
    maybe("user_id"),
    UniqueConstraint("key_hash"),
    UniqueConstraint("tenant_id", "name"),
    of_user(),
)

keep_next = Table(
    "keep_next",
    metadata,
    word("tenant_id"),
    Column("user_id", Text, primary_key=True),
    time("until"),
    of_user(),
)

do_not_record = Table(
    "do_not_record",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("first"),
    word("last"),
    word("reason"),
    Column("user_id", Text, nullable=True),
    of_user(),
    UniqueConstraint("tenant_id", "user_id", "first", "last", postgresql_nulls_not_distinct=True),
)

exempt_numbers = Table(
    "exempt_numbers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=True),
    word("number"),
    UniqueConstraint("tenant_id", "number", postgresql_nulls_not_distinct=True),
)
