"""The audit log by time: a tenant's entries of a period, newest first."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0041"


def upgrade() -> None:
    """Make the index lists read."""
    op.execute(
        "CREATE INDEX audit_entries_tenant_id_at_writer_sequence_idx"
        " ON audit_entries (tenant_id, at, writer, sequence)"
    )
