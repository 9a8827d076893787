"""Recorders remember when their clock was right: nothing is locked by one that is not believed."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"

GRANTS = "GRANT INSERT, UPDATE ON retention_clocks TO earwitness_recorder;"


def upgrade() -> None:
    """Give the right."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(GRANTS)
    cursor.close()
