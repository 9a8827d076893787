"""What may be written about holds and terms by whoever changes keys and rebuilds the catalogue."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0060"
down_revision = "0064"

GRANTS = """
GRANT INSERT ON cases TO earwitness_operator;
GRANT UPDATE (on_hold, store_hold) ON recordings TO earwitness_operator;
"""


def upgrade() -> None:
    """Give the rights."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(GRANTS)
    cursor.close()
