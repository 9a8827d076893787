"""Who builds the catalogue again lets recordings go that were destroyed since the backup."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0091"
down_revision = "0090"

GRANTS = """
GRANT INSERT, UPDATE (objects) ON destructions TO earwitness_operator;
GRANT UPDATE (state) ON recordings TO earwitness_operator;
"""


def upgrade() -> None:
    """Give the rights."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(GRANTS)
    cursor.close()
