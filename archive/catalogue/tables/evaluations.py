"""Evaluations of recordings, the forms they were made by, samples to evaluate, and what is left of scores.

A version of a form is never changed: no role has the right to. What an evaluation said before,
from its release on, stands in `annotation_revisions`. An evaluation goes with its recording; a
trigger then adds its score to `evaluation_figures`, which name no person and no call.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
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

from archive.catalogue.tables.annotations import changed_columns
from archive.catalogue.tables.columns import count, maybe, metadata, of_recording, tenant, time, word


def _of_version() -> ForeignKeyConstraint:
    """Return the reference to a version of a form."""
    return ForeignKeyConstraint(
        ["tenant_id", "form_id", "form_version"],
        [
            "evaluation_form_versions.tenant_id",
            "evaluation_form_versions.form_id",
            "evaluation_form_versions.version",
        ],
    )


evaluation_forms = Table(
    "evaluation_forms",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("name"),
    Column("version", Integer, nullable=False),
    Column("retired", Boolean, nullable=False),
    *changed_columns(),
    UniqueConstraint("tenant_id", "id"),
)

evaluation_form_versions = Table(
    "evaluation_form_versions",
    metadata,
    word("tenant_id"),
    word("form_id"),
    Column("version", Integer, nullable=False),
    Column("content", JSONB, nullable=False),
    word("made_by"),
    time("made_at"),
    PrimaryKeyConstraint("tenant_id", "form_id", "version"),
    ForeignKeyConstraint(["tenant_id", "form_id"], ["evaluation_forms.tenant_id", "evaluation_forms.id"]),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Text, primary_key=True),
    word("tenant_id"),
    word("recording_id"),
    word("form_id"),
    Column("form_version", Integer, nullable=False),
    word("owner"),
    word("evaluator"),
    word("state"),
    Column("answers", JSONB, nullable=False),
    Column("score_permille", Integer),
    Column("failed", Boolean, nullable=False),
    time("began_at"),
    time("released_at", nullable=True),
    maybe("objection"),
    maybe("settlement"),
    *changed_columns(),
    CheckConstraint(
        "state IN ('draft', 'released', 'acknowledged', 'disputed', 'settled', 'withdrawn')",
        name="evaluations_state_check",
    ),
    of_recording(),
    _of_version(),
    Index(
        "evaluations_once_idx",
        "recording_id",
        "evaluator",
        "form_id",
        unique=True,
        postgresql_where=text("state <> 'withdrawn'"),
    ),
    Index(None, "tenant_id", "owner", "released_at"),
    Index(None, "tenant_id", "released_at", "id"),
    Index(None, "tenant_id", "evaluator"),
)

evaluation_figures = Table(
    "evaluation_figures",
    metadata,
    tenant(),
    word("form_id"),
    Column("form_version", Integer, nullable=False),
    Column("month", Date, nullable=False),
    count("evaluations"),
    count("permille_sum"),
    count("failed"),
    PrimaryKeyConstraint("tenant_id", "form_id", "form_version", "month"),
    _of_version(),
)

evaluation_policies = Table(
    "evaluation_policies",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("hides_few", Boolean, nullable=False),
)

evaluation_samples = Table(
    "evaluation_samples",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("form_id"),
    word("team_id"),
    Column("month", Date, nullable=False),
    Column("per_person", Integer, nullable=False),
    word("seed"),
    word("drawn_by"),
    time("drawn_at"),
    UniqueConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "team_id", "form_id", "month"),
    ForeignKeyConstraint(["tenant_id", "form_id"], ["evaluation_forms.tenant_id", "evaluation_forms.id"]),
)

evaluation_sample_calls = Table(
    "evaluation_sample_calls",
    metadata,
    word("tenant_id"),
    word("sample_id"),
    word("recording_id"),
    word("owner"),
    Column("place", Integer, nullable=False),
    PrimaryKeyConstraint("tenant_id", "sample_id", "recording_id"),
    ForeignKeyConstraint(
        ["tenant_id", "sample_id"], ["evaluation_samples.tenant_id", "evaluation_samples.id"]
    ),
    of_recording(),
    Index(None, "recording_id"),
)
