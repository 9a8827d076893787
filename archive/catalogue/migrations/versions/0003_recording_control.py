"""Recording control: policies, calls under way, commands to recorders, minutes and events.

`live_calls` and `commands` are spoken by recorders of all tenants: a recorder sees its
calls by node, everyone else by tenant. What the recorder must know before a call
arrives joins the tables it caches.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

DIRECTORY = """
ALTER TABLE users ADD COLUMN own_modes text[] NOT NULL DEFAULT '{}';
ALTER TABLE api_clients ADD COLUMN user_id text,
    ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE;

CREATE TABLE tenant_policies (
    tenant_id text PRIMARY KEY REFERENCES tenants,
    keep_grace_h integer NOT NULL CHECK (keep_grace_h BETWEEN 0 AND 72),
    above_cap text NOT NULL CHECK (above_cap IN ('keep', '90d', 'stop'))
);

CREATE TABLE keep_next (
    tenant_id text NOT NULL,
    user_id text PRIMARY KEY,
    until timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE do_not_record (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    first text NOT NULL,
    last text NOT NULL,
    reason text NOT NULL,
    CONSTRAINT do_not_record_tenant_id_first_last_key UNIQUE (tenant_id, first, last),
    CHECK (length(first) = length(last) AND first COLLATE "C" <= last COLLATE "C")
);

CREATE TABLE exempt_numbers (
    id text PRIMARY KEY,
    tenant_id text REFERENCES tenants,
    number text NOT NULL,
    CONSTRAINT exempt_numbers_tenant_id_number_key UNIQUE NULLS NOT DISTINCT (tenant_id, number)
);
"""

CALLS = """
CREATE UNLOGGED TABLE live_calls (
    recording_id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    session_id text NOT NULL,
    call_id text NOT NULL,
    call_group text NOT NULL,
    node text NOT NULL,
    owner text,
    mode text NOT NULL,
    state text NOT NULL,
    capture text NOT NULL,
    direction text NOT NULL,
    layout text NOT NULL,
    started_at timestamptz NOT NULL,
    paused_at timestamptz,
    grace_until timestamptz,
    parties jsonb NOT NULL
);
CREATE INDEX live_calls_tenant_id_started_at_idx ON live_calls (tenant_id, started_at);
CREATE INDEX live_calls_node_idx ON live_calls (node);

-- Of a call that turned out exempt no octet may stay, not in the log of writes nor in a page of the
-- table: the table is not logged, and made anew without the call.
CREATE FUNCTION erase_live_calls(erased text[]) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    others live_calls[];
BEGIN
    LOCK TABLE live_calls IN ACCESS EXCLUSIVE MODE;
    others := ARRAY(SELECT call FROM live_calls call WHERE recording_id <> ALL (erased));
    TRUNCATE live_calls;
    INSERT INTO live_calls SELECT (call).* FROM unnest(others) call;
END $$;
REVOKE EXECUTE ON FUNCTION erase_live_calls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_live_calls TO earwitness_recorder;

CREATE TABLE commands (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    recording_id text NOT NULL,
    node text NOT NULL,
    verb text NOT NULL CHECK (verb IN ('start', 'stop', 'pause', 'resume', 'keep')),
    actor text NOT NULL,
    issued_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'taken', 'obeyed', 'refused', 'expired')),
    reason text NOT NULL,
    effective_at timestamptz
);
CREATE INDEX commands_node_status_idx ON commands (node, status);
CREATE INDEX commands_tenant_id_recording_id_idx ON commands (tenant_id, recording_id);

