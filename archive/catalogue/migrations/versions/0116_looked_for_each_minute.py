"""What is looked for each minute is found by itself: licences given of late, mails that wait.

Among all licences of years, and all mails of three months, they are few.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0116"
down_revision = "0117"


def upgrade() -> None:
    """Index licences by time, and mails that wait."""
    op.execute("CREATE INDEX user_licences_tenant_id_valid_from_idx ON user_licences (tenant_id, valid_from)")
    op.execute(
        "CREATE INDEX mails_tenant_id_queued_at_idx ON mails (tenant_id, queued_at) WHERE state = 'queued'"
    )
