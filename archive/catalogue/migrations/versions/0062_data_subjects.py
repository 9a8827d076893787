"""Requests of data subjects: the request and its steps, what was looked for, what is done with each call.

What was found goes with its recording: nobody keeps on a list that somebody was on a call
that is destroyed. How much was found stays, as a number.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0062"
down_revision = "0022"

TABLES = """
CREATE TABLE data_subject_requests (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    kind text NOT NULL CHECK (kind IN ('access', 'erasure', 'objection')),
    state text NOT NULL CHECK (state IN ('taken in', 'identified', 'answered', 'closed')),
    name text NOT NULL,
    contact text NOT NULL,
    received_on date NOT NULL,
    taken_in_by text NOT NULL,
    taken_in_at timestamptz NOT NULL,
    identified_how text,
    identification text,
    identified_by text,
    identified_at timestamptz,
    extension_reason text,
    extended_by text,
    extended_at timestamptz,
    outcome text CHECK (outcome IN ('granted', 'partly', 'refused')),
    ground text,
    answer text,
    answered_by text,
    answered_at timestamptz,
    closing_note text,
    closed_by text,
    closed_at timestamptz,
    reminded text CHECK (reminded IN ('soon', 'overdue')),
    CONSTRAINT data_subject_requests_tenant_id_id_key UNIQUE (tenant_id, id),
    CHECK (num_nonnulls(identified_how, identified_by, identified_at) IN (0, 3)),
    CHECK (num_nonnulls(extension_reason, extended_by, extended_at) IN (0, 3)),
    CHECK (num_nonnulls(outcome, answer, answered_by, answered_at) IN (0, 4)),
    CHECK (outcome IS NULL OR (outcome = 'granted') = (ground IS NULL)),
    CHECK (num_nonnulls(closed_by, closed_at) IN (0, 2)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    -- Nothing is granted to somebody who was not identified.
    CHECK (outcome IS NULL OR outcome = 'refused' OR identified_at IS NOT NULL)
);
CREATE INDEX data_subject_requests_tenant_id_taken_in_at_id_idx
    ON data_subject_requests (tenant_id, taken_in_at, id);
CREATE INDEX data_subject_requests_open_idx ON data_subject_requests (tenant_id, received_on)
    WHERE answered_at IS NULL AND closed_at IS NULL;

CREATE TABLE data_subject_searches (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    request_id text NOT NULL,
    sought_by text NOT NULL CHECK (sought_by IN ('number', 'name', 'user')),
    value text NOT NULL,
    found integer NOT NULL CHECK (found >= 0),
    searched_by text NOT NULL,
    searched_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, request_id) REFERENCES data_subject_requests (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX data_subject_searches_request_id_searched_at_idx
    ON data_subject_searches (request_id, searched_at);

CREATE TABLE data_subject_calls (
    tenant_id text NOT NULL,
    request_id text NOT NULL,
    recording_id text NOT NULL,
    treatment text CHECK (treatment IN ('muted', 'whole', 'left out')),
    reason text,
    chosen_by text,
    chosen_at timestamptz,
    PRIMARY KEY (request_id, recording_id),
    CHECK (num_nonnulls(treatment, chosen_by, chosen_at) IN (0, 3)),
    CHECK (treatment = 'muted' OR (treatment IS NULL) = (reason IS NULL)),
    FOREIGN KEY (tenant_id, request_id) REFERENCES data_subject_requests (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX data_subject_calls_recording_id_idx ON data_subject_calls (recording_id);

ALTER TABLE exports ADD COLUMN request_id text, ADD COLUMN kept jsonb,
    ADD CHECK (num_nonnulls(request_id, kept) IN (0, 2)),
    ADD CONSTRAINT exports_tenant_id_request_id_fkey FOREIGN KEY (tenant_id, request_id)
        REFERENCES data_subject_requests (tenant_id, id) ON DELETE CASCADE;
CREATE INDEX exports_request_id_idx ON exports (request_id);
"""

FUNCTIONS = """
-- Whom the worker reminds: it reads no address of anybody else, and none that was not proved.
CREATE FUNCTION addresses_of_supervisors() RETURNS TABLE (email text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT user_emails.email FROM user_emails JOIN users ON users.id = user_emails.user_id
    WHERE users.tenant_id = current_tenant() AND user_emails.tenant_id = current_tenant()
      AND users.role IN ('administrator', 'auditor') AND user_emails.verified_at IS NOT NULL
$$;
REVOKE ALL ON FUNCTION addresses_of_supervisors() FROM PUBLIC;
"""

TRIGGERS = """
CREATE FUNCTION refuse_changing_closed_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed request stays as it is' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_changing_closed_request BEFORE UPDATE ON data_subject_requests
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION refuse_changing_closed_request();
"""

GRANTS = """
GRANT SELECT, INSERT ON data_subject_requests, data_subject_searches, data_subject_calls
    TO earwitness_portal;
GRANT UPDATE (state, identified_how, identification, identified_by, identified_at,
        extension_reason, extended_by, extended_at, outcome, ground, answer, answered_by, answered_at,
        closing_note, closed_by, closed_at) ON data_subject_requests TO earwitness_portal;
GRANT UPDATE (treatment, reason, chosen_by, chosen_at) ON data_subject_calls TO earwitness_portal;
GRANT SELECT ON data_subject_requests TO earwitness_worker;
GRANT UPDATE (reminded) ON data_subject_requests TO earwitness_worker;
GRANT INSERT ON mails TO earwitness_worker;
GRANT EXECUTE ON FUNCTION addresses_of_supervisors() TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, triggers, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    names = ("data_subject_requests", "data_subject_searches", "data_subject_calls")
    for statements in (TABLES, FUNCTIONS, TRIGGERS, *map(_tenant_policy, names), GRANTS):
        cursor.execute(statements)
    cursor.close()
