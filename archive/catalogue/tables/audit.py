"""The audit log: chains of entries, their bodies, and the head of each chain."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from archive.catalogue.tables.columns import (
    count,
    maybe,
    metadata,
    time,
    word,
)

audit_entries = Table(
    "audit_entries",
    metadata,
    word("writer"),
    count("sequence"),
    word("previous_hash"),
    word("hash"),
    time("at"),
    maybe("tenant_id"),
    word("actor"),
    word("action"),
    word("object"),
    word("result"),
    word("body_hash"),
    PrimaryKeyConstraint("writer", "sequence"),
    Index(None, "tenant_id", "object"),
)

audit_bodies = Table(
    "audit_bodies",
    metadata,
    maybe("tenant_id"),
    word("writer"),
    count("sequence"),
    word("salt"),
    word("body"),
    PrimaryKeyConstraint("writer", "sequence"),
    ForeignKeyConstraint(["writer", "sequence"], ["audit_entries.writer", "audit_entries.sequence"]),
)

audit_writers = Table(
    "audit_writers",
    metadata,
    Column("writer", Text, primary_key=True),
    count("sequence"),
    word("hash"),
)
