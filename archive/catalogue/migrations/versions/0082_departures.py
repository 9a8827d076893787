"""People leave and may come back: since when they are gone, and what they had.

What they had is kept while they are gone, so that a departure can be taken back; it goes
when they come back, and with the person.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0082"
down_revision = "0089"

TABLES = """
ALTER TABLE users ADD COLUMN left_at timestamptz;

CREATE TABLE departures (
    tenant_id text NOT NULL,
    user_id text PRIMARY KEY,
    licence text,
    mode text NOT NULL,
    broadworks_id text,
    numbers text[] NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE departures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON departures USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT, DELETE ON departures TO earwitness_portal, earwitness_operator;
"""


def upgrade() -> None:
    """Make the column and the table, and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, GRANTS):
        cursor.execute(statements)
    cursor.close()
