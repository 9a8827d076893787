"""Finding: a document per recording with its index, small waveforms, kept searches and views.

Documents of recordings that are there already are made here; nobody had written on them yet.
"""  # noqa: INP001

from __future__ import annotations

from typing import Any

import psycopg
from alembic import op
from psycopg.rows import dict_row

from archive.catalogue import lexemes
from archive.model import Direction, Party, RecordingMode, Span, SpanKind

revision = "0006"
down_revision = "0005"

TABLES = """
CREATE TABLE recording_documents (
    tenant_id text NOT NULL,
    recording_id text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    document tsvector NOT NULL,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX recording_documents_tenant_id_started_at_recording_id_idx
    ON recording_documents (tenant_id, started_at, recording_id);
-- What was added last is looked through without the index: no more than a moment's worth.
CREATE INDEX recording_documents_document_idx ON recording_documents
    USING gin (document) WITH (gin_pending_list_limit = 512);
-- How often a word occurs decides how a page is found; the default knows too few of them.
ALTER TABLE recording_documents ALTER COLUMN document SET STATISTICS 300;

CREATE TABLE recording_waveforms (
    tenant_id text NOT NULL,
    recording_id text PRIMARY KEY,
    lanes integer NOT NULL,
    levels bytea NOT NULL,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE saved_searches (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    shared boolean NOT NULL,
    saved_at timestamptz NOT NULL,
    CONSTRAINT saved_searches_tenant_id_user_id_name_key UNIQUE (tenant_id, user_id, name),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE last_views (
    tenant_id text NOT NULL,
    user_id text PRIMARY KEY,
    query text NOT NULL,
    seen_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX recordings_tenant_id_duration_ms_id_idx ON recordings (tenant_id, duration_ms, id);
CREATE INDEX recordings_on_hold_idx ON recordings (tenant_id, started_at, id) WHERE on_hold;
"""

TENANT_TABLES = ("recording_documents", "recording_waveforms", "saved_searches", "last_views")

VIEW = """
-- Under a policy a document can't be looked for by its index (the operator is not leakproof). So the
-- tables' owner sees them all, and gives those of the tenant of the transaction by a view.
CREATE POLICY searched ON recording_documents FOR SELECT TO earwitness_owner USING (true);
-- By a name of its own, and not in SQL: the planner would see that it equals the tenant of the
-- recordings, take their policy over to the documents, and be where it was.
CREATE FUNCTION searched_tenant() RETURNS text LANGUAGE plpgsql STABLE
    AS $$ BEGIN RETURN current_tenant(); END $$;
CREATE VIEW searchable AS
    SELECT recording_id, started_at, document FROM recording_documents WHERE tenant_id = searched_tenant();
"""

TRIGGERS = """
-- A recording in quarantine gets its owner later.
CREATE FUNCTION follow_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE recording_documents
        SET document = ts_delete(document, '#owner:' || coalesce(OLD.owner, ''))
            || CASE WHEN NEW.owner IS NULL THEN '' ELSE array_to_tsvector(ARRAY['#owner:' || NEW.owner]) END
        WHERE recording_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_owner AFTER UPDATE OF owner ON recordings
    FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION follow_owner();
"""

GRANTS = """
GRANT SELECT ON searchable TO earwitness_recorder, earwitness_portal, earwitness_worker, earwitness_operator;
GRANT SELECT, INSERT, UPDATE ON recording_documents TO earwitness_recorder, earwitness_operator;
GRANT SELECT, INSERT, UPDATE ON recording_documents TO earwitness_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON recording_documents TO earwitness_worker;
GRANT SELECT, INSERT ON recording_waveforms TO earwitness_recorder, earwitness_operator, earwitness_portal;
GRANT SELECT, INSERT, DELETE ON recording_waveforms TO earwitness_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON saved_searches, last_views TO earwitness_portal;
"""

KNOWN = """
SELECT r.tenant_id, r.id, r.owner, r.session_id, r.call_id, r.mode, r.direction, r.spans, r.started_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(p.channel, p.number, p.name)), '[]')
        FROM recording_parties p WHERE p.recording_id = r.id) AS parties
FROM recordings r
"""

ADD = """
INSERT INTO recording_documents (tenant_id, recording_id, started_at, document)
VALUES (%s, %s, %s, array_to_tsvector(%s))
"""

BATCH_ROWS = 1000

SEEN_WHOLE = ("recordings", "recording_parties", "recording_documents")
"""Read or filled here for all tenants; the owner is under their policies else."""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def _document(row: dict[str, Any]) -> tuple[object, ...]:
    found = lexemes.of_call(
        (row["id"], row["call_id"], row["session_id"]),
        [Party(*party) for party in row["parties"]],
        [Span(**{**span, "kind": SpanKind(span["kind"])}) for span in row["spans"]],
        RecordingMode(row["mode"]),
        Direction(row["direction"]),
    )
    if row["owner"] is not None:
        found.add(lexemes.of_owner(row["owner"]))
    return row["tenant_id"], row["id"], row["started_at"], sorted(found)


def _fill(connection: psycopg.Connection[Any]) -> None:
    """Make the documents of the recordings that are there."""
    with connection.cursor("known", row_factory=dict_row) as rows, connection.cursor() as cursor:
        rows.execute(KNOWN)
        while batch := rows.fetchmany(BATCH_ROWS):
            cursor.executemany(ADD, [_document(row) for row in batch])


def upgrade() -> None:
    """Make tables, policies, the view and rights; and the documents of what is there."""
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    cursor = connection.cursor()
    for statements in (TABLES, *map(_tenant_policy, TENANT_TABLES), VIEW, TRIGGERS, GRANTS):
        cursor.execute(statements)
    for table in SEEN_WHOLE:
        cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    _fill(connection)
    for table in SEEN_WHOLE:
        cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    cursor.close()
