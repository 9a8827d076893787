"""What people are told of by mail, and what they chose to be told of."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import maybe, metadata, of_recording, of_user, tenant, time, word

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("user_id"),
    word("kind"),
    word("about"),
    maybe("recording_id"),
    time("noted_at"),
    time("settled_at", nullable=True),
    Column("mailed", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("tenant_id", "user_id", "kind", "about"),
    of_user(),
    of_recording(),
    Index(None, "tenant_id", "noted_at", "id"),
    Index(None, "recording_id"),
)

notification_choices = Table(
    "notification_choices",
    metadata,
    tenant(),
    word("user_id"),
    Column("wanted", JSONB, nullable=False),
    word("language"),
    time("changed_at"),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    of_user(),
)
