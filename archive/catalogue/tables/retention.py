"""Destruction of what expired: claims with their certificates, the clocks it goes by, and its figures."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import count, maybe, metadata, of_recording, tenant, time, word

destructions = Table(
    "destructions",
    metadata,
    Column("recording_id", Text, primary_key=True),
    tenant(),
    word("session_id"),
    word("former_state"),
    word("retention_class"),
    time("retain_until"),
    word("kek_id"),
    word("claim"),
    time("claimed_at"),
    time("claimed_until"),
    Column("objects", JSONB, nullable=True),
    Column("entries", JSONB, nullable=False),
    time("objects_gone_at", nullable=True),
    time("destroyed_at", nullable=True),
    Column("certificate", LargeBinary, nullable=True),
    Column("signature", LargeBinary, nullable=True),
    maybe("proposal_id"),
    Column("failures", Integer, nullable=False, server_default=sql_text("0")),
    time("next_attempt_at", nullable=True),
    time("looked_again_at", nullable=True),
    Index(
        "destructions_second_look_idx",
        "tenant_id",
        "destroyed_at",
        postgresql_where=sql_text("destroyed_at IS NOT NULL AND looked_again_at IS NULL"),
    ),
    Index(
        "destructions_unfinished_idx",
        "tenant_id",
        "claimed_until",
        postgresql_where=sql_text("destroyed_at IS NULL"),
    ),
    Index(None, "tenant_id", "destroyed_at"),
)

restores = Table(
    "restores",
    metadata,
    Column("restored_at", DateTime(timezone=True), primary_key=True),
    time("made_at"),
    time("rebuilt_at", nullable=True),
)

retention_clocks = Table(
    "retention_clocks",
    metadata,
    Column("node", Text, primary_key=True),
    time("at"),
    word("boot_id"),
    Column("uptime_s", Double, nullable=False),
    time("ignored_until", nullable=True),
    Column("exact", Boolean, nullable=False, server_default=sql_text("true")),
)

trash = Table(
    "trash",
    metadata,
    Column("recording_id", Text, primary_key=True),
    tenant(),
    Column("proposal_id", Text, ForeignKey("proposals.id"), nullable=False),
    time("put_at"),
    time("until"),
    of_recording(),
    Index(None, "tenant_id", "until", "recording_id"),
)

condemned = Table(
    "condemned",
    metadata,
    word("recording_id"),
    tenant(),
    Column("proposal_id", Text, ForeignKey("proposals.id"), nullable=False),
    PrimaryKeyConstraint("recording_id", "proposal_id"),
    of_recording(),
    Index(None, "proposal_id"),
)
"""The recordings that hung from keys when two people approved the end of these."""

retention_figures = Table(
    "retention_figures",
    metadata,
    Column("name", Text, primary_key=True),
    count("value"),
    time("at"),
    time("since", nullable=True),
)
