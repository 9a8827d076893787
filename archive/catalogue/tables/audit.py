"""The audit log: chains of entries and their heads, bodies and how far erasing is, the tree over all."""

from __future__ import annotations

from sqlalchemy import (
    Column,
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
    Index(None, "tenant_id", "at", "writer", "sequence"),
    Index(
        "audit_entries_heard_idx",
        "tenant_id",
        "at",
        postgresql_where=text("action IN ('recording.played', 'recording.downloaded')"),
    ),
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

audit_erasures = Table(
    "audit_erasures",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    count("erased"),
    count("looked_at"),
    time("until", nullable=True),
    time("finished_at", nullable=True),
)

audit_writers = Table(
    "audit_writers",
    metadata,
    Column("writer", Text, primary_key=True),
    count("sequence"),
    word("hash"),
)

audit_logs = Table(
    "audit_logs",
    metadata,
    Column("number", Integer, primary_key=True),
    word("origin"),
    time("begun_at"),
    word("reason"),
)

audit_leaves = Table(
    "audit_leaves",
    metadata,
    Column("log", Integer, ForeignKey("audit_logs.number"), nullable=False),
    count("index"),
    word("writer"),
    count("sequence"),
    word("hash"),
    PrimaryKeyConstraint("log", "index"),
    UniqueConstraint("log", "writer", "sequence"),
)

audit_nodes = Table(
    "audit_nodes",
    metadata,
    Column("log", Integer, ForeignKey("audit_logs.number"), nullable=False),
    Column("level", Integer, nullable=False),
    count("index"),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "level", "index"),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("log", Integer, ForeignKey("audit_logs.number"), nullable=False),
    count("size"),
    count("first"),
    time("at"),
    Column("note", LargeBinary, nullable=False),
    maybe("leaves_version"),
    maybe("note_version"),
    maybe("token_version"),
    PrimaryKeyConstraint("log", "size"),
    Index("audit_checkpoints_unpublished_idx", "log", "size", postgresql_where=text("note_version IS NULL")),
    Index("audit_checkpoints_stamped_idx", "log", "size", postgresql_where=text("token_version IS NOT NULL")),
)
