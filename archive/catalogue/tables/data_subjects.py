"""Requests of data subjects: who asks what, what was looked for and found, and what was answered."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql_text

from archive.catalogue.tables.columns import maybe, metadata, of_recording, tenant, time, word


def _of_request() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "request_id"],
        ["data_subject_requests.tenant_id", "data_subject_requests.id"],
        ondelete="CASCADE",
    )


data_subject_requests = Table(
    "data_subject_requests",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("kind"),
    word("state"),
    word("name"),
    word("contact"),
    Column("received_on", Date, nullable=False),
    word("taken_in_by"),
    time("taken_in_at"),
    maybe("identified_how"),
    maybe("identification"),
    maybe("identified_by"),
    time("identified_at", nullable=True),
    maybe("extension_reason"),
    maybe("extended_by"),
    time("extended_at", nullable=True),
    maybe("outcome"),
    maybe("ground"),
    maybe("answer"),
    maybe("answered_by"),
    time("answered_at", nullable=True),
    maybe("closing_note"),
    maybe("closed_by"),
    time("closed_at", nullable=True),
    maybe("reminded"),
    UniqueConstraint("tenant_id", "id"),
    Index(None, "tenant_id", "taken_in_at", "id"),
    Index(
        "data_subject_requests_open_idx",
        "tenant_id",
        "received_on",
        postgresql_where=sql_text("answered_at IS NULL AND closed_at IS NULL"),
    ),
)

data_subject_searches = Table(
    "data_subject_searches",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("request_id"),
    word("sought_by"),
    word("value"),
    Column("found", Integer, nullable=False),
    word("searched_by"),
    time("searched_at"),
    _of_request(),
    Index(None, "request_id", "searched_at"),
)

data_subject_calls = Table(
    "data_subject_calls",
    metadata,
    word("tenant_id"),
    word("request_id"),
    word("recording_id"),
    maybe("treatment"),
    maybe("reason"),
    maybe("chosen_by"),
    time("chosen_at", nullable=True),
    PrimaryKeyConstraint("request_id", "recording_id"),
    _of_request(),
    of_recording(),
    Index(None, "recording_id"),
)
