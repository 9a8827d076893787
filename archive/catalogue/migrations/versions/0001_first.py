"""The first tables, with row-level security forced from the start.

Three layers, read from bottom to top: rights per database role (GRANT), rows per
tenant (policies; the owner too, by FORCE), and what nobody may do (triggers that keep
the audit log append-only). `app.tenant_id` is set for one transaction at a time;
without it `current_tenant()` is NULL and equals nothing.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

DIRECTORY = """
CREATE TABLE tenants (
    id text PRIMARY KEY,
    name text NOT NULL,
    domain text NOT NULL CONSTRAINT tenants_domain_key UNIQUE,
    broadworks_service_provider text,
    broadworks_group text,
    CHECK (broadworks_group IS NULL OR broadworks_service_provider IS NOT NULL)
);
CREATE UNIQUE INDEX tenants_broadworks_idx
    ON tenants (broadworks_service_provider, coalesce(broadworks_group, ''))
    WHERE broadworks_service_provider IS NOT NULL;

CREATE TABLE peers (
    id text PRIMARY KEY,
    name text NOT NULL CONSTRAINT peers_name_key UNIQUE,
    addresses text[] NOT NULL,
    tenant_id text REFERENCES tenants,
    dialect text NOT NULL,
    srtp text NOT NULL CHECK (srtp IN ('allow', 'require', 'off')),
    star_codes boolean NOT NULL
);

CREATE TABLE users (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    login text NOT NULL,
    broadworks_id text,
    role text NOT NULL CHECK (role IN ('user', 'administrator', 'auditor')),
    access text NOT NULL CHECK (access IN ('none', 'own')),
    downloads boolean NOT NULL DEFAULT false,
    site text,
    mode text NOT NULL CHECK (mode IN ('always', 'always-pause', 'on-demand', 'on-demand-start', 'never')),
    CONSTRAINT users_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT users_tenant_id_login_key UNIQUE (tenant_id, login),
    CONSTRAINT users_tenant_id_broadworks_id_key UNIQUE (tenant_id, broadworks_id)
);

