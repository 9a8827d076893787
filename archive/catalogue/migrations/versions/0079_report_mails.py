"""Reports by mail: who gets which one when, and which period was sent already.

A period of a subscription has one row, made in the transaction that queues its mail: of two
schedulers, and before and after a restart, one makes it.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0079"
down_revision = "0083"

TABLES = """
CREATE TABLE report_subscriptions (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    user_id text NOT NULL,
    report text NOT NULL,
    team_id text,
    frequency text NOT NULL CHECK (frequency IN ('daily', 'weekly', 'monthly')),
    hour integer NOT NULL CHECK (hour BETWEEN 0 AND 23),
    form text NOT NULL CHECK (form IN ('csv', 'xlsx', 'pdf')),
    language text NOT NULL CHECK (language IN ('nl', 'en')),
    made_at timestamptz NOT NULL,
    CONSTRAINT report_subscriptions_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT report_subscriptions_user_id_report_team_id_frequency_key
        UNIQUE NULLS NOT DISTINCT (user_id, report, team_id, frequency),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, team_id) REFERENCES teams (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX report_subscriptions_tenant_id_idx ON report_subscriptions (tenant_id);

CREATE TABLE report_sendings (
    tenant_id text NOT NULL,
    subscription_id text NOT NULL,
    first_day date NOT NULL,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (subscription_id, first_day),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES report_subscriptions (tenant_id, id) ON DELETE CASCADE
);
"""

FUNCTIONS = """
-- Whom the worker mails reports: it reads no address of anybody else, and none that was not proved.
CREATE FUNCTION addresses_of_subscribers() RETURNS TABLE (user_id text, email text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT user_emails.user_id, user_emails.email FROM user_emails
    WHERE user_emails.tenant_id = current_tenant() AND user_emails.verified_at IS NOT NULL
      AND EXISTS (SELECT 1 FROM report_subscriptions s
          WHERE s.tenant_id = current_tenant() AND s.user_id = user_emails.user_id)
$$;
REVOKE ALL ON FUNCTION addresses_of_subscribers() FROM PUBLIC;
"""

TRUST = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON report_subscriptions TO earwitness_portal;
GRANT SELECT ON report_subscriptions TO earwitness_worker;
GRANT SELECT, INSERT, DELETE ON report_sendings TO earwitness_worker;
GRANT SELECT ON report_sendings TO earwitness_portal;
GRANT EXECUTE ON FUNCTION addresses_of_subscribers() TO earwitness_worker;
"""


def upgrade() -> None:
    """Make tables, function, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    made = ("report_subscriptions", "report_sendings")
    for statements in (TABLES, FUNCTIONS, *(TRUST.format(table=table) for table in made), GRANTS):
        cursor.execute(statements)
    cursor.close()
