"""Where the copy of each case stands and what its octets must be, and what of copies and exports is damaged.

A copy is written with its pin from now on; those there are get a new one, once, as after a change.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0092"
down_revision = "0096"

TABLES = """
CREATE TABLE case_copies (
    case_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    object_key text NOT NULL,
    version_id text NOT NULL,
    ciphertext_bytes bigint NOT NULL,
    ciphertext_sha256 text NOT NULL,
    damage text,
    FOREIGN KEY (tenant_id, case_id) REFERENCES cases (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX case_copies_tenant_id_case_id_idx ON case_copies (tenant_id, case_id);
ALTER TABLE export_parts ADD COLUMN damage text;
ALTER TABLE scrub_progress
    ADD COLUMN damaged_exports bigint NOT NULL DEFAULT 0,
    ADD COLUMN damaged_case_copies bigint NOT NULL DEFAULT 0;
"""

# The copies there are have no pin yet.
FIRST = """
ALTER TABLE cases NO FORCE ROW LEVEL SECURITY;
INSERT INTO case_changes (tenant_id, case_id) SELECT tenant_id, id FROM cases WHERE let_go_at IS NULL;
ALTER TABLE cases FORCE ROW LEVEL SECURITY;
"""

POLICY = """
ALTER TABLE case_copies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON case_copies USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON case_copies TO earwitness_worker;
GRANT SELECT ON case_copies TO earwitness_portal, earwitness_operator;
"""


def upgrade() -> None:
    """Add the table, the columns, policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, FIRST, POLICY, GRANTS):
        cursor.execute(statements)
    cursor.close()
