"""Exports of evidence and their sealed parts.

A part holds what was written for a package; the sound stays where it is archived and is
read from there. What proves nothing any more after a week goes, the row stays a little longer.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0050"
down_revision = "0020"

TABLES = """
CREATE TABLE exports (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    user_id text NOT NULL,
    reference text NOT NULL,
    purpose text NOT NULL,
    recording_ids text[] NOT NULL CHECK (cardinality(recording_ids) > 0),
    state text NOT NULL CHECK (state IN ('waiting', 'ready', 'failed', 'ended')),
    done integer NOT NULL DEFAULT 0 CHECK (done >= 0),
    size_bytes bigint,
    reason text,
    asked_at timestamptz NOT NULL,
    ready_at timestamptz,
    ends_at timestamptz NOT NULL,
    kek_id text,
    wrapped_key bytea,
    CHECK (num_nonnulls(kek_id, wrapped_key) IN (0, 2)),
    CONSTRAINT exports_tenant_id_id_key UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX exports_tenant_id_asked_at_id_idx ON exports (tenant_id, asked_at, id);
CREATE INDEX exports_user_id_idx ON exports (user_id);

CREATE TABLE export_parts (
    tenant_id text NOT NULL REFERENCES tenants,
    export_id text NOT NULL,
    prefix text NOT NULL,
    files jsonb NOT NULL,
    object_key text NOT NULL,
    version_id text NOT NULL,
    plaintext_bytes bigint NOT NULL,
    ciphertext_bytes bigint NOT NULL,
    segments bigint NOT NULL,
    plaintext_sha256 text NOT NULL,
    ciphertext_sha256 text NOT NULL,
    commitment text NOT NULL,
    PRIMARY KEY (export_id, prefix),
    FOREIGN KEY (tenant_id, export_id) REFERENCES exports (tenant_id, id) ON DELETE CASCADE
);
"""

GRANTS = """
GRANT SELECT, INSERT ON exports TO earwitness_portal;
GRANT SELECT ON export_parts TO earwitness_portal;
GRANT SELECT, UPDATE, DELETE ON exports TO earwitness_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON export_parts TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, *map(_tenant_policy, ("exports", "export_parts")), GRANTS):
        cursor.execute(statements)
    cursor.close()
