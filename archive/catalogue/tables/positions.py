"""Where people stopped listening, so that another device goes on from there."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from archive.catalogue.tables.columns import count, metadata, of_recording, of_user, time, word

positions = Table(
    "positions",
    metadata,
    word("tenant_id"),
    word("user_id"),
    word("recording_id"),
    count("position_ms"),
    time("kept_at"),
    PrimaryKeyConstraint("user_id", "recording_id"),
    of_user(),
    of_recording(),
    Index(None, "recording_id"),
)
