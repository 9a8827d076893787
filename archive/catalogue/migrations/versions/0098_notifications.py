"""Notifications: what people are to be told of by mail, and what they chose to be told of.

One row for each thing somebody is told of, settled in the transaction that queues its mail: of two
workers, and before and after a restart, one makes it.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0098"
down_revision = "0084"

TABLES = """
CREATE TABLE notifications (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    user_id text NOT NULL,
    kind text NOT NULL,
    about text NOT NULL,
    recording_id text,
    noted_at timestamptz NOT NULL,
    settled_at timestamptz,
    mailed boolean NOT NULL DEFAULT false,
    UNIQUE (tenant_id, user_id, kind, about),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX notifications_tenant_id_noted_at_id_idx ON notifications (tenant_id, noted_at, id);
CREATE INDEX notifications_recording_id_idx ON notifications (recording_id);

CREATE TABLE notification_choices (
    tenant_id text NOT NULL REFERENCES tenants,
    user_id text NOT NULL,
    wanted jsonb NOT NULL CHECK (jsonb_typeof(wanted) = 'object'),
    language text NOT NULL CHECK (language IN ('nl', 'en')),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
"""

FUNCTIONS = """
-- Whom the worker tells something: it reads no address of anybody else, and none that was not proved.
CREATE FUNCTION addresses_of_notified() RETURNS TABLE (user_id text, email text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT user_emails.user_id, user_emails.email FROM user_emails
    WHERE user_emails.tenant_id = current_tenant() AND user_emails.verified_at IS NOT NULL
      AND EXISTS (SELECT 1 FROM notifications n
          WHERE n.tenant_id = current_tenant() AND n.user_id = user_emails.user_id)
$$;
REVOKE ALL ON FUNCTION addresses_of_notified() FROM PUBLIC;
"""

TRUST = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT ON notifications TO earwitness_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO earwitness_worker;
GRANT SELECT, INSERT, UPDATE ON notification_choices TO earwitness_portal;
GRANT SELECT ON notification_choices TO earwitness_worker;
GRANT EXECUTE ON FUNCTION addresses_of_notified() TO earwitness_worker;
"""


def upgrade() -> None:
    """Make tables, function, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    made = ("notifications", "notification_choices")
    for statements in (TABLES, FUNCTIONS, *(TRUST.format(table=table) for table in made), GRANTS):
        cursor.execute(statements)
    cursor.close()
