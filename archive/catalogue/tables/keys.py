"""Key-encryption keys on their way out. The keys themselves never stand in the database."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Table, Text

from archive.catalogue.tables.columns import metadata, tenant, time

retired_keks = Table(
    "retired_keks",
    metadata,
    Column("kek_id", Text, primary_key=True),
    tenant(),
    time("retired_at"),
    Column("destroyed_at", DateTime(timezone=True), nullable=True),
    Index(None, "tenant_id"),
)
