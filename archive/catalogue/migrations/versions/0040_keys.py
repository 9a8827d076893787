"""Key-encryption keys on their way out: nothing new is committed under one of them.

Whoever commits a wrapped data key holds the key's name with a shared lock and finds no
row here; whoever retires a key takes the same lock alone. So a key is never destroyed
under a recording that was about to be committed.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0030"

TABLES = """
CREATE TABLE retired_keks (
    kek_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    retired_at timestamptz NOT NULL,
    destroyed_at timestamptz
);
CREATE INDEX retired_keks_tenant_id_idx ON retired_keks (tenant_id);
CREATE INDEX recordings_tenant_id_kek_id_id_idx ON recordings (tenant_id, kek_id, id);
"""

POLICY = """
ALTER TABLE retired_keks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON retired_keks USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT ON retired_keks
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT INSERT, UPDATE ON retired_keks TO earwitness_worker, earwitness_operator;
-- The operator re-wraps: the key of a recording changes, and nothing else of it.
GRANT UPDATE (kek_id, wrapped_key) ON recordings TO earwitness_operator;
"""


def upgrade() -> None:
    """Make table, policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, POLICY, GRANTS):
        cursor.execute(statements)
    cursor.close()
