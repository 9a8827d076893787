"""Peers are set in the portal too, by operators; no address is of two of them, nor near another tenant's.

Who can claim an address gets the calls of whoever sends from it, so that a trigger decides, whatever
program writes. Operators write within their own tenant; to any other the policies show its own peers
and take none. How a session was carried stands with its outcome.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0093"
down_revision = "0101"

PEERS = """
ALTER TABLE peers ADD COLUMN enabled boolean NOT NULL DEFAULT true;

-- As whoever asks: operators see every peer, and to nobody else the policies let a row in.
CREATE FUNCTION addresses_taken(peer text, owner text, ours text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM peers other, unnest(other.addresses) their, unnest(ours) our
        WHERE other.id <> peer AND (their::cidr = our::cidr
            OR (other.tenant_id <> owner AND their::inet && our::inet))
    )
$$;
CREATE FUNCTION keep_addresses_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('peers', 1));
    IF addresses_taken(NEW.id, NEW.tenant_id, NEW.addresses) THEN
        RAISE EXCEPTION 'an address belongs to another peer'
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'peers_addresses_apart';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_addresses_apart BEFORE INSERT OR UPDATE OF addresses, tenant_id ON peers
    FOR EACH ROW EXECUTE FUNCTION keep_addresses_apart();

CREATE POLICY operated ON peers TO earwitness_portal
    USING ((SELECT operates())) WITH CHECK ((SELECT operates()));
GRANT INSERT, UPDATE, DELETE ON peers TO earwitness_portal;
"""

CALLS = """
ALTER TABLE sessions ADD COLUMN transport text NOT NULL DEFAULT '';
CREATE INDEX sessions_tenant_id_peer_id_started_at_idx ON sessions (tenant_id, peer_id, started_at);
CREATE INDEX recordings_quarantined_idx ON recordings (tenant_id, peer_id) WHERE state = 'quarantined';

-- Of each tenant, and of calls of none: when the last came by which peer, and how many since a moment.
CREATE FUNCTION operated_peer_calls(since timestamptz)
    RETURNS TABLE (peer_id text, last_at timestamptz, transport text, today bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asker text := current_tenant();
    each text;
BEGIN
    IF NOT operates() THEN RETURN; END IF;
    FOREACH each IN ARRAY ARRAY(SELECT t.id FROM tenants t WHERE NOT t.operates) || ARRAY[NULL::text] LOOP
        PERFORM set_config('app.tenant_id', coalesce(each, ''), true);
        -- From peer to peer by the index: what lies between the newest sessions of two is passed over.
        RETURN QUERY WITH RECURSIVE found AS (
            (SELECT s.peer_id, s.started_at, s.transport FROM sessions s
                WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL)) AND s.peer_id IS NOT NULL
                ORDER BY s.peer_id DESC, s.started_at DESC LIMIT 1)
            UNION ALL
            SELECT following.* FROM found CROSS JOIN LATERAL (
                SELECT s.peer_id, s.started_at, s.transport FROM sessions s
                WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL))
                    AND s.peer_id < found.peer_id
                ORDER BY s.peer_id DESC, s.started_at DESC LIMIT 1) following
        )
        SELECT found.peer_id, found.started_at, found.transport,
            (SELECT count(*) FROM sessions s
                WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL))
                    AND s.peer_id = found.peer_id AND s.started_at >= since)
        FROM found;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;
REVOKE EXECUTE ON FUNCTION operated_peer_calls(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION operated_peer_calls(timestamptz) TO earwitness_portal;
"""


def upgrade() -> None:
    """Make column, trigger, policy, indexes and function, and give the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (PEERS, CALLS):
        cursor.execute(statements)
    cursor.close()
