"""Operators: their role, the tenant they are accounts of, and what they may know of the whole instance.

Operators are accounts of a tenant of their own (`tenants.operates`), in which nobody else is; only
the operator's database role makes one. What they see of other tenants are the answers of the
functions here, counts and outcomes: to whoever asks within a tenant that does not operate they
answer nothing, and no policy lets a row of a tenant out.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0084"
down_revision = "0079"

ROLES = """
ALTER TABLE tenants ADD COLUMN operates boolean NOT NULL DEFAULT false;
ALTER TABLE users DROP CONSTRAINT users_role_check;
ALTER TABLE users ADD CONSTRAINT users_role_check
    CHECK (role IN ('user', 'administrator', 'auditor', 'operator'));

-- As whoever writes, so that the rule knows who that is.
CREATE FUNCTION keep_operators_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.role = 'operator') IS DISTINCT FROM
        coalesce((SELECT operates FROM tenants WHERE id = NEW.tenant_id), false) THEN
        RAISE EXCEPTION 'operators, and nobody else, are accounts of a tenant that operates'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.role = 'operator' AND current_user = 'earwitness_portal' THEN
        RAISE EXCEPTION 'operators are made by the operator' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_operators_apart BEFORE INSERT OR UPDATE OF role, tenant_id ON users
    FOR EACH ROW EXECUTE FUNCTION keep_operators_apart();
"""

FACTS = """
-- What a recorder says of itself with each beat; NULL is what it did not say.
ALTER TABLE recorder_nodes
    ADD COLUMN version text,
    ADD COLUMN recordings bigint,
    ADD COLUMN waiting bigint,
    ADD COLUMN waiting_since timestamptz,
    ADD COLUMN journal_bytes bigint,
    ADD COLUMN journal_since timestamptz,
    ADD COLUMN unready_reason text;

CREATE TABLE known_moments (
    name text NOT NULL,
    node text NOT NULL,
    moment timestamptz,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (name, node)
);
GRANT SELECT, INSERT, UPDATE ON known_moments
    TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;

CREATE INDEX sessions_tenant_id_call_id_idx ON sessions (tenant_id, call_id);
-- A session of no tenant is nobody's but the operator's to explain.
CREATE POLICY untenanted_asked ON sessions FOR SELECT TO earwitness_owner
    USING (tenant_id IS NULL AND current_tenant() IS NULL);
"""

FUNCTIONS = """
CREATE FUNCTION operates() RETURNS boolean LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT coalesce((SELECT operates FROM tenants WHERE id = current_tenant()), false) $$;

-- Each tenant is asked within itself: what counts here is under row-level security as everything is.
CREATE FUNCTION operated_tenants(since date)
    RETURNS TABLE (id text, name text, domain text, people bigint, recordings bigint, size_bytes bigint,
        recorded_s bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asker text := current_tenant();
    each record;
BEGIN
    IF NOT operates() THEN RETURN; END IF;
    FOR each IN SELECT t.id, t.name, t.domain FROM tenants t WHERE NOT t.operates ORDER BY t.domain LOOP
        PERFORM set_config('app.tenant_id', each.id, true);
        RETURN QUERY SELECT each.id, each.name, each.domain,
            (SELECT count(*) FROM users u WHERE u.tenant_id = each.id AND u.left_at IS NULL),
            coalesce(stands.recordings, 0)::bigint, coalesce(stands.size_bytes, 0)::bigint,
            (SELECT coalesce(sum(d.recorded_s), 0)::bigint FROM report_days d
                WHERE d.tenant_id = each.id AND d.team_id = '' AND d.day >= since)
        FROM (SELECT sum(s.recordings) AS recordings, sum(s.size_bytes) AS size_bytes
            FROM report_standing s WHERE s.tenant_id = each.id AND s.team_id = '') stands;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;

-- Sessions by their own id or the peer's, or the newest before a moment; no trace, and nobody's name.
CREATE FUNCTION operated_sessions(term text, before timestamptz, before_id text, rows_max integer)
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
            WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL))
                AND (s.call_id = term OR s.id = term)
                AND (before IS NULL OR (s.started_at, s.id) < (before, before_id))
            ORDER BY s.started_at DESC, s.id DESC LIMIT rows_max;
        END IF;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;

CREATE FUNCTION operated_outcomes(since timestamptz) RETURNS TABLE (kind text, sessions bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asker text := current_tenant();
    each text;
BEGIN
    IF NOT operates() THEN RETURN; END IF;
    FOREACH each IN ARRAY ARRAY(SELECT t.id FROM tenants t WHERE NOT t.operates) || ARRAY[NULL::text] LOOP
        PERFORM set_config('app.tenant_id', coalesce(each, ''), true);
        RETURN QUERY SELECT s.kind, count(*) FROM sessions s
            WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL))
                AND s.started_at >= since
            GROUP BY s.kind;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;

REVOKE EXECUTE ON FUNCTION operates(), operated_tenants(date),
    operated_sessions(text, timestamptz, text, integer), operated_outcomes(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION operates(), operated_tenants(date),
    operated_sessions(text, timestamptz, text, integer), operated_outcomes(timestamptz) TO earwitness_portal;
"""


def upgrade() -> None:
    """Make role, columns, table and functions, and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (ROLES, FACTS, FUNCTIONS):
        cursor.execute(statements)
    cursor.close()
