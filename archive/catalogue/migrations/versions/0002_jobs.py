"""Background work: the tables of procrastinate, in a schema of their own.

Jobs carry ids, never names or numbers, and belong to no tenant. procrastinate names
its tables without a schema: who uses them sets `search_path` to `jobs`.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"

USERS = "earwitness_worker, earwitness_portal"


def upgrade() -> None:
    """Make the schema `jobs` and let worker and portal use it."""
    connection = op.get_bind()
    connection.exec_driver_sql("CREATE SCHEMA jobs")
    connection.exec_driver_sql("SET LOCAL search_path TO jobs")
    # Its text holds percent signs and several statements: only a bare cursor takes it as it is.
    cursor = connection.connection.cursor()
    cursor.execute(SchemaManager.get_schema())
    cursor.close()
    connection.exec_driver_sql("SET LOCAL search_path TO public")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA jobs TO {USERS}")
    for kind, rights in (
        ("TABLES", "SELECT, INSERT, UPDATE, DELETE"),
        ("SEQUENCES", "USAGE, SELECT"),
        ("FUNCTIONS", "EXECUTE"),
    ):
        connection.exec_driver_sql(f"GRANT {rights} ON ALL {kind} IN SCHEMA jobs TO {USERS}")
