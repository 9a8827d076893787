"""Play links with the visits of who listens, what tenants decide of them, and mails that wait to be sent.

What proves a visitor stands here as a hash that needs the link itself to be tried; what
a mail says is sealed by the root, so that the database alone opens no link.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = """
CREATE TABLE shares (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    recording_id text NOT NULL,
    token_hash text NOT NULL CONSTRAINT shares_token_hash_key UNIQUE,
    user_id text,
    client_id text REFERENCES api_clients ON DELETE CASCADE,
    title text NOT NULL,
    from_ms bigint NOT NULL CHECK (from_ms >= 0),
    to_ms bigint NOT NULL CHECK (to_ms > from_ms),
    proof text NOT NULL CHECK (proof IN ('none', 'pin', 'email')),
    recipient text CHECK (proof <> 'email' OR recipient IS NOT NULL),
    code_hash text,
    code_ends_at timestamptz,
    made_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    revoked_at timestamptz,
    plays_max integer CHECK (plays_max > 0),
    plays integer NOT NULL DEFAULT 0 CHECK (plays >= 0),
    played_at timestamptz,
    free_at timestamptz,
    object_key text,
    version_id text,
    plaintext_bytes bigint,
    ciphertext_bytes bigint,
    segments bigint,
    plaintext_sha256 text,
    ciphertext_sha256 text,
    commitment text,
    CHECK (num_nonnulls(user_id, client_id) = 1),
    CHECK (num_nonnulls(object_key, version_id, plaintext_bytes, ciphertext_bytes, segments,
        plaintext_sha256, ciphertext_sha256, commitment) IN (0, 8)),
    CONSTRAINT shares_tenant_id_id_key UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX shares_tenant_id_made_at_id_idx ON shares (tenant_id, made_at, id);
CREATE INDEX shares_recording_id_idx ON shares (recording_id);
CREATE INDEX shares_user_id_idx ON shares (user_id);

CREATE TABLE share_visits (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    share_id text NOT NULL,
    token_hash text NOT NULL CONSTRAINT share_visits_token_hash_key UNIQUE,
    opened_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    counted_at timestamptz,
    sent_bytes bigint NOT NULL DEFAULT 0,
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX share_visits_share_id_idx ON share_visits (share_id);

CREATE TABLE share_policies (
    tenant_id text PRIMARY KEY REFERENCES tenants,
    links_allowed boolean NOT NULL,
    days_max integer NOT NULL CHECK (days_max > 0),
    proof_required boolean NOT NULL,
    files_allowed boolean NOT NULL
);

CREATE TABLE mails (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    recording_id text,
    actor text NOT NULL,
    kind text NOT NULL,
    recipient text NOT NULL,
    language text NOT NULL,
    sealed bytea,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    queued_at timestamptz NOT NULL,
    settled_at timestamptz,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX mails_tenant_id_queued_at_id_idx ON mails (tenant_id, queued_at, id);
CREATE INDEX mails_recording_id_idx ON mails (recording_id);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON shares, share_policies TO earwitness_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON share_visits TO earwitness_portal;
GRANT SELECT, INSERT ON mails TO earwitness_portal, earwitness_operator;
GRANT SELECT, INSERT, UPDATE ON share_policies TO earwitness_operator;
GRANT SELECT, UPDATE ON shares TO earwitness_worker;
GRANT SELECT, DELETE ON share_visits TO earwitness_worker;
GRANT SELECT, UPDATE, DELETE ON mails TO earwitness_worker;
-- Before a recording leaves by mail it is asked once more whether it may.
GRANT SELECT ON teams, team_members, share_policies TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    tables = ("shares", "share_visits", "share_policies", "mails")
    for statements in (TABLES, *map(_tenant_policy, tables), GRANTS):
        cursor.execute(statements)
    cursor.close()
