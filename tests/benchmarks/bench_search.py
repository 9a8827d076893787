"""How long lists and searches take in a large archive; by hand or by `make bench`.

    python tests/benchmarks/bench_search.py [--rows N] [--rounds N] [--keep DIR]

An embedded PostgreSQL is filled with generated recordings of one tenant, seven years long
(`tests/generated_recordings.py`); that takes most of the time. Then each kind of query is
asked again and again as the portal asks it: the page itself, and what stands beside its rows.
Every round asks for another page, person or number, so that nothing is measured twice from a
cache of answers. The whole page (`GET /recordings`) is asked over HTTP from a portal in this
process, with authentication and its audit entry.

The server has 1 GB of shared buffers. The baseline of the same run reads 51 recordings by
their ids, with their parties: what any list at least takes. Plans are looked at as well: a
query that reads a large table from one end to the other fails the run.

Aims at 1 million (10 million): list and search p50 15 ms, p95 60 ms (25, 150); three filters
and a text in notes p95 150 ms (400).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Never, cast

import psutil
import psycopg
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import make_url, select

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from archive.access import AccessScope, Hearing, Scope
from archive.audit import AuditWriter
from archive.catalogue import accounts, directory, listing, migrate, recordings, tables
from archive.catalogue.engine import Catalogue
from archive.catalogue.lexemes import Facet
from archive.catalogue.recordings import RecordingQuery, Sort
from archive.clock import SystemClock
from archive.embedded.postgres import EmbeddedPostgres
from archive.model import (
    ArchivedRecording,
    Direction,
    ObjectKind,
    RecordingId,
    RecordingMode,
    Role,
    TenantId,
    UserId,
)
from keys.envelope import new_key
from keys.local_keyring import LocalKeyring
from playback_portal.app import create_app
from playback_portal.services import Services
from tests.generated_recordings import COMMON_NAME, COMMON_WORD, DAYS, RARE_NAME, RARE_WORD, USERS, generate
from tests.measured import WARM_UP_ROUNDS, Measured, Rounds, measure, show, show_heads
from tests.query_plans import recorded_plans

MILLION = 1_000_000
PAGE_ROWS = 50
NEWEST = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")
"""Off while the archive is filled: nothing of it outlives the run."""

HTTP_P95_MS_MAX = (60.0, 150.0)
SHARED_BUFFERS = "1GB"
Ask = Callable[[random.Random], object]


@dataclass(frozen=True)
class Asked:
    """One kind of query: its name, what asks it, and the aims for it at one and ten million."""

    name: str
    ask: Ask
    p95_ms_max: tuple[float, float] = (60, 150)


@dataclass(frozen=True)
class Archive:
    """The filled database and who asks."""

    portal: Catalogue
    operator: Catalogue
    tenant_id: TenantId
    count: int
    server_id: int
    server_url: str

    @property
    def auditor(self) -> AccessScope:
        """Who sees everything of the tenant."""
        return AccessScope(self.tenant_id, "user:auditor", Role.AUDITOR, UserId("user-0000"))

    @property
    def listener(self) -> AccessScope:
        """Who hears twelve people since two years ago."""
        since = NEWEST - timedelta(days=730)
        heard = frozenset(Hearing(UserId(f"user-{n:04}"), "team", since) for n in range(40, 52))
        return AccessScope(
            self.tenant_id, "user:x", Role.USER, UserId("x"), team_ids=frozenset({"team"}), heard=heard
        )

    def processes(self) -> list[psutil.Process]:
        """Return who answers: this process, and the server with its backends."""
        server = psutil.Process(self.server_id)
        return [psutil.Process(), server, *server.children(recursive=True)]

    def own(self, number: int) -> AccessScope:
        """Somebody who hears their own recordings."""
        user_id = UserId(f"user-{number:04}")
        return AccessScope(self.tenant_id, f"user:{user_id}", Role.USER, user_id, "own")

    def page(self, scope: AccessScope, query: RecordingQuery, cursor: str | None = None) -> object:
        """Ask for a page and what stands beside its rows, as the list does."""
        return listing.page(self.portal, scope, query, PAGE_ROWS, cursor, now=datetime.now(UTC))


@contextmanager
def filled(folder: Path, count: int) -> Iterator[Archive]:
    """Yield an archive of so many recordings; one that stands in `folder` already is taken as it is."""
    passwords = {role: f"{role}-s3cret" for role in migrate.ROLES}
    server = EmbeddedPostgres(folder / "postgres")
    url = server.start()
    opened: list[Catalogue] = []
    try:
        migrate.prepare(url, passwords)
        give_memory(url)
        server.stop()
        url = server.start()
        opened += [
            Catalogue(server.url(role, passwords[role], migrate.DATABASE), timeout_s=60)
            for role in ("earwitness_portal", "earwitness_operator")
        ]
        portal, operator = opened
        assert server.process_id is not None
        yield Archive(portal, operator, _tenant(url, operator, count), count, server.process_id, url)
    finally:
        for catalogue in opened:
            catalogue.close()
        server.stop()


def give_memory(url: str) -> None:
    """Let the server keep as much in memory as one with an archive of this size should; it counts once restarted."""
    made = make_url(url)
    with psycopg.connect(**made.get_dialect()().create_connect_args(made)[1], autocommit=True) as admin:
        admin.execute(f"ALTER SYSTEM SET shared_buffers TO '{SHARED_BUFFERS}'".encode())
        # Nothing is logged of an index that is made in the transaction that fills its table.
        admin.execute("ALTER SYSTEM SET wal_level TO minimal")
        admin.execute("ALTER SYSTEM SET max_wal_senders TO 0")


def _tenant(url: str, operator: Catalogue, count: int) -> TenantId:
    known = directory.list_tenants(operator)
    if known:
        return known[0].id
    tenant = directory.add_tenant(operator, "Lindekade", "lindekade.example", now=NEWEST)
    began = time.monotonic()
    made = make_url(url).set(database=migrate.DATABASE)
    with psycopg.connect(**made.get_dialect()().create_connect_args(made)[1], autocommit=True) as admin:
        for setting in SETTINGS:
            admin.execute(f"ALTER SYSTEM SET {setting} TO off".encode())
        admin.execute("ALTER SYSTEM SET max_wal_size TO '8GB'")
        admin.execute("SELECT pg_reload_conf()")
        generate(admin, tenant.id, count)
        sizes = admin.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relkind = 'r'"
            " AND relname LIKE 'recording%'"
        ).fetchone()
    gigabytes = 0 if sizes is None else int(sizes[0]) / 1e9
    print(f"filled with {count:,} recordings ({gigabytes:.1f} GB) in {time.monotonic() - began:.0f} s")
    return tenant.id


def questions(archive: Archive) -> list[Asked]:
    """Return what is asked, simplest first."""
    auditor, listener, page = archive.auditor, archive.listener, archive.page

    def anywhere(dice: random.Random) -> str:
        began = NEWEST - timedelta(days=dice.random() * DAYS)
        return recordings.encode_cursor(began, "0")

    def query(**fields: object) -> Callable[[random.Random], object]:
        return lambda _: page(auditor, RecordingQuery(**fields))  # type: ignore[arg-type]

    def number(dice: random.Random) -> str:
        return f"06{dice.randrange(10**7, 9 * 10**7)}"[: dice.choice((8, 10))]

    def three(dice: random.Random) -> object:
        wanted = RecordingQuery(
            direction=dice.choice((Direction.IN, Direction.OUT)),
            mode=dice.choice((RecordingMode.ALWAYS, RecordingMode.ON_DEMAND)),
            has=frozenset({dice.choice((Facet.PAUSE, Facet.GAP, Facet.NOTE))}),
            since=NEWEST - timedelta(days=dice.randrange(30, 900)),
        )
        return page(auditor, wanted)

    def rare_three(dice: random.Random) -> object:
        wanted = RecordingQuery(
            owner=UserId(f"user-{dice.randrange(USERS):04}"),
            has=frozenset({Facet.GAP}),
            duration_ms_min=dice.choice((1_200_000, 3_600_000)),
        )
        return page(auditor, wanted)

    return [
        Asked("newest first", query()),
        Asked("any page", lambda dice: page(auditor, RecordingQuery(), anywhere(dice))),
        Asked("own recordings", lambda dice: page(archive.own(dice.randrange(USERS)), RecordingQuery())),
        Asked("a listener's", lambda dice: page(listener, RecordingQuery())),
        Asked("longest first", query(sort=Sort.LONGEST)),
        Asked("a number", lambda dice: page(auditor, RecordingQuery(text=number(dice)))),
        Asked("4 digits", lambda dice: page(auditor, RecordingQuery(text=str(dice.randrange(1000, 9999))))),
        Asked("everybody's number", query(text="020123")),
        Asked("a common name", query(text=COMMON_NAME)),
        Asked("a rare name", query(text=RARE_NAME)),
        Asked(
            "own, a name",
            lambda dice: page(archive.own(dice.randrange(USERS)), RecordingQuery(text="jansen")),
        ),
        Asked("listener, a name", lambda dice: page(listener, RecordingQuery(text="jansen"))),
        Asked("a word in notes", query(text=COMMON_WORD), (150, 400)),
        Asked(
            "two words",
            lambda dice: page(auditor, RecordingQuery(text=f"offerte woord{dice.randrange(900)}")),
            (150, 400),
        ),
        Asked("a rare word", query(text=RARE_WORD), (150, 400)),
        Asked("nothing there", query(text="qqqqqq"), (150, 400)),
        Asked("three filters", three, (150, 400)),
        Asked("three rare ones", rare_three, (150, 400)),
        Asked("nobody called so", query(direction=Direction.INTERNAL), (150, 400)),
        Asked("on hold", query(on_hold=True)),
        Asked(
            "how many in all",
            lambda dice: listing.count(archive.portal, auditor, RecordingQuery()),
            (150, 400),
        ),
        Asked(
            "how many jansen",
            lambda dice: listing.count(archive.portal, auditor, RecordingQuery(text="jansen")),
            (150, 400),
        ),
    ]


def baseline(archive: Archive) -> Ask:
    """Return what reads 51 recordings by their ids, with their parties: what any list at least takes."""
    tail = recordings.find(archive.portal, archive.auditor, limit=1).items[0].id[8:]

    def ask(dice: random.Random) -> object:
        ids = [f"{dice.randrange(1, archive.count):08x}{tail}" for _ in range(PAGE_ROWS + 1)]
        with archive.portal.transaction(archive.tenant_id) as connection:
            rows = connection.execute(select(tables.recordings).where(tables.recordings.c.id.in_(ids))).all()
            of_these = tables.recording_parties.c.recording_id.in_(ids)
            return rows, connection.execute(select(tables.recording_parties).where(of_these)).all()

    return ask


def scans_of(archive: Archive, ask: Ask) -> set[str]:
    """Return the large tables a query reads from one end to the other."""
    with recorded_plans(archive.portal) as plans:
        ask(random.Random(1))
    return set(itertools.chain.from_iterable(plan.scanned for plan in plans))


class Silent:
    """Plays nothing and sends nothing: the list does neither."""

    def open_object(
        self,
        scope: AccessScope,
        recording_id: RecordingId,
        kind: ObjectKind,
        action: str,
        *,
        purpose: str | None = None,
    ) -> Never:
        raise AssertionError("A list opens no object.")

    def open_archived(
        self,
        scope: AccessScope,
        archived: ArchivedRecording,
        kind: ObjectKind,
        action: str,
        *,
        purpose: str | None = None,
    ) -> Never:
        raise AssertionError("A list opens no object.")

    def send(self, *_: object, **__: object) -> Never:
        raise AssertionError("A list sends no mail.")


def services_of(archive: Archive) -> tuple[Services, dict[str, str]]:
    """Return what a portal of the archive stands on, and the headers of a program that may everything."""
    key = accounts.add_api_client(
        archive.operator, archive.tenant_id, f"bench {time.time()}", tuple(Scope), now=datetime.now(UTC)
    ).key
    services = Services(
        catalogue=archive.portal,
        playback=Silent(),
        audit=AuditWriter(archive.portal, f"portal/bench-{os.getpid()}"),
        clock=SystemClock(),
        checks={},
        root=LocalKeyring(new_key()),
        post=cast("Any", Silent()),
        derivatives=cast("Any", Silent()),
        downloads=cast("Any", Silent()),
    )
    return services, {"Authorization": f"Bearer {key}"}


async def over_http(archive: Archive, rounds: int) -> dict[str, Measured]:
    """Return how long the page takes as a browser asks for it, by what is asked."""
    services, headers = services_of(archive)
    found: dict[str, Measured] = {}
    dice = random.Random(5)
    asked: dict[str, Callable[[], str]] = {
        "GET /recordings": lambda: "/recordings?sort=-start",
        "GET /recordings?q=": lambda: f"/recordings?q=06{dice.randrange(10**5, 10**6)}",
        "GET /v1/recordings": lambda: "/v1/recordings?limit=50",
    }
    async with TestClient(TestServer(create_app(services))) as client:
        for name, path in asked.items():
            counted = Rounds(archive.processes)
            for _ in range(WARM_UP_ROUNDS + rounds):
                with counted.each():
                    answer = await client.get(path(), headers=headers)
                    content = await answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{name}: {answer.status} {content[:300]!r}")
            found[name] = counted.measured()
    return found


def run(archive: Archive, rounds: int) -> tuple[bool, set[str]]:
    """Measure and print the table; return whether every aim was met, and the large tables that were scanned."""
    at_least = baseline(archive)
    base = measure(at_least, rounds, archive.processes)
    show_heads()
    show("51 by their ids", base, base, None)
    met, scanned = True, set[str]()
    for each in questions(archive):
        found = scans_of(archive, each.ask)
        aim = each.p95_ms_max[archive.count > 2 * MILLION]
        remark = f"  scans {', '.join(found)}" if found else ""
        # Beside each row anew: on a shared machine a minute ago is another time.
        base = measure(at_least, rounds, archive.processes)
        met &= show(each.name, measure(each.ask, rounds, archive.processes), base, aim, remark)
        scanned |= found
    for name, measured in asyncio.run(over_http(archive, rounds)).items():
        met &= show(name, measured, base, HTTP_P95_MS_MAX[archive.count > 2 * MILLION])
    return met, scanned


def main() -> int:
    """Measure and print the table; the exit code says whether an aim was missed or a large table scanned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--rows", type=int, default=MILLION, help="recordings; 10000000 take an hour and some 45 GB of disk"
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="a folder in which the filled database stays")
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = options.keep or Path(scratch)
        with filled(folder, options.rows) as archive:
            met, scanned = run(archive, options.rounds)
    print(f"load afterwards: {os.getloadavg()[0]:.2f}")
    if scanned:
        print(f"read from one end to the other: {', '.join(sorted(scanned))}")
    return 0 if met and not scanned else 1


if __name__ == "__main__":
    sys.exit(main())
