"""Whether the objects of a recording were seen under a lock nobody can take back.

Of what was read before this release it is not known until it is read again.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0106"
down_revision = "0094"

COLUMN = """
ALTER TABLE scrubs ADD COLUMN is_firm boolean NOT NULL DEFAULT false;
"""


def upgrade() -> None:
    """Make the column."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(COLUMN)
    cursor.close()
