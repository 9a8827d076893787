"""Who is admitted to a case: they hear what it holds until it is released or they are taken off it."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0065"
down_revision = "0061"

TABLES = """
CREATE TABLE case_people (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    case_id text NOT NULL,
    user_id text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    removed_by text,
    removed_at timestamptz,
    CHECK (num_nonnulls(removed_by, removed_at) IN (0, 2)),
    FOREIGN KEY (tenant_id, case_id) REFERENCES cases (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX case_people_open_idx ON case_people (case_id, user_id) WHERE removed_at IS NULL;
CREATE INDEX case_people_user_id_idx ON case_people (user_id);
"""

POLICY = """
ALTER TABLE case_people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON case_people USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT ON case_people TO earwitness_portal;
GRANT UPDATE (removed_by, removed_at) ON case_people TO earwitness_portal;
GRANT SELECT ON case_people TO earwitness_recorder, earwitness_worker, earwitness_operator;
"""


def upgrade() -> None:
    """Make the table, its policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, POLICY, GRANTS):
        cursor.execute(statements)
    cursor.close()
