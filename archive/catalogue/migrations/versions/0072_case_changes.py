"""Which cases changed since their copy in the bucket was written.

A row comes with every change of a case, in its transaction, by triggers: no program can forget
it. It goes when the copy says what it says.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0072"
down_revision = "0081"

TABLE = """
CREATE TABLE case_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL,
    case_id text NOT NULL,
    FOREIGN KEY (tenant_id, case_id) REFERENCES cases (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX case_changes_tenant_id_case_id_idx ON case_changes (tenant_id, case_id);
"""

TRIGGERS = """
CREATE FUNCTION note_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO case_changes (tenant_id, case_id) SELECT DISTINCT tenant_id, id FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION note_case_of() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO case_changes (tenant_id, case_id) SELECT DISTINCT tenant_id, case_id FROM changed;
    RETURN NULL;
END $$;
"""

WATCHED = (
    ("cases", "note_case", ("INSERT", "UPDATE")),
    ("case_rules", "note_case_of", ("INSERT",)),
    ("case_people", "note_case_of", ("INSERT", "UPDATE")),
    ("case_recordings", "note_case_of", ("INSERT",)),
)

# The cases there are have no copy yet.
FIRST = """
ALTER TABLE cases NO FORCE ROW LEVEL SECURITY;
INSERT INTO case_changes (tenant_id, case_id) SELECT tenant_id, id FROM cases WHERE let_go_at IS NULL;
ALTER TABLE cases FORCE ROW LEVEL SECURITY;
"""

POLICY = """
ALTER TABLE case_changes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON case_changes USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT INSERT ON case_changes TO earwitness_portal, earwitness_recorder, earwitness_operator;
GRANT SELECT, INSERT, DELETE ON case_changes TO earwitness_worker;
GRANT INSERT ON case_rules, case_people TO earwitness_operator;
GRANT UPDATE (removed_by, removed_at) ON case_people TO earwitness_operator;
"""


def upgrade() -> None:
    """Make table, triggers, policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLE, TRIGGERS, *_triggers(), FIRST, POLICY, GRANTS):
        cursor.execute(statements)
    cursor.close()


def _triggers() -> list[str]:
    return [
        f"CREATE TRIGGER {function}_{event.lower()} AFTER {event} ON {table} "
        f"REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        for table, function, events in WATCHED
        for event in events
    ]
