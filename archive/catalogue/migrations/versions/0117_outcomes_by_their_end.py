"""Operators count sessions by when they ended: a long call that failed at its end has failed just now."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0117"
down_revision = "0112"

FUNCTIONS = """
CREATE INDEX sessions_tenant_id_ended_at_idx ON sessions (tenant_id, ended_at);

CREATE OR REPLACE FUNCTION operated_outcomes(since timestamptz) RETURNS TABLE (kind text, sessions bigint)
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
                AND s.ended_at >= since
            GROUP BY s.kind;
    END LOOP;
    PERFORM set_config('app.tenant_id', asker, true);
END $$;
"""


def upgrade() -> None:
    """Let the function go by the end of sessions."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(FUNCTIONS)
    cursor.close()
