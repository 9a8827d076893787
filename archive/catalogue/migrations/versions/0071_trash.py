"""The trash: what two people let go before its term waits there, and can be put back.

For how long is for the tenant to say. A row of it is no right to destroy: the sweep asks for the
approval it names as well. And rules of cases that were ended, which stay told.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0071"
down_revision = "0072"

TABLES = """
CREATE TABLE trash (
    recording_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    proposal_id text NOT NULL REFERENCES proposals,
    put_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX trash_tenant_id_until_recording_id_idx ON trash (tenant_id, until, recording_id);

ALTER TABLE tenant_policies ADD COLUMN trash_days integer NOT NULL DEFAULT 7
    CHECK (trash_days BETWEEN 0 AND 30);

ALTER TABLE case_rules ADD COLUMN ended_by text, ADD COLUMN ended_at timestamptz,
    ADD CHECK (num_nonnulls(ended_by, ended_at) IN (0, 2));
"""

POLICIES = """
ALTER TABLE trash ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON trash USING (tenant_id = current_tenant());
"""

# An ended rule goes out of the copy of its case, as a new one comes into it.
WATCHED = """
CREATE TRIGGER note_case_of_update AFTER UPDATE ON case_rules
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_case_of();
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON trash TO earwitness_portal;
GRANT SELECT, DELETE ON trash TO earwitness_worker;
GRANT SELECT ON trash TO earwitness_operator;
GRANT UPDATE (ended_by, ended_at) ON case_rules TO earwitness_portal, earwitness_operator;
"""


def upgrade() -> None:
    """Make the table, columns, policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, POLICIES, WATCHED, GRANTS):
        cursor.execute(statements)
    cursor.close()
