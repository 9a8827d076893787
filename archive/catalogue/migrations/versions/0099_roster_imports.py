"""Imports of people as jobs: each row of a file, and what became of it.

A row is settled in the transaction that writes its person. So the worker writes people, as the portal
does: the same tables, and under the same rule that makes no operators.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0099"
down_revision = "0093"

TABLES = """
CREATE TABLE roster_imports (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    user_id text NOT NULL,
    rows integer NOT NULL,
    asked_at timestamptz NOT NULL,
    ended_at timestamptz,
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX roster_imports_tenant_id_asked_at_id_idx ON roster_imports (tenant_id, asked_at, id);

CREATE TABLE roster_rows (
    tenant_id text NOT NULL,
    import_id text NOT NULL,
    place integer NOT NULL,
    line integer NOT NULL,
    login text NOT NULL,
    cells jsonb NOT NULL,
    result text CHECK (result IN ('added', 'changed', 'unchanged', 'refused')),
    reason text NOT NULL,
    PRIMARY KEY (import_id, place),
    FOREIGN KEY (tenant_id, import_id) REFERENCES roster_imports (tenant_id, id) ON DELETE CASCADE
);
"""

FUNCTIONS = """
CREATE OR REPLACE FUNCTION keep_operators_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.role = 'operator') IS DISTINCT FROM
        coalesce((SELECT operates FROM tenants WHERE id = NEW.tenant_id), false) THEN
        RAISE EXCEPTION 'operators, and nobody else, are accounts of a tenant that operates'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.role = 'operator' AND current_user IN ('earwitness_portal', 'earwitness_worker') THEN
        RAISE EXCEPTION 'operators are made by the operator' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
"""

TRUST = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT ON roster_imports, roster_rows TO earwitness_portal;
GRANT SELECT, UPDATE, DELETE ON roster_imports TO earwitness_worker;
GRANT SELECT, UPDATE ON roster_rows TO earwitness_worker;
GRANT INSERT, UPDATE ON users TO earwitness_worker;
GRANT INSERT, UPDATE, DELETE ON user_numbers TO earwitness_worker;
GRANT INSERT ON user_licences TO earwitness_worker;
"""


def upgrade() -> None:
    """Make tables, policies and rights."""
    cursor = op.get_bind().connection.cursor()
    made = ("roster_imports", "roster_rows")
    for statements in (TABLES, FUNCTIONS, *(TRUST.format(table=table) for table in made), GRANTS):
        cursor.execute(statements)
    cursor.close()
