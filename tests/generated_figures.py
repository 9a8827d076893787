"""What reports are made from, beside generated recordings: rollups, minutes, licences, listening, shares, sessions.

The rollups are counted by the very statements that count them when the tables are made, so that
they agree with the recordings; the rest is spread as the recordings are.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, LiteralString

import psycopg

SETTINGS = "SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off"
ROLLUPS = import_module("archive.catalogue.migrations.versions.0078_report_days")

MINUTES: LiteralString = """
INSERT INTO minute_months (tenant_id, user_id, month, booked_s)
SELECT tenant_id, owner, date_trunc('month', started_at AT TIME ZONE 'Europe/Amsterdam')::date,
    sum(recorded_ms) / 1000
FROM recordings WHERE tenant_id = %(tenant)s GROUP BY 1, 2, 3
"""
LICENCES: LiteralString = """
INSERT INTO user_licences (tenant_id, user_id, valid_from, licence)
SELECT tenant_id, id, timestamptz '2019-01-01' + make_interval(years => n),
    CASE n %% 2 WHEN 0 THEN '7y-1000' ELSE '7y-3500' END
FROM users, generate_series(0, 2) n WHERE tenant_id = %(tenant)s
"""
LISTENING: LiteralString = """
INSERT INTO audit_entries
    (writer, sequence, previous_hash, hash, at, tenant_id, actor, action, object, result, body_hash)
SELECT 'generated', row_number() OVER (), repeat('0', 64), repeat('0', 64), started_at + interval '1 hour',
    tenant_id, 'user:' || CASE WHEN random() < 0.5 THEN owner ELSE 'user-0007' END,
    (array['recording.played', 'recording.viewed', 'recording.downloaded'])[1 + floor(random() * 3)::int],
    'recording:' || id, 'ok', repeat('0', 64)
FROM recordings WHERE tenant_id = %(tenant)s AND random() < 0.5
"""
SHARES: LiteralString = """
INSERT INTO shares (id, tenant_id, recording_id, token_hash, user_id, title, from_ms, to_ms, proof, made_at, ends_at)
SELECT 'share-' || id, tenant_id, id, 'token-' || id, owner, '', 0, 1, 'none', started_at,
    started_at + interval '7 days'
FROM recordings WHERE tenant_id = %(tenant)s AND random() < 0.02
"""
OCTETS: LiteralString = """
INSERT INTO received_octets (tenant_id, began_at, peer_id, site, octets)
SELECT tenant_id, step, 'peer-' || abs(hashtext(owner)) %% 3, 'site-' || abs(hashtext(owner)) %% 10,
    sum(2 * 8600 * least(300, extract(epoch FROM ended_at - step)))::bigint
FROM recordings, generate_series(
    date_bin('5 minutes', started_at, '2000-01-01'), ended_at, interval '5 minutes') step
WHERE tenant_id = %(tenant)s AND owner IS NOT NULL AND ended_at > step
GROUP BY 1, 2, 3, 4
"""
SESSIONS: LiteralString = """
INSERT INTO sessions (id, tenant_id, call_id, kind, reason, started_at, ended_at, recording_ids, trace)
SELECT session_id, tenant_id, call_id,
    (array['recorded', 'recorded', 'recorded', 'failed', 'mode never'])[1 + floor(random() * 5)::int], '',
    started_at, ended_at, ARRAY[id], '{}'
FROM recordings WHERE tenant_id = %(tenant)s
"""


def count_up(admin: psycopg.Connection[Any], tenant_id: str) -> None:
    """Fill what reports read for the generated recordings of the only tenant that has any; `admin` is a superuser."""
    values = {"tenant": tenant_id}
    with admin.transaction():
        admin.execute(SETTINGS)
        admin.execute("SELECT setseed(0.5)")
        admin.execute("DELETE FROM report_days; DELETE FROM report_standing")
        admin.execute(ROLLUPS.COUNTED)
        for statement in (MINUTES, LICENCES, LISTENING, SHARES, SESSIONS, OCTETS):
            admin.execute(statement, values)
    admin.execute("VACUUM ANALYZE report_days, report_standing, minute_months, user_licences")
    admin.execute("VACUUM ANALYZE audit_entries, shares, sessions, received_octets")
