"""What entries of the instance itself say is read by who checks the log, as it always was written."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0068"
down_revision = "0065"


def upgrade() -> None:
    """Let operator and worker read bodies of no tenant."""
    op.execute(
        "CREATE POLICY instance ON audit_bodies FOR SELECT TO earwitness_operator, earwitness_worker"
        " USING (tenant_id IS NULL AND current_tenant() IS NULL)"
    )
