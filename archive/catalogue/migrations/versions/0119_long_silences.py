"""Recordings are found by a long silence: those that are there have it written into their documents."""  # noqa: INP001

from __future__ import annotations

from typing import Any

import psycopg
from alembic import op

from archive import silence
from archive.catalogue import lexemes
from archive.model import Span, SpanKind

revision = "0119"
down_revision = "0116"

KNOWN = "SELECT id, spans FROM recordings WHERE duration_ms >= %s"

ADD = """
UPDATE recording_documents SET document = document || array_to_tsvector(ARRAY[%s]) WHERE recording_id = %s
"""

BATCH_ROWS = 1000

SEEN_WHOLE = ("recordings", "recording_documents")
"""Read or written here for all tenants; the owner is under their policies else."""


def _is_long(spans: list[dict[str, Any]]) -> bool:
    found = [Span(**{**span, "kind": SpanKind(span["kind"])}) for span in spans]
    return silence.longest_ms(found) >= lexemes.SILENCE_MS_MIN


def _fill(connection: psycopg.Connection[Any]) -> None:
    """Write the facet into the documents of the calls that have it."""
    with connection.cursor("known") as rows, connection.cursor() as cursor:
        rows.execute(KNOWN, (lexemes.SILENCE_MS_MIN,))
        while batch := rows.fetchmany(BATCH_ROWS):
            lexeme = lexemes.Facet.SILENCE.lexeme
            cursor.executemany(ADD, [(lexeme, call_id) for call_id, spans in batch if _is_long(spans)])


def upgrade() -> None:
    """Look through what is there once."""
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor:
        for table in SEEN_WHOLE:
            cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    _fill(connection)
    with connection.cursor() as cursor:
        for table in SEEN_WHOLE:
            cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
