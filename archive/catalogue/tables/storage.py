"""The bucket: whether its lock is proved, which duties ask for it, and what was read again."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from archive.catalogue.tables.columns import count, maybe, metadata, of_recording, tenant, time, word, words

worm_proofs = Table(
    "worm_proofs",
    metadata,
    Column("place", Text, primary_key=True),
    time("at"),
    Column("is_proved", Boolean, nullable=False),
    word("custody"),
    words("faults"),
)

legal_duties = Table(
    "legal_duties",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("law"),
    words("classes"),
    word("registered_by"),
    time("registered_at"),
    maybe("ended_by"),
    time("ended_at", nullable=True),
    Index(None, "tenant_id", "registered_at"),
)

scrubs = Table(
    "scrubs",
    metadata,
    Column("recording_id", Text, primary_key=True),
    tenant(),
    time("read_at"),
    Column("is_firm", Boolean, nullable=False, server_default=text("false")),
    of_recording(),
    Index(None, "tenant_id", "read_at"),
)

scrub_findings = Table(
    "scrub_findings",
    metadata,
    tenant(),
    word("recording_id"),
    word("kind"),
    word("what"),
    time("found_at"),
    PrimaryKeyConstraint("recording_id", "kind", "what"),
    of_recording(),
    Index(None, "tenant_id", "found_at"),
)

scrub_progress = Table(
    "scrub_progress",
    metadata,
    Column("number", Integer, primary_key=True),
    time("at"),
    count("recordings"),
    count("overdue"),
    time("oldest_at", nullable=True),
    count("findings"),
    count("damaged_exports"),
    count("damaged_case_copies"),
)
