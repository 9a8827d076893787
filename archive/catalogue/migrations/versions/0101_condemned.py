"""What an approval of the end of keys is about: the recordings that hung from them when it was given.

A recording that comes to that day afterwards, because it is to be kept longer or was archived late, is
none of it: nobody who approved knew of it.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0101"
down_revision = "0095"

TABLE = """
CREATE TABLE condemned (
    recording_id text NOT NULL,
    tenant_id text NOT NULL REFERENCES tenants,
    proposal_id text NOT NULL REFERENCES proposals,
    PRIMARY KEY (recording_id, proposal_id),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX condemned_proposal_id_idx ON condemned (proposal_id);
ALTER TABLE condemned ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON condemned USING (tenant_id = current_tenant());
GRANT SELECT, INSERT ON condemned TO earwitness_portal;
GRANT SELECT ON condemned TO earwitness_worker, earwitness_operator;
"""


def upgrade() -> None:
    """Make the table; an approval of before says nothing any more, and is asked for anew."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(TABLE)
    cursor.close()
