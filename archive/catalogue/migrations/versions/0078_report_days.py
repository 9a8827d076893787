"""What reports add up: figures of each person and local day, and what stands of each person now.

The rows are numbers alone and outlive the recordings they were counted from, as the minutes
do. They are kept by the transactions that archive, assign and destroy recordings; what was
archived before this release is counted here, once.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0078"
down_revision = "0069"

TABLES = """
CREATE TABLE report_days (
    tenant_id text NOT NULL REFERENCES tenants,
    team_id text NOT NULL,
    day date NOT NULL,
    user_id text NOT NULL,
    recordings bigint NOT NULL,
    incoming bigint NOT NULL,
    outgoing bigint NOT NULL,
    duration_s bigint NOT NULL,
    recorded_s bigint NOT NULL,
    paused bigint NOT NULL,
    pauses bigint NOT NULL,
    paused_ms bigint NOT NULL,
    size_bytes bigint NOT NULL,
    below_30s bigint NOT NULL,
    below_1m bigint NOT NULL,
    below_2m bigint NOT NULL,
    below_5m bigint NOT NULL,
    below_10m bigint NOT NULL,
    below_30m bigint NOT NULL,
    below_1h bigint NOT NULL,
    destroyed bigint NOT NULL,
    destroyed_bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, team_id, day, user_id)
);
CREATE INDEX report_days_tenant_id_user_id_team_id_day_idx ON report_days (tenant_id, user_id, team_id, day);

CREATE TABLE report_standing (
    tenant_id text NOT NULL REFERENCES tenants,
    team_id text NOT NULL,
    user_id text NOT NULL,
    recordings bigint NOT NULL,
    size_bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, team_id, user_id)
);
-- Who listened is counted from the entries of playing and downloading alone.
CREATE INDEX audit_entries_heard_idx ON audit_entries (tenant_id, at)
    WHERE action IN ('recording.played', 'recording.downloaded');
"""

# Row-level security binds the owner too, who has no tenant here.
OPEN = "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;"
CLOSE = "ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
READ = ("recordings", "recording_objects", "team_members")

COUNTED = """
CREATE TEMP TABLE counted ON COMMIT DROP AS
SELECT r.tenant_id, r.id, r.owner AS user_id, team.team_id,
    (r.started_at AT TIME ZONE 'Europe/Amsterdam')::date AS day,
    r.direction, r.duration_ms / 1000 AS duration_s, r.duration_ms, r.recorded_ms / 1000 AS recorded_s,
    paused.pauses, paused.paused_ms,
    COALESCE((SELECT sum(o.ciphertext_bytes) FROM recording_objects o
        WHERE o.tenant_id = r.tenant_id AND o.recording_id = r.id), 0) AS size_bytes
FROM recordings r
CROSS JOIN LATERAL (
    SELECT count(*) AS pauses, COALESCE(sum(upper(stretch) - lower(stretch)), 0) AS paused_ms
    FROM (SELECT unnest(range_agg(int8range((span ->> 'from_ms')::bigint, (span ->> 'to_ms')::bigint)))
            AS stretch
        FROM jsonb_array_elements(r.spans) span
        WHERE span ->> 'kind' = 'pause' AND (span ->> 'to_ms')::bigint > (span ->> 'from_ms')::bigint
    ) merged
) paused
CROSS JOIN LATERAL (
    SELECT '' AS team_id
    UNION
    SELECT m.team_id FROM team_members m
    WHERE m.tenant_id = r.tenant_id AND m.user_id = r.owner AND m.capacity = 'contributor'
        AND m.since <= r.started_at AND (m.until IS NULL OR m.until > r.started_at)
) team
WHERE r.owner IS NOT NULL AND r.state NOT IN ('unkept', 'grace', 'quarantined');

INSERT INTO report_days
SELECT tenant_id, team_id, day, user_id, count(*),
    count(*) FILTER (WHERE direction = 'in'), count(*) FILTER (WHERE direction = 'out'),
    sum(duration_s), sum(recorded_s),
    count(*) FILTER (WHERE pauses > 0), sum(pauses), sum(paused_ms), sum(size_bytes),
    count(*) FILTER (WHERE duration_ms < 30000), count(*) FILTER (WHERE duration_ms < 60000),
    count(*) FILTER (WHERE duration_ms < 120000), count(*) FILTER (WHERE duration_ms < 300000),
    count(*) FILTER (WHERE duration_ms < 600000), count(*) FILTER (WHERE duration_ms < 1800000),
    count(*) FILTER (WHERE duration_ms < 3600000), 0, 0
FROM counted GROUP BY tenant_id, team_id, day, user_id;

INSERT INTO report_standing
SELECT tenant_id, team_id, user_id, count(*), sum(size_bytes) FROM counted GROUP BY 1, 2, 3;
"""

TRUST = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON report_days, report_standing
    TO earwitness_recorder, earwitness_worker, earwitness_operator;
GRANT SELECT ON report_days, report_standing TO earwitness_portal;
-- In which teams somebody was when a call began.
GRANT SELECT ON team_members TO earwitness_recorder;
"""


def upgrade() -> None:
    """Make the tables, count what there is, and make policies and rights."""
    cursor = op.get_bind().connection.cursor()
    made = ("report_days", "report_standing")
    for statements in (
        TABLES,
        *(OPEN.format(table=table) for table in READ),
        COUNTED,
        *(CLOSE.format(table=table) for table in READ),
        *(TRUST.format(table=table) for table in made),
        GRANTS,
    ):
        cursor.execute(statements)
    cursor.close()
