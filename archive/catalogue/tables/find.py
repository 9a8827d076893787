"""What recordings are found by and shown with in lists, and the searches people keep."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from archive.catalogue.tables.columns import metadata, of_recording, of_user, time, word

recording_documents = Table(
    "recording_documents",
    metadata,
    word("tenant_id"),
    Column("recording_id", Text, primary_key=True),
    time("started_at"),
    Column("document", TSVECTOR, nullable=False),
    of_recording(),
    Index(None, "tenant_id", "started_at", "recording_id"),
    Index(None, "document", postgresql_using="gin"),
    Index(None, "started_at", postgresql_using="brin"),
)

searchable = table(
    "searchable", column("recording_id", Text), column("started_at"), column("document", TSVECTOR)
)
"""The documents of the tenant of the transaction, as a view.

Row-level security keeps conditions on a document from its index, since the operator is
not known to tell nothing of rows it is not shown (it is not "leakproof"). The view names
the tenant itself, and its owner sees the whole table.
"""

recording_waveforms = Table(
    "recording_waveforms",
    metadata,
    word("tenant_id"),
    Column("recording_id", Text, primary_key=True),
    Column("lanes", Integer, nullable=False),
    Column("levels", LargeBinary, nullable=False),
    of_recording(),
)

saved_searches = Table(
    "saved_searches",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("user_id"),
    word("name"),
    word("query"),
    Column("shared", Boolean, nullable=False),
    time("saved_at"),
    UniqueConstraint("tenant_id", "user_id", "name"),
    of_user(),
)

last_views = Table(
    "last_views",
    metadata,
    word("tenant_id"),
    word("user_id"),
    word("query"),
    time("seen_at"),
    PrimaryKeyConstraint("user_id"),
    of_user(),
)
