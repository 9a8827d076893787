"""What is known of a clock for certain, the end of large cases, and holds of the store in the making.

A good time is exact, or only a bound: a machine that was restarted does not know how long it
was off. A case that was released lets its recordings go in batches, and tells when it was
through; what a release said stays as it is. `following` marks a recording whose holds in the
store somebody sets or takes off at this moment.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0066"
down_revision = "0068"

TABLES = """
ALTER TABLE retention_clocks ADD COLUMN exact boolean NOT NULL DEFAULT true;
ALTER TABLE cases ADD COLUMN let_go_at timestamptz CHECK (let_go_at IS NULL OR released_at IS NOT NULL);
CREATE INDEX cases_let_go_idx ON cases (tenant_id, released_at)
    WHERE released_at IS NOT NULL AND let_go_at IS NULL;
ALTER TABLE recordings DROP CONSTRAINT recordings_store_hold_check,
    ADD CONSTRAINT recordings_store_hold_check
    CHECK (store_hold IN ('none', 'partly', 'following', 'held'));
"""

TRIGGERS = """
DROP TRIGGER refuse_reopening_case ON cases;
CREATE TRIGGER refuse_reopening_case
    BEFORE UPDATE OF id, tenant_id, name, reason, opened_by, opened_at, release_reason, release_asked_by,
        release_asked_at, released_by, released_at ON cases
    FOR EACH ROW WHEN (OLD.released_at IS NOT NULL) EXECUTE FUNCTION refuse_reopening_case();
"""

GRANTS = """
GRANT UPDATE (let_go_at) ON cases TO earwitness_worker;
GRANT DELETE ON retention_clocks TO earwitness_operator;
"""


def upgrade() -> None:
    """Add columns and values, and let the end of a released case be told."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, TRIGGERS, GRANTS):
        cursor.execute(statements)
    cursor.close()
