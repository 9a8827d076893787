"""Samples of calls to evaluate, and whether averages of few evaluations are told.

A sample is drawn once for a team, form and month; its calls go with their recordings.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0081"
down_revision = "0075"

TABLES = """
CREATE TABLE evaluation_policies (
    tenant_id text PRIMARY KEY REFERENCES tenants (id),
    hides_few boolean NOT NULL
);

CREATE TABLE evaluation_samples (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants (id),
    form_id text NOT NULL,
    team_id text NOT NULL,
    month date NOT NULL,
    per_person integer NOT NULL,
    seed text NOT NULL,
    drawn_by text NOT NULL,
    drawn_at timestamptz NOT NULL,
    CONSTRAINT evaluation_samples_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT evaluation_samples_tenant_id_team_id_form_id_month_key
        UNIQUE (tenant_id, team_id, form_id, month),
    FOREIGN KEY (tenant_id, form_id) REFERENCES evaluation_forms (tenant_id, id)
);

CREATE TABLE evaluation_sample_calls (
    tenant_id text NOT NULL,
    sample_id text NOT NULL,
    recording_id text NOT NULL,
    owner text NOT NULL,
    place integer NOT NULL,
    PRIMARY KEY (tenant_id, sample_id, recording_id),
    FOREIGN KEY (tenant_id, sample_id) REFERENCES evaluation_samples (tenant_id, id),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX evaluation_sample_calls_recording_id_idx ON evaluation_sample_calls (recording_id);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON evaluation_policies TO earwitness_portal;
GRANT SELECT, INSERT ON evaluation_samples, evaluation_sample_calls TO earwitness_portal;
GRANT SELECT ON evaluation_policies, evaluation_samples TO earwitness_worker;
GRANT SELECT, DELETE ON evaluation_sample_calls TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    named = ("evaluation_policies", "evaluation_samples", "evaluation_sample_calls")
    for statements in (TABLES, *map(_tenant_policy, named), GRANTS):
        cursor.execute(statements)
    cursor.close()
