"""What reports add up: figures of each person and day, and what stands of each person now."""

from __future__ import annotations

from sqlalchemy import Column, Date, Index, PrimaryKeyConstraint, Table

from archive.catalogue.tables.columns import count, metadata, tenant, word

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
