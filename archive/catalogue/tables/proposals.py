"""Proposals: what one person wants done that takes a second one."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import maybe, metadata, tenant, time, word

proposals = Table(
    "proposals",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("kind"),
    word("subject"),
    Column("parameters", JSONB, nullable=False),
    word("reason"),
    word("proposed_by"),
    time("proposed_at"),
    time("expires_at"),
    word("state"),
    maybe("decided_by"),
    time("decided_at", nullable=True),
    Index(None, "tenant_id", "proposed_at", "id"),
    Index(
        "proposals_waiting_key",
        "tenant_id",
        "kind",
        "subject",
        unique=True,
        postgresql_where=sql_text("state = 'waiting'"),
    ),
    Index(
        "proposals_approved_idx",
        "tenant_id",
        "kind",
        "decided_at",
        postgresql_where=sql_text("state = 'approved'"),
    ),
)
