"""What people write on recordings: comments, notes, labels, favourites, and every earlier value of them.

A table here holds what is so now; triggers number each change and copy it into
`annotation_revisions`, which nobody changes. `revision`, `changed_by` and `changed_at` are
those of the last change. Whoever wrote something may be gone: it names no user by reference.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import (
    count,
    maybe,
    metadata,
    of_recording,
    of_user,
    tenant,
    time,
    word,
)


def changed_columns() -> tuple[Column[int], Column[str], Column[object]]:
    """Return the columns that say how often something changed, by whom last and when."""
    return Column("revision", Integer, nullable=False), word("changed_by"), time("changed_at")


comments = Table(
    "comments",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("recording_id"),
    maybe("reply_to"),
    word("author"),
    time("made_at"),
    count("at_ms"),
    word("text"),
    Column("deleted", Boolean, nullable=False),
    *changed_columns(),
    UniqueConstraint("recording_id", "id"),
    of_recording(),
    ForeignKeyConstraint(
        ["recording_id", "reply_to"], ["comments.recording_id", "comments.id"], ondelete="CASCADE"
    ),
    Index(None, "recording_id", "reply_to"),
)

notes = Table(
    "notes",
    metadata,
    word("tenant_id"),
    Column("recording_id", Text, primary_key=True),
    word("text"),
    *changed_columns(),
    of_recording(),
)

labels = Table(
    "labels",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("name"),
    word("name_key"),
    word("colour"),
    word("shape"),
    Column("retired", Boolean, nullable=False),
    *changed_columns(),
    UniqueConstraint("tenant_id", "id"),
    Index("labels_offered_idx", "tenant_id", "name_key", unique=True, postgresql_where=text("NOT retired")),
)

recording_labels = Table(
    "recording_labels",
    metadata,
    word("tenant_id"),
    word("recording_id"),
    word("label_id"),
    Column("attached", Boolean, nullable=False),
    *changed_columns(),
    PrimaryKeyConstraint("recording_id", "label_id"),
    of_recording(),
    ForeignKeyConstraint(["tenant_id", "label_id"], ["labels.tenant_id", "labels.id"]),
    Index(None, "label_id"),
)

favourites = Table(
    "favourites",
    metadata,
    word("tenant_id"),
    word("recording_id"),
    word("user_id"),
    Column("marked", Boolean, nullable=False),
    *changed_columns(),
    PrimaryKeyConstraint("recording_id", "user_id"),
    of_recording(),
    of_user(),
    Index(None, "user_id"),
)

annotation_revisions = Table(
    "annotation_revisions",
    metadata,
    tenant(),
    word("kind"),
    word("object_id"),
    Column("revision", Integer, nullable=False),
    maybe("recording_id"),
    word("changed_by"),
    time("changed_at"),
    Column("content", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant_id", "kind", "object_id", "revision"),
    of_recording(),
    Index(None, "recording_id"),
)