CREATE TABLE user_numbers (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    first text NOT NULL,
    last text NOT NULL,
    PRIMARY KEY (tenant_id, first),
    CHECK (length(first) = length(last) AND first COLLATE "C" <= last COLLATE "C"),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE user_licences (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    valid_from timestamptz NOT NULL,
    licence text CHECK (licence IN ('90d', '365d', '7y-1000', '7y-3500')),
    PRIMARY KEY (user_id, valid_from),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE user_passwords (
    tenant_id text NOT NULL,
    user_id text PRIMARY KEY,
    password_hash text NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE teams (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    CONSTRAINT teams_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT teams_tenant_id_name_key UNIQUE (tenant_id, name)
);

CREATE TABLE team_members (
    tenant_id text NOT NULL,
    team_id text NOT NULL,
    user_id text NOT NULL,
    capacity text NOT NULL CHECK (capacity IN ('listener', 'contributor')),
    PRIMARY KEY (team_id, user_id, capacity),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, team_id) REFERENCES teams (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE api_clients (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    key_hash text NOT NULL CONSTRAINT api_clients_key_hash_key UNIQUE,
    scopes text[] NOT NULL,
    CONSTRAINT api_clients_tenant_id_name_key UNIQUE (tenant_id, name)
);
"""

RECORDINGS = """
CREATE TABLE recordings (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    session_id text NOT NULL,
    call_id text NOT NULL,
    call_group text NOT NULL,
    state text NOT NULL,
    mode text NOT NULL,
    owner text,
    peer_id text,
    direction text NOT NULL,
    layout text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    recorded_ms bigint NOT NULL,
    retention_class text NOT NULL CHECK (retention_class IN ('90d', '365d', '7y-1000', '7y-3500')),
    retain_until timestamptz NOT NULL,
    spans jsonb NOT NULL,
    packets_received bigint NOT NULL,
    packets_lost bigint NOT NULL,
    packets_duplicated bigint NOT NULL,
    packets_reordered bigint NOT NULL,
    sha256 text NOT NULL,
    channels text[] NOT NULL,
    sample_rate_hz integer NOT NULL,
    flags text[] NOT NULL,
    on_hold boolean NOT NULL,
    site text,
    kek_id text NOT NULL,
    wrapped_key bytea NOT NULL,
    CONSTRAINT recordings_tenant_id_id_key UNIQUE (tenant_id, id)
);
CREATE INDEX recordings_tenant_id_started_at_id_idx ON recordings (tenant_id, started_at, id);
CREATE INDEX recordings_tenant_id_owner_started_at_id_idx ON recordings (tenant_id, owner, started_at, id);
CREATE INDEX recordings_tenant_id_call_group_idx ON recordings (tenant_id, call_group);
CREATE INDEX recordings_retain_until_idx ON recordings (retain_until);

CREATE TABLE recording_objects (
    tenant_id text NOT NULL,
    recording_id text NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    version_id text NOT NULL,
    plaintext_bytes bigint NOT NULL,
    ciphertext_bytes bigint NOT NULL,
    segments bigint NOT NULL,
    plaintext_sha256 text NOT NULL,
    ciphertext_sha256 text NOT NULL,
    commitment text NOT NULL,
    media_type text NOT NULL,
    PRIMARY KEY (recording_id, kind),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE recording_parties (
    tenant_id text NOT NULL,
    recording_id text NOT NULL,
    position integer NOT NULL,
    channel text NOT NULL,
    number text NOT NULL,
    name text NOT NULL,
    user_id text,
    from_ms bigint NOT NULL,
    to_ms bigint,
    PRIMARY KEY (recording_id, position),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX recording_parties_tenant_id_number_idx ON recording_parties (tenant_id, number);

CREATE TABLE sessions (
    id text PRIMARY KEY,
    tenant_id text REFERENCES tenants,
    call_id text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    peer_id text,
    recording_ids text[] NOT NULL,
    trace text[] NOT NULL
);
CREATE INDEX sessions_tenant_id_started_at_id_idx ON sessions (tenant_id, started_at, id);

CREATE TABLE exempt_days (day date PRIMARY KEY, count bigint NOT NULL CHECK (count > 0));
"""

AUDIT = """
CREATE TABLE audit_entries (
    writer text NOT NULL,
    sequence bigint NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    at timestamptz NOT NULL,
    tenant_id text,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    result text NOT NULL,
    body_hash text NOT NULL,
    PRIMARY KEY (writer, sequence)
);
CREATE INDEX audit_entries_tenant_id_object_idx ON audit_entries (tenant_id, object);

CREATE TABLE audit_bodies (
    tenant_id text,
    writer text NOT NULL,
    sequence bigint NOT NULL,
    salt text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (writer, sequence),
    FOREIGN KEY (writer, sequence) REFERENCES audit_entries (writer, sequence)
);

CREATE TABLE audit_writers (writer text PRIMARY KEY, sequence bigint NOT NULL, hash text NOT NULL);
"""

FUNCTIONS = """
CREATE FUNCTION current_tenant() RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('app.tenant_id', true), '') $$;

-- Signing in names a domain before any tenant is known: the one question asked without a tenant.
CREATE FUNCTION tenant_of_domain(asked text) RETURNS text LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT id FROM tenants WHERE domain = asked $$;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

-- The head of a chain moves with its newest entry and by nothing else, so that nobody forks a chain.
CREATE FUNCTION advance_chain() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.sequence = 1 AND NEW.previous_hash = repeat('0', 64) THEN
        INSERT INTO audit_writers VALUES (NEW.writer, 1, NEW.hash);
        RETURN NEW;
    END IF;
    UPDATE audit_writers SET sequence = NEW.sequence, hash = NEW.hash
        WHERE writer = NEW.writer AND sequence = NEW.sequence - 1 AND hash = NEW.previous_hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the entry does not follow the head of its chain'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
"""

TRIGGERS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit_bodies
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON user_licences
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER advance_chain BEFORE INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION advance_chain();
"""

TENANT_TABLES = (
    "users",
    "user_numbers",
    "user_licences",
    "user_passwords",
    "teams",
    "team_members",
    "api_clients",
    "recordings",
    "recording_objects",
    "recording_parties",
    "sessions",
    "audit_entries",
    "audit_bodies",
)

CACHED_TABLES = ("tenants", "peers", "users", "user_numbers", "user_licences")
"""What a recorder must know of every tenant before a call arrives."""

POLICIES = """
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants FOR SELECT USING (id = current_tenant());
CREATE POLICY operator ON tenants TO earwitness_operator USING (true);
CREATE POLICY domain ON tenants FOR SELECT TO earwitness_owner USING (true);

ALTER TABLE peers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON peers FOR SELECT USING (tenant_id = current_tenant());
CREATE POLICY operator ON peers TO earwitness_operator USING (true);

-- A chain is checked over all tenants; its entries hold ids and hashes, the bodies stay the tenant's.
CREATE POLICY chain ON audit_entries FOR SELECT TO earwitness_worker, earwitness_operator USING (true);
-- An operator's act on the whole instance is of no tenant.
CREATE POLICY untenanted ON audit_entries FOR INSERT
    WITH CHECK (tenant_id IS NULL AND current_tenant() IS NULL);
CREATE POLICY untenanted ON audit_bodies FOR INSERT
    WITH CHECK (tenant_id IS NULL AND current_tenant() IS NULL);
-- So is a session that came by a peer of no tenant and named none.
CREATE POLICY untenanted ON sessions TO earwitness_recorder, earwitness_operator
    USING (tenant_id IS NULL AND current_tenant() IS NULL);
"""

GRANTS = """
GRANT USAGE ON SCHEMA public
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
REVOKE EXECUTE ON FUNCTION tenant_of_domain(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_of_domain(text) TO earwitness_portal;

GRANT SELECT ON tenants, peers, users, user_numbers, user_licences
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT INSERT, UPDATE, DELETE ON tenants, peers TO earwitness_operator;
GRANT INSERT, UPDATE, DELETE ON users, user_numbers TO earwitness_portal, earwitness_operator;
GRANT INSERT ON user_licences TO earwitness_portal, earwitness_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_passwords, teams, team_members, api_clients
    TO earwitness_portal, earwitness_operator;

GRANT SELECT, INSERT ON recordings, recording_objects, recording_parties
    TO earwitness_recorder, earwitness_operator;
GRANT SELECT ON recordings, recording_objects, recording_parties TO earwitness_portal;
GRANT SELECT, UPDATE, DELETE ON recordings, recording_objects, recording_parties TO earwitness_worker;
GRANT SELECT, INSERT, UPDATE ON sessions TO earwitness_recorder, earwitness_operator;
GRANT SELECT ON sessions TO earwitness_portal, earwitness_worker;
GRANT SELECT, INSERT, UPDATE ON exempt_days TO earwitness_recorder;
GRANT SELECT ON exempt_days TO earwitness_portal, earwitness_worker, earwitness_operator;

GRANT INSERT ON audit_entries, audit_bodies
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT SELECT ON audit_writers
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT SELECT ON audit_entries, audit_bodies TO earwitness_portal, earwitness_worker, earwitness_operator;
GRANT DELETE ON audit_bodies TO earwitness_worker;
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
    """Make tables, functions, triggers, policies and rights."""
    policies = (
        *map(_tenant_policy, TENANT_TABLES),
        POLICIES,
        *map(_cached_policy, CACHED_TABLES),
    )
    # A bare cursor: the functions hold percent signs, which SQLAlchemy would read as parameters.
    cursor = op.get_bind().connection.cursor()
    for statements in (DIRECTORY, RECORDINGS, AUDIT, FUNCTIONS, TRIGGERS, *policies, GRANTS):
        cursor.execute(statements)
    cursor.close()
