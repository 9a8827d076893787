"""Files of people that are imported, and what became of each row."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from archive.catalogue.tables.columns import maybe, metadata, of_user, tenant, time, word

roster_imports = Table(
    "roster_imports",
    metadata,
    Column("id", Text, primary_key=True),
    tenant(),
    word("user_id"),
    Column("rows", Integer, nullable=False),
    time("asked_at"),
    time("ended_at", nullable=True),
    UniqueConstraint("tenant_id", "id"),
    of_user(),
    Index(None, "tenant_id", "asked_at", "id"),
)

roster_rows = Table(
    "roster_rows",
    metadata,
    word("tenant_id"),
    word("import_id"),
    Column("place", Integer, nullable=False),
    Column("line", Integer, nullable=False),
    word("login"),
    Column("cells", JSONB, nullable=False),
    maybe("result"),
    word("reason"),
    PrimaryKeyConstraint("import_id", "place"),
    ForeignKeyConstraint(
        ["tenant_id", "import_id"], ["roster_imports.tenant_id", "roster_imports.id"], ondelete="CASCADE"
    ),
)
