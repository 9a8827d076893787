"""Exports of evidence: what was asked for, how far it is, and the sealed parts that were made of it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import count, maybe, metadata, of_user, tenant, time, word, words

exports = Table(
    "exports",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("user_id"),
    word("reference"),
    word("purpose"),
    words("recording_ids"),
    word("state"),
    Column("done", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=True),
    maybe("reason"),
    time("asked_at"),
    time("ready_at", nullable=True),
    time("ends_at"),
    maybe("kek_id"),
    Column("wrapped_key", LargeBinary, nullable=True),
    maybe("request_id"),
    Column("kept", JSONB(none_as_null=True), nullable=True),
    maybe("case_id"),
    Column("left_out", Integer, nullable=False, server_default="0"),
    Column("container", Text, nullable=False, server_default="zip"),
    Column("language", Text, nullable=False, server_default="nl"),
    maybe("mail_to"),
    maybe("proposal_id"),
    UniqueConstraint("tenant_id", "id"),
    of_user(),
    ForeignKeyConstraint(
        ["tenant_id", "request_id"],
        ["data_subject_requests.tenant_id", "data_subject_requests.id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(["tenant_id", "case_id"], ["cases.tenant_id", "cases.id"]),
    Index(None, "tenant_id", "asked_at", "id"),
    Index(None, "user_id"),
    Index(None, "request_id"),
    Index(None, "case_id"),
)

export_parts = Table(
    "export_parts",
    metadata,
    tenant(),
    Column("export_id", Text, primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("files", JSONB, nullable=False),
    word("object_key"),
    word("version_id"),
    count("plaintext_bytes"),
    count("ciphertext_bytes"),
    count("segments"),
    word("plaintext_sha256"),
    word("ciphertext_sha256"),
    word("commitment"),
    maybe("damage"),
    ForeignKeyConstraint(["tenant_id", "export_id"], ["exports.tenant_id", "exports.id"], ondelete="CASCADE"),
)
