"""What retention counted last: whether clocks are believed, and what waits, is late or is stuck.

The figures belong to no tenant.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0070"
down_revision = "0078"

TABLES = """
CREATE TABLE retention_figures (
    name text PRIMARY KEY,
    value bigint NOT NULL CHECK (value >= 0),
    at timestamptz NOT NULL,
    since timestamptz,
    CHECK ((since IS NULL) = (value = 0))
);
"""

GRANTS = """
GRANT SELECT ON retention_figures TO earwitness_portal, earwitness_operator;
GRANT SELECT, INSERT, UPDATE ON retention_figures TO earwitness_worker;
"""


def upgrade() -> None:
    """Make the table and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, GRANTS):
        cursor.execute(statements)
    cursor.close()
