"""Why customers record: purposes, legal basis and notice in versions that nobody changes; and the idle time.

Who records already keeps doing so without a version: none is made up for them.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0095"
down_revision = "0100"

TABLES = """
CREATE TABLE recording_grounds (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    purposes text[] NOT NULL CHECK (cardinality(purposes) BETWEEN 1 AND 10),
    legal_basis text NOT NULL CHECK (legal_basis IN (
        'consent', 'contract', 'legal-obligation', 'vital-interests', 'public-task', 'legitimate-interest'
    )),
    balancing text NOT NULL CHECK ((balancing <> '') = (legal_basis = 'legitimate-interest')),
    notice_nl text NOT NULL CHECK (notice_nl <> ''),
    notice_en text NOT NULL CHECK (notice_en <> ''),
    told_by text[] NOT NULL CHECK (cardinality(told_by) >= 1),
    standard boolean NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL
);
CREATE INDEX recording_grounds_tenant_id_registered_at_id_idx
    ON recording_grounds (tenant_id, registered_at, id);
ALTER TABLE recording_grounds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON recording_grounds USING (tenant_id = current_tenant());

ALTER TABLE tenant_policies ADD COLUMN idle_minutes integer NOT NULL DEFAULT 30
    CHECK (idle_minutes BETWEEN 5 AND 120);
"""

GRANTS = """
GRANT SELECT, INSERT ON recording_grounds TO earwitness_portal, earwitness_operator;
GRANT SELECT ON recording_grounds TO earwitness_worker;
"""


def upgrade() -> None:
    """Make the table and the column, and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, GRANTS):
        cursor.execute(statements)
    cursor.close()
