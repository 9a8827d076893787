"""Numbers that are not recorded for one person, beside those of the whole tenant."""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0083"
down_revision = "0085"

COLUMN = """
ALTER TABLE do_not_record ADD COLUMN user_id text;
ALTER TABLE do_not_record
    ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE;
ALTER TABLE do_not_record DROP CONSTRAINT do_not_record_tenant_id_first_last_key;
ALTER TABLE do_not_record ADD CONSTRAINT do_not_record_tenant_id_user_id_first_last_key
    UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, first, last);
"""


def upgrade() -> None:
    """Give entries a person; those there are count for all calls as before."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(COLUMN)
    cursor.close()
