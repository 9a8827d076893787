"""Cases: what is under a legal hold and why, and the rules by which later calls come under it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy import text as sql_text

from archive.catalogue.tables.columns import count, maybe, metadata, of_recording, of_user, tenant, time, word


def _of_case() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id", "case_id"], ["cases.tenant_id", "cases.id"], ondelete="CASCADE")


cases = Table(
    "cases",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("name"),
    word("reason"),
    word("opened_by"),
    time("opened_at"),
    maybe("release_reason"),
    maybe("release_asked_by"),
    time("release_asked_at", nullable=True),
    maybe("released_by"),
    time("released_at", nullable=True),
    time("let_go_at", nullable=True),
    Column("copy_taken", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("tenant_id", "id"),
    Index(None, "tenant_id", "opened_at", "id"),
    Index(
        "cases_let_go_idx",
        "tenant_id",
        "released_at",
        postgresql_where=sql_text("released_at IS NOT NULL AND let_go_at IS NULL"),
    ),
)

case_recordings = Table(
    "case_recordings",
    metadata,
    word("tenant_id"),
    word("case_id"),
    word("recording_id"),
    word("added_by"),
    time("added_at"),
    PrimaryKeyConstraint("case_id", "recording_id"),
    _of_case(),
    of_recording(),
    Index(None, "recording_id"),
)

case_rules = Table(
    "case_rules",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("case_id"),
    maybe("user_id"),
    maybe("number"),
    word("made_by"),
    time("made_at"),
    maybe("ended_by"),
    time("ended_at", nullable=True),
    _of_case(),
    Index(None, "case_id"),
)

case_people = Table(
    "case_people",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("case_id"),
    word("user_id"),
    word("added_by"),
    time("added_at"),
    maybe("removed_by"),
    time("removed_at", nullable=True),
    _of_case(),
    of_user(),
    Index(
        "case_people_open_idx", "case_id", "user_id", unique=True, postgresql_where=text("removed_at IS NULL")
    ),
    Index(None, "user_id"),
)

case_copies = Table(
    "case_copies",
    metadata,
    Column("case_id", Text, primary_key=True),
    tenant(),
    word("object_key"),
    word("version_id"),
    count("ciphertext_bytes"),
    word("ciphertext_sha256"),
    maybe("damage"),
    _of_case(),
    Index(None, "tenant_id", "case_id"),
)

case_changes = Table(
    "case_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    word("tenant_id"),
    word("case_id"),
    time("tried_at", nullable=True),
    _of_case(),
    Index(None, "tenant_id", "case_id"),
)
