"""The tree over the audit log: where each entry stands in it, its upper nodes, and its checkpoints.

All of it is of the instance: hashes, counts and names of writers, nothing of a tenant.
Rows are never changed or removed; of a checkpoint only where its objects stand is
added, once.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0010"

TREE = """
CREATE TABLE audit_logs (
    number integer PRIMARY KEY CHECK (number > 0),
    origin text NOT NULL,
    begun_at timestamptz NOT NULL,
    reason text NOT NULL
);

CREATE TABLE audit_leaves (
    log integer NOT NULL REFERENCES audit_logs,
    index bigint NOT NULL,
    writer text NOT NULL,
    sequence bigint NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (log, index),
    CONSTRAINT audit_leaves_log_writer_sequence_key UNIQUE (log, writer, sequence)
);

CREATE TABLE audit_nodes (
    log integer NOT NULL REFERENCES audit_logs,
    level integer NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (log, level, index)
);

CREATE TABLE audit_checkpoints (
    log integer NOT NULL REFERENCES audit_logs,
    size bigint NOT NULL CHECK (size > 0),
    first bigint NOT NULL,
    at timestamptz NOT NULL,
    note bytea NOT NULL,
    leaves_version text,
    note_version text,
    token_version text,
    PRIMARY KEY (log, size)
);
CREATE INDEX audit_checkpoints_unpublished_idx ON audit_checkpoints (log, size) WHERE note_version IS NULL;
CREATE INDEX audit_checkpoints_stamped_idx ON audit_checkpoints (log, size) WHERE token_version IS NOT NULL;
"""

TRIGGERS = """
CREATE FUNCTION place_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.log, OLD.size, OLD.first, OLD.at, OLD.note) IS DISTINCT FROM
       (NEW.log, NEW.size, NEW.first, NEW.at, NEW.note)
       OR OLD.leaves_version IS NOT NULL AND OLD.leaves_version IS DISTINCT FROM NEW.leaves_version
       OR OLD.note_version IS NOT NULL AND OLD.note_version IS DISTINCT FROM NEW.note_version
       OR OLD.token_version IS NOT NULL AND OLD.token_version IS DISTINCT FROM NEW.token_version THEN
        RAISE EXCEPTION 'a checkpoint is never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER place_once BEFORE UPDATE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION place_once();
"""

GRANTS = """
GRANT SELECT ON audit_logs, audit_leaves, audit_nodes, audit_checkpoints
    TO earwitness_worker, earwitness_operator, earwitness_portal;
GRANT INSERT ON audit_logs, audit_leaves, audit_nodes, audit_checkpoints TO earwitness_worker;
GRANT INSERT ON audit_logs TO earwitness_operator;
GRANT UPDATE (leaves_version, note_version, token_version) ON audit_checkpoints TO earwitness_worker;
"""


def upgrade() -> None:
    """Make the tables, the triggers that keep them, and the rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TREE, TRIGGERS, GRANTS):
        cursor.execute(statements)
    cursor.close()
