"""Positions: where a person stopped listening to a recording, the same on every device."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

POSITIONS = """
CREATE TABLE positions (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    recording_id text NOT NULL,
    position_ms bigint NOT NULL CHECK (position_ms >= 0),
    kept_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, recording_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX positions_recording_id_idx ON positions (recording_id);
ALTER TABLE positions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON positions USING (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON positions TO earwitness_portal;
"""


def upgrade() -> None:
    """Make the table with its policy and rights."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(POSITIONS)
    cursor.close()
