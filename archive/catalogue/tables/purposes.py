"""Why somebody opened another person's recording, remembered as long as their session."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from archive.catalogue.tables.columns import metadata, of_recording, of_user, time, word

recording_purposes = Table(
    "recording_purposes",
    metadata,
    word("tenant_id"),
    word("session_id"),
    word("recording_id"),
    word("user_id"),
    word("purpose"),
    time("stated_at"),
    PrimaryKeyConstraint("session_id", "recording_id"),
    of_user(),
    of_recording(),
    Index(None, "recording_id"),
    Index(None, "user_id"),
)
