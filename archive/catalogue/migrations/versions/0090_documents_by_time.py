"""Documents are also known by the time of their calls, roughly, for those of a period that have a word.

The index of words tells where thousands of documents lie; together with this one only those of a
period are read. It knows for each 64 pages the first and the last time in them: documents are
written as calls end, so that these are hours. It takes some hundred kilobytes at ten million.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0090"
down_revision = "0098"


def upgrade() -> None:
    """Make the index."""
    op.execute(
        "CREATE INDEX recording_documents_started_at_idx ON recording_documents"
        " USING brin (started_at) WITH (pages_per_range = 64, autosummarize = on)"
    )
