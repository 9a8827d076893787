"""Annotations: comments, notes, labels and favourites, with every earlier value of each.

Triggers number the changes and keep what was written, so that no program can change an
annotation without its earlier value staying. Only the worker deletes any of it, with the
recording it belongs to.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = """
CREATE TABLE comments (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    recording_id text NOT NULL,
    reply_to text,
    author text NOT NULL,
    made_at timestamptz NOT NULL,
    at_ms bigint NOT NULL CHECK (at_ms >= 0),
    text text NOT NULL,
    deleted boolean NOT NULL,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT comments_recording_id_id_key UNIQUE (recording_id, id),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (recording_id, reply_to) REFERENCES comments (recording_id, id) ON DELETE CASCADE
);
CREATE INDEX comments_recording_id_reply_to_idx ON comments (recording_id, reply_to);

CREATE TABLE notes (
    tenant_id text NOT NULL,
    recording_id text PRIMARY KEY,
    text text NOT NULL,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE labels (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    name_key text NOT NULL,
    colour text NOT NULL,
    shape text NOT NULL,
    retired boolean NOT NULL,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT labels_tenant_id_id_key UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX labels_offered_idx ON labels (tenant_id, name_key) WHERE NOT retired;

CREATE TABLE recording_labels (
    tenant_id text NOT NULL,
    recording_id text NOT NULL,
    label_id text NOT NULL,
    attached boolean NOT NULL,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (recording_id, label_id),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, label_id) REFERENCES labels (tenant_id, id)
);
CREATE INDEX recording_labels_label_id_idx ON recording_labels (label_id);

CREATE TABLE favourites (
    tenant_id text NOT NULL,
    recording_id text NOT NULL,
    user_id text NOT NULL,
    marked boolean NOT NULL,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (recording_id, user_id),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX favourites_user_id_idx ON favourites (user_id);

CREATE TABLE annotation_revisions (
    tenant_id text NOT NULL REFERENCES tenants (id),
    kind text NOT NULL,
    object_id text NOT NULL,
    revision integer NOT NULL,
    recording_id text,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    content jsonb NOT NULL,
    PRIMARY KEY (tenant_id, kind, object_id, revision),
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX annotation_revisions_recording_id_idx ON annotation_revisions (recording_id);
"""

KEPT = {
    "comments": ("comment", "id"),
    "notes": ("note", "recording_id"),
    "labels": ("label", "id"),
    "recording_labels": ("recording-label", "recording_id", "label_id"),
    "favourites": ("favourite", "recording_id", "user_id"),
}
"""The tables whose every value is kept: the word of the revisions, and what their rows are told apart by."""

FUNCTIONS = """
CREATE FUNCTION number_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.revision := 1;
    ELSE
        NEW.revision := OLD.revision + 1;
    END IF;
    RETURN NEW;
END $$;

-- As the owner of the tables: nobody else adds a revision.
CREATE FUNCTION keep_revision() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    written jsonb := to_jsonb(NEW);
    told_apart text := concat_ws('/', written ->> TG_ARGV[1], written ->> TG_ARGV[2]);
BEGIN
    INSERT INTO annotation_revisions
        (tenant_id, kind, object_id, revision, recording_id, changed_by, changed_at, content)
    VALUES (NEW.tenant_id, TG_ARGV[0], told_apart, NEW.revision, written ->> 'recording_id',
            NEW.changed_by, NEW.changed_at,
            written - '{tenant_id,id,recording_id,revision,changed_by,changed_at,name_key}'::text[]);
    RETURN NULL;
END $$;

CREATE FUNCTION refuse_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'revisions are never changed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_revision BEFORE UPDATE OR TRUNCATE ON annotation_revisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_revision();
"""

GRANTS = """
GRANT SELECT ON annotation_revisions TO earwitness_portal;
GRANT SELECT, INSERT ON comments, notes, labels, recording_labels, favourites TO earwitness_portal;
GRANT UPDATE (at_ms, text, deleted, changed_by, changed_at) ON comments TO earwitness_portal;
GRANT UPDATE (text, changed_by, changed_at) ON notes TO earwitness_portal;
GRANT UPDATE (name, name_key, colour, shape, retired, changed_by, changed_at) ON labels TO earwitness_portal;
GRANT UPDATE (attached, changed_by, changed_at) ON recording_labels TO earwitness_portal;
GRANT UPDATE (marked, changed_by, changed_at) ON favourites TO earwitness_portal;
GRANT SELECT, DELETE ON comments, notes, recording_labels, favourites, annotation_revisions
    TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def _triggers(table: str, told: tuple[str, ...]) -> str:
    arguments = ", ".join(f"'{each}'" for each in told)
    return f"""
CREATE TRIGGER number_revision BEFORE INSERT OR UPDATE ON {table}
    FOR EACH ROW EXECUTE FUNCTION number_revision();
CREATE TRIGGER keep_revision AFTER INSERT OR UPDATE ON {table}
    FOR EACH ROW EXECUTE FUNCTION keep_revision({arguments});
"""


def upgrade() -> None:
    """Make tables, policies, triggers and rights."""
    cursor = op.get_bind().connection.cursor()
    policies = (_tenant_policy(table) for table in (*KEPT, "annotation_revisions"))
    triggers = (_triggers(table, told) for table, told in KEPT.items())
    for statements in (TABLES, *policies, FUNCTIONS, *triggers, GRANTS):
        cursor.execute(statements)
    cursor.close()
