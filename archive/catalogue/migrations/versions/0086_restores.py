"""Restores of a backup, and which copy of a case the database was built from.

A database that was restored is that of yesterday: nothing is deleted by it until the catalogue was
built again from the bucket. A case remembers the number of the copy it was brought back from: what
that copy knows and could not be brought back is known to be lost, and keeps no later copy from being
written. Of changes whose copy could not be written, others go first.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0086"
down_revision = "0071"

TABLES = """
ALTER TABLE cases ADD COLUMN copy_taken bigint NOT NULL DEFAULT 0 CHECK (copy_taken >= 0);
ALTER TABLE case_changes ADD COLUMN tried_at timestamptz;
CREATE TABLE restores (
    restored_at timestamptz PRIMARY KEY,
    made_at timestamptz NOT NULL,
    rebuilt_at timestamptz
);
"""

GRANTS = """
GRANT UPDATE (copy_taken) ON cases TO earwitness_operator;
GRANT UPDATE (tried_at) ON case_changes TO earwitness_worker;
GRANT SELECT ON restores TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT UPDATE (rebuilt_at) ON restores TO earwitness_operator;
GRANT UPDATE (retain_until, term_behind) ON recordings TO earwitness_operator;
"""


def upgrade() -> None:
    """Add columns, the table and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, GRANTS):
        cursor.execute(statements)
    cursor.close()
