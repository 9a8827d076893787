"""Destructions that fail are tried again later and later, and looked at once more after they are done.

What the store keeps is asked for again at a time of its own, so that neither stands in the way
of others.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0067"
down_revision = "0063"

TABLES = """
ALTER TABLE destructions
    ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    ADD COLUMN next_attempt_at timestamptz,
    ADD COLUMN looked_again_at timestamptz;
CREATE INDEX destructions_second_look_idx ON destructions (tenant_id, destroyed_at)
    WHERE destroyed_at IS NOT NULL AND looked_again_at IS NULL;
ALTER TABLE recordings ADD COLUMN kept_until timestamptz;
"""


def upgrade() -> None:
    """Add columns and index."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(TABLES)
    cursor.close()
