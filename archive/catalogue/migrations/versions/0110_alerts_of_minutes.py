"""Who used most of their minutes is looked for each minute: among all events of a day they are few."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0110"
down_revision = "0104"


def upgrade() -> None:
    """Index them by time."""
    op.execute(
        "CREATE INDEX call_events_tenant_id_at_idx ON call_events (tenant_id, at) "
        "WHERE kind IN ('quota.80', 'quota.100')"
    )
