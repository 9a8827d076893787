"""The minutes of people are also known by their month: a report of one reads that one and not all there were.

A month of a person is written many times, and what is written is in no index; each is entered once.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0104"
down_revision = "0097"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX minute_months_tenant_id_month_idx ON minute_months (tenant_id, month)")
