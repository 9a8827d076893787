"""What reports add up, and who gets which one by mail."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from archive.catalogue.tables.columns import count, maybe, metadata, of_user, tenant, time, word

report_days = Table(
    "report_days",
    metadata,
    tenant(),
    word("team_id"),
    Column("day", Date, nullable=False),
    word("user_id"),
    count("recordings"),
    count("incoming"),
    count("outgoing"),
    count("duration_s"),
    count("recorded_s"),
    count("paused"),
    count("pauses"),
    count("paused_ms"),
    count("size_bytes"),
    count("below_30s"),
    count("below_1m"),
    count("below_2m"),
    count("below_5m"),
    count("below_10m"),
    count("below_30m"),
    count("below_1h"),
    count("destroyed"),
    count("destroyed_bytes"),
    PrimaryKeyConstraint("tenant_id", "team_id", "day", "user_id"),
    Index(None, "tenant_id", "user_id", "team_id", "day"),
)

report_standing = Table(
    "report_standing",
    metadata,
    tenant(),
    word("team_id"),
    word("user_id"),
    count("recordings"),
    count("size_bytes"),
    PrimaryKeyConstraint("tenant_id", "team_id", "user_id"),
)

report_subscriptions = Table(
    "report_subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("user_id"),
    word("report"),
    maybe("team_id"),
    word("frequency"),
    Column("hour", Integer, nullable=False),
    word("form"),
    word("language"),
    time("made_at"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("user_id", "report", "team_id", "frequency", postgresql_nulls_not_distinct=True),
    of_user(),
    ForeignKeyConstraint(["tenant_id", "team_id"], ["teams.tenant_id", "teams.id"], ondelete="CASCADE"),
    Index(None, "tenant_id"),
)

report_sendings = Table(
    "report_sendings",
    metadata,
    word("tenant_id"),
    word("subscription_id"),
    Column("first_day", Date, nullable=False),
    time("claimed_at"),
    PrimaryKeyConstraint("subscription_id", "first_day"),
    ForeignKeyConstraint(
        ["tenant_id", "subscription_id"],
        ["report_subscriptions.tenant_id", "report_subscriptions.id"],
        ondelete="CASCADE",
    ),
)
