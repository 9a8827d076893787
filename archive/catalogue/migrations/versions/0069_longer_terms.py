"""Terms that are made longer: what the store and the keys have still to follow.

A net stands behind the programs: the portal shortens no term.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0069"
down_revision = "0067"

COLUMN = """
ALTER TABLE recordings ADD COLUMN term_behind boolean NOT NULL DEFAULT false;
CREATE INDEX recordings_term_behind_idx ON recordings (tenant_id, id) WHERE term_behind;
"""

TRIGGER = """
CREATE FUNCTION refuse_shortening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a term is never made shorter' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_shortening BEFORE UPDATE OF retain_until ON recordings
    FOR EACH ROW WHEN (NEW.retain_until < OLD.retain_until AND current_user = 'earwitness_portal')
    EXECUTE FUNCTION refuse_shortening();
"""

GRANTS = """
GRANT UPDATE (retain_until, term_behind) ON recordings TO earwitness_portal;
"""


def upgrade() -> None:
    """Make column, trigger and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (COLUMN, TRIGGER, GRANTS):
        cursor.execute(statements)
    cursor.close()
