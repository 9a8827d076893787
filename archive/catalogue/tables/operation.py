"""Moments that running the instance depends on: when certificates end, when the last backup was made."""

from __future__ import annotations

from sqlalchemy import PrimaryKeyConstraint, Table

from archive.catalogue.tables.columns import metadata, time, word

known_moments = Table(
    "known_moments",
    metadata,
    word("name"),
    word("node"),
    time("moment", nullable=True),
    time("told_at"),
    PrimaryKeyConstraint("name", "node"),
)
