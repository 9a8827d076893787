"""Recordings, how sessions ended, and the minutes they used."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from archive.catalogue.tables.columns import (
    count,
    maybe,
    metadata,
    of_recording,
    of_user,
    tenant,
    time,
    word,
    words,
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("session_id"),
    word("call_id"),
    word("call_group"),
    word("state"),
    word("mode"),
    maybe("owner"),
    maybe("peer_id"),
    word("direction"),
    word("layout"),
    time("started_at"),
    time("ended_at"),
    count("duration_ms"),
    count("recorded_ms"),
    word("retention_class"),
    time("retain_until"),
    Column("spans", JSONB, nullable=False),
    count("packets_received"),
    count("packets_lost"),
    count("packets_duplicated"),
    count("packets_reordered"),
    word("sha256"),
    words("channels"),
    Column("sample_rate_hz", Integer, nullable=False),
    words("flags"),
    Column("on_hold", Boolean, nullable=False),
    maybe("site"),
    word("kek_id"),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("store_hold", Text, nullable=False, server_default=sql_text("'none'")),
    time("kept_until", nullable=True),
    Column("term_behind", Boolean, nullable=False, server_default=sql_text("false")),
    UniqueConstraint("tenant_id", "id"),
    Index(None, "tenant_id", "started_at", "id"),
    Index(None, "tenant_id", "owner", "started_at", "id"),
    Index(None, "tenant_id", "duration_ms", "id"),
    Index(
        "recordings_on_hold_idx",
        "tenant_id",
        "started_at",
        "id",
        postgresql_where=sql_text("on_hold"),
    ),
    Index(None, "tenant_id", "call_group"),
    Index(None, "tenant_id", "kek_id", "id"),
    Index(None, "retain_until"),
    Index(
        "recordings_store_hold_idx",
        "tenant_id",
        "id",
        postgresql_where=sql_text(
            "(on_hold AND store_hold <> 'held') OR (NOT on_hold AND store_hold <> 'none')"
        ),
    ),
    Index(
        "recordings_quarantined_idx",
        "tenant_id",
        "peer_id",
        postgresql_where=sql_text("state = 'quarantined'"),
    ),
    Index("recordings_term_behind_idx", "tenant_id", "id", postgresql_where=sql_text("term_behind")),
    Index(
        "recordings_due_idx",
        "tenant_id",
        "retain_until",
        postgresql_where=sql_text("state IN ('available', 'partial', 'failed') AND NOT on_hold"),
    ),
)

recording_objects = Table(
    "recording_objects",
    metadata,
    word("tenant_id"),
    word("recording_id"),
    word("kind"),
    word("key"),
    word("version_id"),
    count("plaintext_bytes"),
    count("ciphertext_bytes"),
    count("segments"),
    word("plaintext_sha256"),
    word("ciphertext_sha256"),
    word("commitment"),
    word("media_type"),
    PrimaryKeyConstraint("recording_id", "kind"),
    of_recording(),
)

recording_parties = Table(
    "recording_parties",
    metadata,
    word("tenant_id"),
    word("recording_id"),
    Column("position", Integer, nullable=False),
    word("channel"),
    word("number"),
    word("name"),
    maybe("user_id"),
    count("from_ms"),
    Column("to_ms", BigInteger, nullable=True),
    PrimaryKeyConstraint("recording_id", "position"),
    of_recording(),
    Index(None, "tenant_id", "number"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=True),
    word("call_id"),
    word("kind"),
    word("reason"),
    time("started_at"),
    time("ended_at"),
    maybe("peer_id"),
    words("recording_ids"),
    words("trace"),
    Column("transport", Text, nullable=False, server_default=sql_text("''")),
    maybe("site"),
    Column("octets", ARRAY(BigInteger), nullable=False, server_default=sql_text("'{}'")),
    Column("exchange_ids", ARRAY(Text), nullable=False, server_default=sql_text("'{}'")),
    Index(None, "tenant_id", "started_at", "id"),
    Index(None, "tenant_id", "ended_at"),
    Index(None, "tenant_id", "call_id"),
    Index(None, "tenant_id", "peer_id", "started_at"),
)

session_names = Table(
    "session_names",
    metadata,
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    word("name"),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=True),
    PrimaryKeyConstraint("session_id", "name"),
    Index(None, "tenant_id", "name"),
)

received_octets = Table(
    "received_octets",
    metadata,
    tenant(),
    time("began_at"),
    word("peer_id"),
    word("site"),
    count("octets"),
    PrimaryKeyConstraint("tenant_id", "began_at", "peer_id", "site"),
)

exempt_days = Table(
    "exempt_days",
    metadata,
    Column("day", Date, primary_key=True),
    count("count"),
)

minute_bookings = Table(
    "minute_bookings",
    metadata,
    Column("recording_id", Text, primary_key=True),
    word("tenant_id"),
    word("user_id"),
    Column("month", Date, nullable=False),
    word("call_group"),
    time("started_at"),
    time("ended_at"),
    count("recorded_s"),
    count("booked_s"),
    Column("above_cap", Boolean, nullable=False),
    word("retention_class"),
    of_user(),
    Index(None, "tenant_id", "user_id", "month"),
)

minute_months = Table(
    "minute_months",
    metadata,
    word("tenant_id"),
    word("user_id"),
    Column("month", Date, nullable=False),
    count("booked_s"),
    PrimaryKeyConstraint("user_id", "month"),
    of_user(),
    Index(None, "tenant_id", "month"),
)