CREATE TABLE call_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    recording_id text,
    owner text,
    body jsonb NOT NULL
);
CREATE INDEX call_events_tenant_id_id_idx ON call_events (tenant_id, id);
CREATE INDEX call_events_recording_id_idx ON call_events (recording_id);
"""

MINUTES = """
CREATE TABLE minute_bookings (
    recording_id text PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    month date NOT NULL,
    call_group text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    recorded_s bigint NOT NULL CHECK (recorded_s >= 0),
    booked_s bigint NOT NULL CHECK (booked_s >= 0),
    above_cap boolean NOT NULL,
    retention_class text NOT NULL CHECK (retention_class IN ('90d', '365d', '7y-1000', '7y-3500')),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX minute_bookings_tenant_id_user_id_month_idx ON minute_bookings (tenant_id, user_id, month);

CREATE TABLE minute_months (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    month date NOT NULL,
    booked_s bigint NOT NULL CHECK (booked_s >= 0),
    PRIMARY KEY (user_id, month),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
"""

TENANT_TABLES = (
    "tenant_policies",
    "keep_next",
    "do_not_record",
    "live_calls",
    "commands",
    "call_events",
    "minute_bookings",
    "minute_months",
)
CACHED_TABLES = ("tenant_policies", "keep_next", "do_not_record", "minute_months")
"""What a recorder must know of every tenant before a call arrives."""

POLICIES = """
ALTER TABLE exempt_numbers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON exempt_numbers USING (tenant_id = current_tenant());
CREATE POLICY instance ON exempt_numbers FOR SELECT USING (tenant_id IS NULL);
CREATE POLICY operator ON exempt_numbers TO earwitness_operator USING (true);
CREATE POLICY cached ON exempt_numbers FOR SELECT TO earwitness_recorder, earwitness_worker USING (true);

-- A recorder knows its calls and the commands to it by its node, before it knows a tenant.
CREATE POLICY node ON live_calls TO earwitness_recorder USING (true);
CREATE POLICY node ON commands TO earwitness_recorder USING (true);
CREATE POLICY node ON call_events TO earwitness_recorder USING (true);
-- What is over is swept over all tenants.
-- An erasure keeps the calls of all tenants but the erased ones.
CREATE POLICY kept ON live_calls TO earwitness_owner USING (true);
CREATE POLICY swept ON live_calls FOR ALL TO earwitness_worker USING (true);
CREATE POLICY swept ON commands FOR ALL TO earwitness_worker USING (true);
CREATE POLICY swept ON call_events FOR ALL TO earwitness_worker USING (true);
"""

GRANTS = """
GRANT SELECT ON tenant_policies, keep_next, do_not_record, exempt_numbers, minute_months
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT INSERT, UPDATE, DELETE ON tenant_policies, keep_next, do_not_record, exempt_numbers
    TO earwitness_portal, earwitness_operator;
GRANT DELETE ON keep_next TO earwitness_recorder;
GRANT SELECT, INSERT, UPDATE, DELETE ON live_calls TO earwitness_recorder;
GRANT SELECT ON live_calls TO earwitness_portal, earwitness_worker, earwitness_operator;
GRANT SELECT, UPDATE, DELETE ON commands TO earwitness_recorder;
GRANT SELECT, INSERT, UPDATE ON commands TO earwitness_portal, earwitness_operator;
GRANT DELETE ON live_calls TO earwitness_worker;
GRANT SELECT, DELETE ON commands, call_events TO earwitness_worker;
GRANT SELECT, INSERT, DELETE ON call_events TO earwitness_recorder;
GRANT INSERT ON call_events TO earwitness_worker, earwitness_portal, earwitness_operator;
GRANT SELECT ON call_events TO earwitness_portal, earwitness_operator;
GRANT SELECT, INSERT ON minute_bookings TO earwitness_recorder, earwitness_worker, earwitness_operator;
GRANT SELECT ON minute_bookings TO earwitness_portal;
-- What the quarantine decides changes how a session ended.
GRANT UPDATE ON sessions TO earwitness_worker;
GRANT INSERT, UPDATE ON minute_months TO earwitness_recorder, earwitness_worker, earwitness_operator;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def _cached_policy(table: str) -> str:
    cachers = "earwitness_recorder, earwitness_worker, earwitness_operator"
    return f"CREATE POLICY cached ON {table} FOR SELECT TO {cachers} USING (true);\n"


def upgrade() -> None:
    """Make tables, policies and rights."""
    policies = (*map(_tenant_policy, TENANT_TABLES), POLICIES, *map(_cached_policy, CACHED_TABLES))
    cursor = op.get_bind().connection.cursor()
    for statements in (DIRECTORY, CALLS, MINUTES, *policies, GRANTS):
        cursor.execute(statements)
    cursor.close()
