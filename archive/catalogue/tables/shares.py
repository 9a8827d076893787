"""Play links and who visits them, what tenants decide of them, and mails that wait to be sent."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

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

shares = Table(
    "shares",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("recording_id"),
    word("token_hash"),
    maybe("user_id"),
    Column("client_id", Text, ForeignKey("api_clients.id", ondelete="CASCADE"), nullable=True),
    word("title"),
    count("from_ms"),
    count("to_ms"),
    word("proof"),
    maybe("recipient"),
    maybe("code_hash"),
    time("code_ends_at", nullable=True),
    time("made_at"),
    time("ends_at"),
    time("revoked_at", nullable=True),
    maybe("revoked_by"),
    Column("plays_max", Integer, nullable=True),
    Column("plays", Integer, nullable=False, server_default=text("0")),
    time("played_at", nullable=True),
    time("free_at", nullable=True),
    maybe("object_key"),
    maybe("version_id"),
    Column("plaintext_bytes", BigInteger, nullable=True),
    Column("ciphertext_bytes", BigInteger, nullable=True),
    Column("segments", BigInteger, nullable=True),
    maybe("plaintext_sha256"),
    maybe("ciphertext_sha256"),
    maybe("commitment"),
    Column("document", TSVECTOR, nullable=False, server_default=text("''")),
    UniqueConstraint("token_hash"),
    UniqueConstraint("tenant_id", "id"),
    of_user(),
    of_recording(),
    Index(None, "tenant_id", "made_at", "id"),
    Index(None, "document", postgresql_using="gin"),
    Index(None, "recording_id"),
    Index(None, "user_id"),
)

searchable_shares = table("searchable_shares", column("id", Text), column("document", TSVECTOR))
"""The words of the titles of the links of the tenant of the transaction, as a view; as `searchable` is."""

share_visits = Table(
    "share_visits",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("share_id"),
    word("token_hash"),
    Column("network", Text, nullable=False, server_default=text("''")),
    time("opened_at"),
    time("ends_at"),
    time("counted_at", nullable=True),
    Column("sent_bytes", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("token_hash"),
    ForeignKeyConstraint(["tenant_id", "share_id"], ["shares.tenant_id", "shares.id"], ondelete="CASCADE"),
    Index(None, "share_id"),
)

share_policies = Table(
    "share_policies",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("links_allowed", Boolean, nullable=False),
    Column("days_max", Integer, nullable=False),
    Column("proof_required", Boolean, nullable=False),
    Column("files_allowed", Boolean, nullable=False),
)

mails = Table(
    "mails",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    maybe("recording_id"),
    word("actor"),
    word("kind"),
    word("recipient"),
    word("language"),
    Column("sealed", LargeBinary, nullable=True),
    word("state"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("reason", Text, nullable=False, server_default=text("''")),
    time("queued_at"),
    time("settled_at", nullable=True),
    of_recording(),
    Index(None, "tenant_id", "queued_at", "id"),
    Index(None, "tenant_id", "queued_at", postgresql_where=text("state = 'queued'")),
    Index(None, "recording_id"),
)
