"""Why a call is recorded is told while it goes on; results of evaluations are found newest first.

The trace stands in the table of the calls under way, which is not logged and is made anew without
a call that may not exist, so that of an exempt call no octet of it stays.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0085"
down_revision = "0082"


def upgrade() -> None:
    """Add the column, which a recorder that does not know it yet leaves empty, and the index."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute("ALTER TABLE live_calls ADD COLUMN trace jsonb NOT NULL DEFAULT '[]'")
    cursor.execute(
        "CREATE INDEX evaluations_tenant_id_released_at_id_idx ON evaluations (tenant_id, released_at, id)"
    )
    cursor.close()
