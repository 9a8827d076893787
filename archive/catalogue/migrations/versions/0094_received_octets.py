"""What came by each peer for each site, in steps of five minutes, and what exchanges call a session.

The octets of a session are those its recordings were made of; what was archived before this release
has none, as nobody counted them. Names are looked for by equality alone, which row-level security
lets an index answer; that of an array it would not.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0094"
down_revision = "0092"

TABLES = """
ALTER TABLE sessions
    ADD COLUMN site text,
    ADD COLUMN octets bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN exchange_ids text[] NOT NULL DEFAULT '{}';

CREATE TABLE received_octets (
    tenant_id text NOT NULL REFERENCES tenants,
    began_at timestamptz NOT NULL,
    peer_id text NOT NULL,
    site text NOT NULL,
    octets bigint NOT NULL,
    PRIMARY KEY (tenant_id, began_at, peer_id, site)
);

CREATE TABLE session_names (
    session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
    name text NOT NULL,
    tenant_id text REFERENCES tenants,
    PRIMARY KEY (session_id, name)
);
CREATE INDEX session_names_tenant_id_name_idx ON session_names (tenant_id, name);
"""

TRUST = """
ALTER TABLE received_octets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON received_octets USING (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE ON received_octets
    TO earwitness_recorder, earwitness_worker, earwitness_operator;
GRANT SELECT ON received_octets TO earwitness_portal;

ALTER TABLE session_names ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON session_names USING (tenant_id = current_tenant());
CREATE POLICY untenanted ON session_names TO earwitness_recorder, earwitness_operator
    USING (tenant_id IS NULL AND current_tenant() IS NULL);
CREATE POLICY untenanted_asked ON session_names FOR SELECT TO earwitness_owner
    USING (tenant_id IS NULL AND current_tenant() IS NULL);
GRANT SELECT, INSERT ON session_names TO earwitness_recorder, earwitness_operator;
GRANT SELECT ON session_names TO earwitness_portal, earwitness_worker;
"""

FUNCTIONS = """
-- As before, and by what the exchange calls a session too.
CREATE OR REPLACE FUNCTION operated_sessions(term text, before timestamptz, before_id text, rows_max integer)
    RETURNS TABLE (id text, tenant_id text, call_id text, kind text, reason text, started_at timestamptz,
        ended_at timestamptz, recordings integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asker text := current_tenant();
    each text;
BEGIN
    IF NOT operates() THEN RETURN; END IF;
    FOREACH each IN ARRAY ARRAY(SELECT t.id FROM tenants t WHERE NOT t.operates) || ARRAY[NULL::text] LOOP
        PERFORM set_config('app.tenant_id', coalesce(each, ''), true);
        IF term = '' THEN
            RETURN QUERY SELECT s.id, s.tenant_id, s.call_id, s.kind, s.reason, s.started_at, s.ended_at,
                cardinality(s.recording_ids)
            FROM sessions s
            WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL))
                AND (before IS NULL OR (s.started_at, s.id) < (before, before_id))
            ORDER BY s.started_at DESC, s.id DESC LIMIT rows_max;
        ELSE
            RETURN QUERY SELECT s.id, s.tenant_id, s.call_id, s.kind, s.reason, s.started_at, s.ended_at,
                cardinality(s.recording_ids)
            FROM sessions s
            WHERE s.id IN (
                SELECT c.id FROM sessions c
                WHERE (c.tenant_id = each OR (each IS NULL AND c.tenant_id IS NULL))
                    AND (c.call_id = term OR c.id = term)
                UNION ALL
                SELECT n.session_id FROM session_names n
                WHERE (n.tenant_id = each OR (each IS NULL AND n.tenant_id IS NULL)) AND n.name = term
            )
                AND (before IS NULL OR (s.started_at, s.id) < (before, before_id))
            ORDER BY s.started_at DESC, s.id DESC LIMIT rows_max;
        END IF;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;

-- Of each tenant: what came by which peer for which site since a moment.
CREATE FUNCTION operated_octets(since timestamptz)
    RETURNS TABLE (peer_id text, site text, octets bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asker text := current_tenant();
    each text;
BEGIN
    IF NOT operates() THEN RETURN; END IF;
    FOREACH each IN ARRAY ARRAY(SELECT t.id FROM tenants t WHERE NOT t.operates) LOOP
        PERFORM set_config('app.tenant_id', each, true);
        RETURN QUERY SELECT r.peer_id, r.site, sum(r.octets)::bigint FROM received_octets r
            WHERE r.tenant_id = each AND r.began_at >= since GROUP BY r.peer_id, r.site;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;
REVOKE EXECUTE ON FUNCTION operated_octets(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION operated_octets(timestamptz) TO earwitness_portal;
"""


def upgrade() -> None:
    """Make columns, tables, policies and functions, and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, TRUST, FUNCTIONS):
        cursor.execute(statements)
    cursor.close()
