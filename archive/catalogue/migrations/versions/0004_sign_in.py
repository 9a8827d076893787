"""Signing in: addresses, sessions of browsers, second factors, invitations, single sign-on, throttling.

Sessions end in the database itself when a password or role changes, whoever changes it.
Attempts and answered challenges belong to no tenant, for they are counted before anybody
is known; they hold hashes and times.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
ALTER TABLE user_passwords ADD COLUMN set_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE user_emails (
    tenant_id text NOT NULL,
    user_id text PRIMARY KEY,
    email text NOT NULL,
    verified_at timestamptz,
    CONSTRAINT user_emails_tenant_id_email_key UNIQUE (tenant_id, email),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_emails_email_idx ON user_emails (email);

CREATE TABLE portal_sessions (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    token_hash text NOT NULL CONSTRAINT portal_sessions_token_hash_key UNIQUE,
    stage text NOT NULL CHECK (stage IN ('second-factor', 'enrolment', 'signed-in')),
    proofs text[] NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    address text NOT NULL,
    agent text NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX portal_sessions_user_id_idx ON portal_sessions (user_id);

CREATE TABLE totp_secrets (
    tenant_id text NOT NULL,
    user_id text PRIMARY KEY,
    sealed bytea NOT NULL,
    added_at timestamptz NOT NULL,
    last_step bigint NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE passkeys (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    credential_id bytea NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    name text NOT NULL,
    added_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT passkeys_tenant_id_credential_id_key UNIQUE (tenant_id, credential_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX passkeys_user_id_idx ON passkeys (user_id);

CREATE TABLE recovery_codes (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    code_hash text NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE invitations (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('invitation', 'reset')),
    token_hash text NOT NULL CONSTRAINT invitations_token_hash_key UNIQUE,
    made_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    used_at timestamptz,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX invitations_user_id_idx ON invitations (user_id);

CREATE TABLE identities (
    tenant_id text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id text NOT NULL,
    linked_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX identities_user_id_idx ON identities (user_id);

CREATE TABLE identity_providers (
    tenant_id text PRIMARY KEY REFERENCES tenants,
    issuer text NOT NULL,
    client_id text NOT NULL,
    sealed_secret bytea NOT NULL,
    trusts_second_factor boolean NOT NULL
);

CREATE TABLE sign_in_attempts (
    subject text PRIMARY KEY,
    failures integer NOT NULL CHECK (failures >= 0),
    failed_at timestamptz NOT NULL,
    succeeded_at timestamptz
);
CREATE INDEX sign_in_attempts_failed_at_idx ON sign_in_attempts (failed_at);

CREATE TABLE spent_challenges (
    challenge_hash text PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE INDEX spent_challenges_until_idx ON spent_challenges (until);
"""

TENANT_TABLES = (
    "user_emails",
    "portal_sessions",
    "totp_secrets",
    "passkeys",
    "recovery_codes",
    "invitations",
    "identities",
    "identity_providers",
)

FUNCTIONS = """
-- Signing in by an e-mail address names no tenant: the second question asked without one. Only an
-- address its owner proved counts, so that nobody takes an address by writing it down.
CREATE POLICY address ON user_emails FOR SELECT TO earwitness_owner USING (true);
CREATE FUNCTION accounts_of_email(asked text) RETURNS TABLE (tenant_id text, user_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT e.tenant_id, e.user_id FROM user_emails e
          WHERE e.email = asked AND e.verified_at IS NOT NULL LIMIT 2 $$;
REVOKE EXECUTE ON FUNCTION accounts_of_email(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts_of_email(text) TO earwitness_portal;

-- Whoever changes a password or role ends what was opened before, without having to think of it.
CREATE FUNCTION end_portal_sessions() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM portal_sessions s
        WHERE s.tenant_id = NEW.tenant_id AND s.user_id = to_jsonb(NEW) ->> TG_ARGV[0];
    RETURN NULL;
END $$;
CREATE TRIGGER end_portal_sessions AFTER UPDATE OF role ON users
    FOR EACH ROW WHEN (OLD.role IS DISTINCT FROM NEW.role) EXECUTE FUNCTION end_portal_sessions('id');
-- Hashing the same password anew leaves `set_at` alone.
CREATE TRIGGER end_portal_sessions AFTER INSERT OR UPDATE OF set_at ON user_passwords
    FOR EACH ROW EXECUTE FUNCTION end_portal_sessions('user_id');
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON user_emails, portal_sessions, totp_secrets, passkeys,
    recovery_codes, invitations, identities, sign_in_attempts, spent_challenges TO earwitness_portal;
GRANT SELECT ON identity_providers TO earwitness_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_emails, invitations, identity_providers TO earwitness_operator;
GRANT SELECT, DELETE ON portal_sessions, totp_secrets, passkeys, recovery_codes, identities
    TO earwitness_operator;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, policies, functions and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, *map(_tenant_policy, TENANT_TABLES), FUNCTIONS, GRANTS):
        cursor.execute(statements)
    cursor.close()
