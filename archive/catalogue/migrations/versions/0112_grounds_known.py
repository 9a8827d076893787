"""Recorders know which customers wrote down why they record: that they did, and nothing of what."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0112"
down_revision = "0102"

RIGHTS = """
CREATE POLICY cached ON recording_grounds FOR SELECT
    TO earwitness_recorder, earwitness_worker, earwitness_operator USING (true);
GRANT SELECT (tenant_id) ON recording_grounds TO earwitness_recorder;
"""


def upgrade() -> None:
    """Give the right."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(RIGHTS)
    cursor.close()
