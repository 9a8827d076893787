"""What is known of the bucket: whether its lock is proved, which duties ask for it, and what was read again.

A proof and the progress of scrubbing belong to no tenant; duties and findings do.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0061"
down_revision = "0060"

TABLES = """
CREATE TABLE worm_proofs (
    place text PRIMARY KEY,
    at timestamptz NOT NULL,
    is_proved boolean NOT NULL,
    custody text NOT NULL,
    faults text[] NOT NULL,
    CHECK (NOT is_proved OR cardinality(faults) = 0)
);

CREATE TABLE legal_duties (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    law text NOT NULL CHECK (law <> ''),
    classes text[] NOT NULL CHECK (cardinality(classes) > 0),
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL,
    ended_by text,
    ended_at timestamptz,
    CHECK (num_nonnulls(ended_by, ended_at) IN (0, 2))
);
CREATE INDEX legal_duties_tenant_id_registered_at_idx ON legal_duties (tenant_id, registered_at);

CREATE TABLE scrubs (
    recording_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    read_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX scrubs_tenant_id_read_at_idx ON scrubs (tenant_id, read_at);

CREATE TABLE scrub_findings (
    tenant_id text NOT NULL REFERENCES tenants,
    recording_id text NOT NULL,
    kind text NOT NULL,
    what text NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (recording_id, kind, what),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX scrub_findings_tenant_id_found_at_idx ON scrub_findings (tenant_id, found_at);

CREATE TABLE scrub_progress (
    number integer PRIMARY KEY CHECK (number = 1),
    at timestamptz NOT NULL,
    recordings bigint NOT NULL,
    overdue bigint NOT NULL,
    oldest_at timestamptz,
    findings bigint NOT NULL
);
"""

GRANTS = """
GRANT SELECT ON worm_proofs, legal_duties TO earwitness_recorder, earwitness_portal;
GRANT SELECT, INSERT, UPDATE ON worm_proofs TO earwitness_worker, earwitness_operator;
GRANT SELECT ON legal_duties TO earwitness_worker;
GRANT SELECT, INSERT, UPDATE ON legal_duties TO earwitness_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON scrubs, scrub_findings TO earwitness_worker;
GRANT SELECT ON scrubs, scrub_findings, scrub_progress TO earwitness_portal, earwitness_operator;
GRANT SELECT, INSERT, UPDATE ON scrub_progress TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    tenants = ("legal_duties", "scrubs", "scrub_findings")
    for statements in (TABLES, *map(_tenant_policy, tenants), GRANTS):
        cursor.execute(statements)
    cursor.close()
