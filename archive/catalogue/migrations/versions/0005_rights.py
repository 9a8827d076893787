"""Rights: membership of teams with its times, rights of people and teams, and why recordings are opened.

What was allowed stays so: `downloads` becomes the right `download`, and who is in a team
already has been since before times were kept.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

PEOPLE = """
ALTER TABLE users
    ADD COLUMN granted text[] NOT NULL DEFAULT '{}',
    ADD COLUMN denied text[] NOT NULL DEFAULT '{}';
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
UPDATE users SET granted = '{download}' WHERE downloads;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
ALTER TABLE users
    DROP COLUMN downloads,
    ADD CHECK (granted <@ ARRAY['download', 'email', 'share', 'evaluate']),
    ADD CHECK (denied <@ ARRAY['download', 'email', 'share', 'evaluate']),
    ADD CHECK (NOT granted && denied);

ALTER TABLE teams
    ADD COLUMN rights text[] NOT NULL DEFAULT '{}'
        CHECK (rights <@ ARRAY['download', 'email', 'share', 'evaluate']),
    ADD COLUMN hears_earlier boolean NOT NULL DEFAULT false;

ALTER TABLE team_members
    ADD COLUMN since timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN until timestamptz,
    ADD CHECK (until > since),
    DROP CONSTRAINT team_members_capacity_check,
    ADD CONSTRAINT team_members_capacity_check CHECK (capacity IN ('listener', 'contributor', 'manager')),
    DROP CONSTRAINT team_members_pkey,
    ADD PRIMARY KEY (team_id, user_id, capacity, since);
ALTER TABLE team_members ALTER COLUMN since DROP DEFAULT;
CREATE UNIQUE INDEX team_members_open_idx ON team_members (team_id, user_id, capacity) WHERE until IS NULL;
CREATE INDEX team_members_user_id_idx ON team_members (user_id);

ALTER TABLE tenant_policies ADD COLUMN purpose_required boolean NOT NULL DEFAULT false;
"""

PURPOSES = """
CREATE TABLE recording_purposes (
    tenant_id text NOT NULL,
    session_id text NOT NULL,
    recording_id text NOT NULL,
    user_id text NOT NULL,
    purpose text NOT NULL,
    stated_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, recording_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX recording_purposes_recording_id_idx ON recording_purposes (recording_id);
CREATE INDEX recording_purposes_user_id_idx ON recording_purposes (user_id);
ALTER TABLE recording_purposes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON recording_purposes USING (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON recording_purposes TO earwitness_portal;
"""


def upgrade() -> None:
    """Change tables, and make one with its policy and rights."""
    cursor = op.get_bind().connection.cursor()
    for statements in (PEOPLE, PURPOSES):
        cursor.execute(statements)
    cursor.close()
