"""Many recordings at once, made by the database itself: for plans of searches and for measuring them.

They are spread over seven years as a tenant of some hundred people has them: most numbers
and names occur a few times, some very often, a few once. Documents hold what
`archive.catalogue.lexemes` would make of them (a test compares a few).
"""

from __future__ import annotations

from typing import LiteralString

import psycopg

USERS = 200
DAYS = 7 * 365
OWN_NUMBER = "+3120123"
"""All people of the tenant have numbers that begin so; who searches for it finds everything."""

RARE_NAME, COMMON_NAME = "Zonnebloem", "Jansen"
RARE_WORD, COMMON_WORD = "dakgoot", "offerte"

SETTINGS = "SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off"

NAMES: LiteralString = """
CREATE TEMP TABLE names AS
SELECT name, (SELECT array_agg(substr(name, at)) FROM generate_series(1, length(name) - 2) at) AS endings
FROM (SELECT 'naam' || n AS name FROM generate_series(0, 19999) n
      UNION ALL VALUES ('zonnebloem'), ('jansen')) AS given
"""

CALLS: LiteralString = """
CREATE TEMP TABLE calls AS
SELECT g,
    lpad(to_hex(g), 8, '0') || '-0000-7000-8000-' || right(md5(%(tenant)s), 12) AS id,
    timestamptz '2026-11-22 09:00+00' - make_interval(secs => g::float8 / %(count)s * %(days)s * 86400)
        AS started_at,
    'user-' || lpad((floor(power(random(), 2) * %(users)s))::int::text, 4, '0') AS owner,
    '316' || lpad((floor(power(random(), 3) * 90000000))::int::text, 8, '0') AS outside,
    '3120123' || lpad((floor(random() * %(users)s))::int::text, 4, '0') AS own,
    CASE WHEN g %% 5000 = 7 THEN 'zonnebloem' WHEN random() < 0.02 THEN 'jansen'
         ELSE 'naam' || (floor(power(random(), 2) * 20000))::int END AS name,
    CASE WHEN random() < 0.7 THEN 'in' ELSE 'out' END AS direction,
    (array['always', 'always-pause', 'on-demand'])[1 + floor(power(random(), 2) * 3)::int] AS mode,
    (10000 + power(random(), 4) * 5400000)::bigint AS duration_ms,
    random() < 0.06 AS noted, random() < 0.2 AS paused, random() < 0.01 AS gap, g %% 997 = 1 AS on_hold
FROM generate_series(1, %(count)s) g
"""

RECORDINGS: LiteralString = """
INSERT INTO recordings
SELECT id, %(tenant)s, 's-' || id, 'c-' || id || '@192.0.2.7', 'g-' || id, 'available', mode, owner, NULL,
    direction, 'two-party', started_at, started_at + make_interval(secs => duration_ms / 1000.0),
    duration_ms, duration_ms, '7y-1000', started_at + interval '7 years', '[]', 1000, 0, 0, 0,
    repeat('ab', 32), '{a,b}', 8000, '{}', on_hold, NULL, 'kek', '\\x00'
FROM calls ORDER BY started_at
"""

PARTIES: LiteralString = """
INSERT INTO recording_parties (tenant_id, recording_id, position, channel, number, name, user_id, from_ms)
SELECT %(tenant)s, id, position, CASE position WHEN 0 THEN 'a' ELSE 'b' END,
    '+' || CASE position WHEN 0 THEN outside ELSE own END, CASE position WHEN 0 THEN name ELSE '' END, NULL, 0
FROM calls, (VALUES (0), (1)) AS sides (position)
"""

DOCUMENTS: LiteralString = """
INSERT INTO recording_documents (tenant_id, recording_id, started_at, document)
SELECT %(tenant)s, id, started_at, array_to_tsvector(
    endings
    || ARRAY[substr(outside, 1), substr(outside, 2), substr(outside, 3), substr(outside, 4),
             substr(outside, 5), substr(outside, 6), substr(outside, 7), substr(outside, 8),
             substr(outside, 9), '0' || substr(outside, 3)]
    || ARRAY[substr(own, 1), substr(own, 2), substr(own, 3), substr(own, 4), substr(own, 5),
             substr(own, 6), substr(own, 7), substr(own, 8), substr(own, 9), '0' || substr(own, 3)]
    || ARRAY['#id:' || id, '#id:c-' || id || '@192.0.2.7', '#id:s-' || id, '#mode:' || mode,
             '#direction:' || direction, '#owner:' || owner]
    || CASE WHEN paused THEN ARRAY['#has:pause'] ELSE '{}' END
    || CASE WHEN gap THEN ARRAY['#has:gap'] ELSE '{}' END
    || CASE WHEN noted THEN ARRAY['#has:note', 'offertes', 'offert', 'woord' || g %% 3000,
                                  'woord' || g %% 1000, 'woord' || g %% 77] ELSE '{}' END
    || CASE WHEN g %% 20000 = 11 THEN ARRAY['#has:note', 'dakgoot'] ELSE '{}' END)
FROM calls JOIN names USING (name) ORDER BY started_at
"""

WAVEFORMS: LiteralString = """
INSERT INTO recording_waveforms (tenant_id, recording_id, lanes, levels)
SELECT %(tenant)s, id, 2, decode(repeat('40', 240), 'hex') FROM calls ORDER BY started_at
"""

PEOPLE: LiteralString = """
INSERT INTO users (id, tenant_id, login, role, access, mode)
SELECT 'user-' || lpad(n::text, 4, '0'), %(tenant)s, 'user' || n, 'user', 'own', 'always'
FROM generate_series(0, %(users)s - 1) n
"""


TABLES = ("recordings", "recording_parties", "recording_documents", "recording_waveforms")

PLAIN_INDEXES: LiteralString = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY (%s::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
"""Those that hold no constraint, and how each is made."""


def generate(admin: psycopg.Connection[tuple[object, ...]], tenant_id: str, count: int) -> None:
    """Insert `count` recordings of one tenant with all that is found by; `admin` is a superuser.

    Indexes are made anew behind them, which takes a tenth of the time.
    """
    values = {"tenant": tenant_id, "count": count, "days": DAYS, "users": USERS}
    with admin.transaction():
        admin.execute(SETTINGS)
        indexes = admin.execute(PLAIN_INDEXES, (list(TABLES),)).fetchall()
        for name, _ in indexes:
            admin.execute(f"DROP INDEX {name}".encode())
        admin.execute("SELECT setseed(0.4)")
        admin.execute("SET LOCAL work_mem = '256MB'")
        for statement in (NAMES, CALLS, PEOPLE, RECORDINGS, PARTIES, DOCUMENTS, WAVEFORMS):
            admin.execute(statement, values)
        admin.execute("DROP TABLE calls, names")
        # What doesn't fit is merged into the index again and again.
        admin.execute("SET LOCAL maintenance_work_mem = '3GB'")
        admin.execute("SET LOCAL max_parallel_maintenance_workers = 2")
        for _, definition in indexes:
            admin.execute(str(definition).encode())
    for table in (*TABLES, "users"):
        admin.execute(f"VACUUM ANALYZE {table}".encode())
