"""The operator wraps anew what the root sealed in rows, when the root changes."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0050"

GRANTS = """
GRANT UPDATE (sealed) ON totp_secrets, mails TO earwitness_operator;
"""


def upgrade() -> None:
    """Give the rights."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(GRANTS)
    cursor.close()
