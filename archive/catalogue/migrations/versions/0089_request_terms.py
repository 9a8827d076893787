"""Privacy requests are forgotten by the worker at the end of their own term."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0089"
down_revision = "0086"


def upgrade() -> None:
    """Give the right."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute("GRANT DELETE ON data_subject_requests TO earwitness_worker")
    cursor.close()
