"""What audit entries say in detail goes when its term is over: how far that is, and bodies of no tenant."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0074"
down_revision = "0080"

TABLE = """
CREATE TABLE audit_erasures (
    tenant_id text PRIMARY KEY REFERENCES tenants,
    erased bigint NOT NULL CHECK (erased >= 0),
    looked_at bigint NOT NULL CHECK (looked_at >= 0),
    until timestamptz,
    finished_at timestamptz
);
"""

POLICIES = """
ALTER TABLE audit_erasures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_erasures USING (tenant_id = current_tenant());
CREATE POLICY instance_erased ON audit_bodies FOR DELETE TO earwitness_worker
    USING (tenant_id IS NULL AND current_tenant() IS NULL);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON audit_erasures TO earwitness_worker;
GRANT SELECT ON audit_erasures TO earwitness_portal, earwitness_operator;
"""


def upgrade() -> None:
    """Make the table, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLE, POLICIES, GRANTS):
        cursor.execute(statements)
    cursor.close()
