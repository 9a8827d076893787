"""What a customer wrote on the do-not-record list is told to nobody who operates.

Why a session was not recorded holds the reason of the entry, in the customer's own words: whose doctor
it is, or whose lawyer. Operators are told that it was by such a list, and not by which words.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0102"
down_revision = "0110"

FUNCTIONS = """
CREATE FUNCTION operated_reason(reason text) RETURNS text LANGUAGE sql IMMUTABLE
    SET search_path = public, pg_temp
    AS $$ SELECT CASE WHEN starts_with(reason, 'a party is on the do-not-record list')
        THEN 'a party is on the do-not-record list' ELSE reason END $$;

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
            RETURN QUERY SELECT s.id, s.tenant_id, s.call_id, s.kind, operated_reason(s.reason),
                s.started_at, s.ended_at, cardinality(s.recording_ids)
            FROM sessions s
            WHERE (s.tenant_id = each OR (each IS NULL AND s.tenant_id IS NULL))
                AND (before IS NULL OR (s.started_at, s.id) < (before, before_id))
            ORDER BY s.started_at DESC, s.id DESC LIMIT rows_max;
        ELSE
            RETURN QUERY SELECT s.id, s.tenant_id, s.call_id, s.kind, operated_reason(s.reason),
                s.started_at, s.ended_at, cardinality(s.recording_ids)
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

REVOKE EXECUTE ON FUNCTION operated_reason(text) FROM PUBLIC;
"""


def upgrade() -> None:
    """Let the function leave those words out."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(FUNCTIONS)
    cursor.close()
