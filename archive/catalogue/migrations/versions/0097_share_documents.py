"""Play links are found by the words of their titles by an index, as recordings are by their documents.

The words of the links that are there already are written down here.
"""  # noqa: INP001

from __future__ import annotations

from typing import Any

import psycopg
from alembic import op

from archive.catalogue import lexemes

revision = "0097"
down_revision = "0106"

COLUMN = "ALTER TABLE shares ADD COLUMN document tsvector NOT NULL DEFAULT ''"

INDEX = """
CREATE INDEX shares_document_idx ON shares USING gin (document) WITH (gin_pending_list_limit = 512);
ALTER TABLE shares ALTER COLUMN document SET STATISTICS 300;
"""

VIEW = """
-- As `searchable` is to the documents of recordings: under a policy no index is asked for words.
CREATE POLICY searched ON shares FOR SELECT TO earwitness_owner USING (true);
CREATE VIEW searchable_shares AS SELECT id, document FROM shares WHERE tenant_id = searched_tenant();
GRANT SELECT ON searchable_shares TO earwitness_portal, earwitness_operator;
"""

BATCH_ROWS = 1000


def _fill(connection: psycopg.Connection[Any]) -> None:
    """Write the words of the titles that are there."""
    with connection.cursor("titles") as rows, connection.cursor() as cursor:
        rows.execute("SELECT id, title FROM shares WHERE title <> ''")
        while batch := rows.fetchmany(BATCH_ROWS):
            cursor.executemany(
                "UPDATE shares SET document = array_to_tsvector(%s) WHERE id = %s",
                [(sorted(lexemes.of_name(title)), share_id) for share_id, title in batch],
            )


def upgrade() -> None:
    """Add the column with its index, fill it, and let the portal ask for words by a view."""
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE shares NO FORCE ROW LEVEL SECURITY")
        cursor.execute(COLUMN)
    _fill(connection)
    with connection.cursor() as cursor:
        cursor.execute(INDEX)
        cursor.execute("ALTER TABLE shares FORCE ROW LEVEL SECURITY")
        cursor.execute(VIEW)
