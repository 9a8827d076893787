"""Ending a legal duty takes two people: the operator proposes, somebody of the tenant approves.

A net stands behind the programs: no duty ends without a proposal about it that was approved, and
nothing else of a duty is changed.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0075"
down_revision = "0077"

KINDS = """
ALTER TABLE proposals DROP CONSTRAINT proposals_kind_check;
ALTER TABLE proposals ADD CONSTRAINT proposals_kind_check CHECK (
    kind IN ('early-destruction', 'key-destruction', 'policy-change', 'role-grant', 'mass-export', 'duty-end')
);
"""

TRIGGER = """
CREATE FUNCTION refuse_ending_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NULL AND NOT EXISTS (
        SELECT FROM proposals
        WHERE tenant_id = OLD.tenant_id AND kind = 'duty-end' AND subject = 'duty:' || OLD.id
            AND state = 'approved'
    ) THEN
        RAISE EXCEPTION 'a duty is ended by two people' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_ending_alone BEFORE UPDATE ON legal_duties
    FOR EACH ROW EXECUTE FUNCTION refuse_ending_alone();
"""

GRANTS = """
REVOKE UPDATE ON legal_duties FROM earwitness_operator;
GRANT UPDATE (ended_by, ended_at) ON legal_duties TO earwitness_portal;
"""


def upgrade() -> None:
    """Allow the kind, make the trigger and change rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (KINDS, TRIGGER, GRANTS):
        cursor.execute(statements)
    cursor.close()
