"""Cases: what is under a legal hold, why, and who asked for its end.

A recording is held while a case that was not released has it. Triggers keep that true
whatever a program does: nobody takes a hold away behind the cases, and nobody destroys
what is held (migration 0020).
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0031"

TABLES = """
CREATE TABLE cases (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    reason text NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamptz NOT NULL,
    release_reason text,
    release_asked_by text,
    release_asked_at timestamptz,
    released_by text,
    released_at timestamptz,
    CONSTRAINT cases_tenant_id_id_key UNIQUE (tenant_id, id),
    CHECK (num_nonnulls(release_reason, release_asked_by, release_asked_at) IN (0, 3)),
    CHECK (num_nonnulls(released_by, released_at) IN (0, 2)),
    CHECK (released_by IS NULL OR release_asked_by IS NOT NULL),
    CHECK (released_by <> release_asked_by)
);
CREATE INDEX cases_tenant_id_opened_at_id_idx ON cases (tenant_id, opened_at, id);

CREATE TABLE case_recordings (
    tenant_id text NOT NULL,
    case_id text NOT NULL,
    recording_id text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (case_id, recording_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES cases (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX case_recordings_recording_id_idx ON case_recordings (recording_id);

CREATE TABLE case_rules (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    case_id text NOT NULL,
    user_id text,
    number text,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    CHECK (num_nonnulls(user_id, number) = 1),
    FOREIGN KEY (tenant_id, case_id) REFERENCES cases (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX case_rules_case_id_idx ON case_rules (case_id);

-- What is known of the store's own holds: none stands, some may, or all do and were read back.
ALTER TABLE recordings ADD COLUMN store_hold text NOT NULL DEFAULT 'none'
    CHECK (store_hold IN ('none', 'partly', 'held'));
CREATE INDEX recordings_store_hold_idx ON recordings (tenant_id, id)
    WHERE (on_hold AND store_hold <> 'held') OR (NOT on_hold AND store_hold <> 'none');
"""

TRIGGERS = """
CREATE FUNCTION refuse_forgetting_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM case_recordings held JOIN cases ON cases.id = held.case_id
               WHERE held.recording_id = NEW.id AND cases.released_at IS NULL) THEN
        RAISE EXCEPTION 'a case holds this recording' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_forgetting_hold BEFORE UPDATE OF on_hold ON recordings
    FOR EACH ROW WHEN (OLD.on_hold AND NOT NEW.on_hold) EXECUTE FUNCTION refuse_forgetting_hold();

CREATE FUNCTION refuse_reopening_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a released case stays as it is' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_reopening_case BEFORE UPDATE ON cases
    FOR EACH ROW WHEN (OLD.released_at IS NOT NULL) EXECUTE FUNCTION refuse_reopening_case();
"""

GRANTS = """
GRANT SELECT, INSERT ON cases, case_recordings, case_rules TO earwitness_portal;
GRANT UPDATE (release_reason, release_asked_by, release_asked_at, released_by, released_at)
    ON cases TO earwitness_portal;
GRANT UPDATE (on_hold) ON recordings TO earwitness_portal;
GRANT SELECT ON cases, case_rules TO earwitness_recorder, earwitness_worker, earwitness_operator;
GRANT SELECT, INSERT ON case_recordings TO earwitness_recorder, earwitness_worker, earwitness_operator;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, triggers, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    policies = map(_tenant_policy, ("cases", "case_recordings", "case_rules"))
    for statements in (TABLES, TRIGGERS, *policies, GRANTS):
        cursor.execute(statements)
    cursor.close()
