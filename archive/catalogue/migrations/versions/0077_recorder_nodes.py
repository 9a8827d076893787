"""Recorders say every second that they are there, so that nobody takes a lost one's calls for recorded.

Unlogged, as the calls under way: after a crash of the database each says it again at once.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0077"
down_revision = "0074"

TABLE = """
CREATE UNLOGGED TABLE recorder_nodes (
    node text PRIMARY KEY,
    heard_at timestamptz NOT NULL
);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON recorder_nodes TO earwitness_recorder;
GRANT SELECT ON recorder_nodes TO earwitness_portal, earwitness_operator;
GRANT SELECT, DELETE ON recorder_nodes TO earwitness_worker;
"""


def upgrade() -> None:
    """Make the table and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLE, GRANTS):
        cursor.execute(statements)
    cursor.close()
