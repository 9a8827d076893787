"""Proposals: what takes two people, who proposed it and who decided.

The database itself lets nobody approve their own proposal, nor change one that was decided
on. A destruction before the term names the proposal it was approved by; how many
recordings one person exports alone is for the tenant to say.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0063"
down_revision = "0066"

TABLES = """
CREATE TABLE proposals (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    kind text NOT NULL CHECK (
        kind IN ('early-destruction', 'key-destruction', 'policy-change', 'role-grant', 'mass-export')
    ),
    subject text NOT NULL,
    parameters jsonb NOT NULL,
    reason text NOT NULL,
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'withdrawn', 'expired')),
    decided_by text,
    decided_at timestamptz,
    CHECK (num_nonnulls(decided_by, decided_at) = CASE state WHEN 'waiting' THEN 0 ELSE 2 END),
    CHECK (state NOT IN ('approved', 'refused') OR decided_by <> proposed_by),
    CHECK (state NOT IN ('approved', 'refused') OR decided_by LIKE 'user:%'),
    CHECK (state <> 'withdrawn' OR decided_by = proposed_by)
);
CREATE INDEX proposals_tenant_id_proposed_at_id_idx ON proposals (tenant_id, proposed_at, id);
-- The same thing is proposed once at a time, and of two who ask at once the second hears it.
CREATE UNIQUE INDEX proposals_waiting_key ON proposals (tenant_id, kind, subject) WHERE state = 'waiting';
CREATE INDEX proposals_approved_idx ON proposals (tenant_id, kind, decided_at) WHERE state = 'approved';

ALTER TABLE exports ADD COLUMN proposal_id text;
ALTER TABLE destructions ADD COLUMN proposal_id text;
ALTER TABLE tenant_policies ADD COLUMN exports_alone_max integer NOT NULL DEFAULT 100
    CHECK (exports_alone_max BETWEEN 0 AND 10000);
"""

TRIGGERS = """
CREATE FUNCTION refuse_deciding_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a proposal is decided on once' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_deciding_again BEFORE UPDATE ON proposals
    FOR EACH ROW WHEN (OLD.state <> 'waiting') EXECUTE FUNCTION refuse_deciding_again();
"""

POLICIES = """
ALTER TABLE proposals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON proposals USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT ON proposals TO earwitness_portal, earwitness_operator;
GRANT SELECT ON proposals TO earwitness_worker;
GRANT UPDATE (state, decided_by, decided_at) ON proposals
    TO earwitness_portal, earwitness_operator, earwitness_worker;
"""


def upgrade() -> None:
    """Make the table, its trigger, policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, TRIGGERS, POLICIES, GRANTS):
        cursor.execute(statements)
    cursor.close()
