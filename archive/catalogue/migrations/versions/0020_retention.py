"""Destruction of what expired: claims and certificates, and the clocks it goes by.

A net stands behind the programs: a recording under a hold is never on its way out.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0011"

TABLES = """
CREATE TABLE destructions (
    recording_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    session_id text NOT NULL,
    former_state text NOT NULL,
    retention_class text NOT NULL,
    retain_until timestamptz NOT NULL,
    kek_id text NOT NULL,
    claim text NOT NULL,
    claimed_at timestamptz NOT NULL,
    claimed_until timestamptz NOT NULL,
    objects jsonb,
    entries jsonb NOT NULL,
    objects_gone_at timestamptz,
    destroyed_at timestamptz,
    certificate bytea,
    signature bytea,
    CHECK (objects_gone_at IS NULL OR objects IS NOT NULL),
    CHECK (num_nonnulls(destroyed_at, certificate, signature) IN (0, 3)),
    CHECK (destroyed_at IS NULL OR objects_gone_at IS NOT NULL)
);
CREATE INDEX destructions_unfinished_idx ON destructions (tenant_id, claimed_until)
    WHERE destroyed_at IS NULL;
CREATE INDEX destructions_tenant_id_destroyed_at_idx ON destructions (tenant_id, destroyed_at);

CREATE TABLE retention_clocks (
    node text PRIMARY KEY,
    at timestamptz NOT NULL,
    boot_id text NOT NULL,
    uptime_s double precision NOT NULL,
    ignored_until timestamptz
);

CREATE INDEX recordings_due_idx ON recordings (tenant_id, retain_until)
    WHERE state IN ('available', 'partial', 'failed') AND NOT on_hold;
"""

TRIGGERS = """
CREATE FUNCTION refuse_deleting_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a legal hold keeps this recording' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_deleting_held BEFORE UPDATE ON recordings
    FOR EACH ROW WHEN (NEW.on_hold AND NEW.state IN ('deleting', 'destroyed'))
    EXECUTE FUNCTION refuse_deleting_held();
CREATE TRIGGER refuse_removing_held BEFORE DELETE ON recordings
    FOR EACH ROW WHEN (OLD.on_hold) EXECUTE FUNCTION refuse_deleting_held();
"""

POLICIES = """
ALTER TABLE destructions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON destructions USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT INSERT ON recordings TO earwitness_worker;
GRANT DELETE ON minute_bookings TO earwitness_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON destructions TO earwitness_worker;
GRANT SELECT ON destructions TO earwitness_portal, earwitness_operator, earwitness_recorder;
GRANT SELECT, INSERT, UPDATE ON retention_clocks TO earwitness_worker, earwitness_operator;
GRANT SELECT ON retention_clocks TO earwitness_recorder, earwitness_portal;
"""


def upgrade() -> None:
    """Make tables, triggers, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, TRIGGERS, POLICIES, GRANTS):
        cursor.execute(statements)
    cursor.close()
