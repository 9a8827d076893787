"""Who got another licence of late is looked for each minute: among all licences of years they are few."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0116"
down_revision = "0112"


def upgrade() -> None:
    """Index them by time."""
    op.execute("CREATE INDEX user_licences_tenant_id_valid_from_idx ON user_licences (tenant_id, valid_from)")
