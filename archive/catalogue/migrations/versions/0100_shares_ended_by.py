"""A play link knows who ended it: who else made it does not bring it back."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0100"
down_revision = "0091"


def upgrade() -> None:
    """Add the column; of those that are over already nobody knows."""
    op.execute("ALTER TABLE shares ADD COLUMN revoked_by text")
