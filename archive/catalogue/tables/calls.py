"""Calls under way, who records them, commands to them, and what happened to them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import (
    maybe,
    metadata,
    tenant,
    time,
    word,
)

live_calls = Table(
    "live_calls",
    metadata,
    Column("recording_id", Text, primary_key=True),
    tenant(),
    word("session_id"),
    word("call_id"),
    word("call_group"),
    word("node"),
    maybe("owner"),
    word("mode"),
    word("state"),
    word("capture"),
    word("direction"),
    word("layout"),
    time("started_at"),
    time("paused_at", nullable=True),
    time("grace_until", nullable=True),
    Column("parties", JSONB, nullable=False),
    Column("trace", JSONB, nullable=False, server_default=text("'[]'")),
    Index(None, "tenant_id", "started_at"),
    Index(None, "node"),
)

recorder_nodes = Table(
    "recorder_nodes",
    metadata,
    Column("node", Text, primary_key=True),
    time("heard_at"),
    maybe("version"),
    Column("recordings", BigInteger, nullable=True),
    Column("waiting", BigInteger, nullable=True),
    time("waiting_since", nullable=True),
    Column("journal_bytes", BigInteger, nullable=True),
    time("journal_since", nullable=True),
    maybe("unready_reason"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("recording_id"),
    word("node"),
    word("verb"),
    word("actor"),
    time("issued_at"),
    word("status"),
    word("reason"),
    time("effective_at", nullable=True),
    Index(None, "node", "status"),
    Index(None, "tenant_id", "recording_id"),
)

call_events = Table(
    "call_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    tenant(),
    time("at"),
    word("kind"),
    maybe("recording_id"),
    maybe("owner"),
    Column("body", JSONB, nullable=False),
    Index(None, "tenant_id", "id"),
    Index(None, "recording_id"),
    Index(None, "tenant_id", "at", postgresql_where=text("kind IN ('quota.80', 'quota.100')")),
)
