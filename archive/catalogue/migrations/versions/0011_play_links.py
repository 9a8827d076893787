"""Play links: where visits come from, which recordings have one, and programs whose mail waits.

Of the network of a visit a hash is kept that differs from link to link: it says no more
than that two visits of one link came from the same place.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0040"

STATEMENTS = """
ALTER TABLE share_visits ADD COLUMN network text NOT NULL DEFAULT '';

-- Before a file leaves by mail it is asked whether the program that sent it is still there.
GRANT SELECT (id, tenant_id, user_id, scopes) ON api_clients TO earwitness_worker;

-- Recordings with a link are found as such; whether one still works is asked with the time. No tenant
-- is named here, so that forced security would show the owner no row.
ALTER TABLE recording_documents NO FORCE ROW LEVEL SECURITY;
ALTER TABLE shares NO FORCE ROW LEVEL SECURITY;
UPDATE recording_documents SET document = document || $$'#has:share'$$::tsvector
WHERE recording_id IN (SELECT recording_id FROM shares WHERE revoked_at IS NULL);
ALTER TABLE recording_documents FORCE ROW LEVEL SECURITY;
ALTER TABLE shares FORCE ROW LEVEL SECURITY;
"""


def upgrade() -> None:
    """Add the column and the right, and make documents tell of links."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(STATEMENTS)
    cursor.close()
