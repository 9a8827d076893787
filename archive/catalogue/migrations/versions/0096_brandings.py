"""How customers look on their pages: name, colours and logo; a draft is looked at first."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0096"
down_revision = "0099"

TABLES = """
CREATE TABLE brandings (
    tenant_id text NOT NULL REFERENCES tenants,
    draft boolean NOT NULL,
    version text NOT NULL,
    name text NOT NULL,
    accent_light text CHECK (accent_light ~ '^#[0-9a-f]{6}$'),
    accent_dark text CHECK (accent_dark ~ '^#[0-9a-f]{6}$'),
    logo bytea CHECK (octet_length(logo) <= 300000),
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, draft)
);
ALTER TABLE brandings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON brandings USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON brandings TO earwitness_portal;
GRANT SELECT ON brandings TO earwitness_worker, earwitness_operator;
"""


def upgrade() -> None:
    """Make the table and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, GRANTS):
        cursor.execute(statements)
    cursor.close()
