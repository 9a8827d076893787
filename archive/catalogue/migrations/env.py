"""Run by alembic: applies the versions on the connection `archive.catalogue.migrate` hands over."""  # noqa: INP001

from __future__ import annotations

from alembic import context

from archive.catalogue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
