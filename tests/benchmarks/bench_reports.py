"""How long reports of a month take in a large archive; by hand or by `make bench`.

    python tests/benchmarks/bench_reports.py [--rows N] [--rounds N] [--keep DIR]

The archive is that of `bench_search.py`, and may be the same folder. What reports read is
counted up once: rollups, minutes, listening, shares and sessions (`tests/generated_figures.py`).
Every round asks for another month of the seven years, as the portal asks for it; the page and
its JSON also over HTTP, with authentication and the audit entry. The baseline is that of
`bench_search.py`.

Aim: the month of every person (usage) p95 300 ms at 1 million recordings, 1500 ms at 10 million.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import psycopg
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import make_url

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from archive.catalogue import migrate
from archive.reports.making import Asked, make
from archive.reports.period import Period
from archive.reports.report import GROUPINGS, By, Name
from playback_portal.app import create_app
from tests.benchmarks.bench_search import MILLION, NEWEST, Archive, baseline, filled, services_of
from tests.crowd import add_team
from tests.generated_figures import count_up
from tests.generated_recordings import DAYS
from tests.measured import WARM_UP_ROUNDS, Measured, Rounds, measure, show, show_heads

P95_MS_MAX = (300.0, 1500.0)
MONTHS = DAYS // 31


def counted(archive: Archive) -> None:
    """Fill what reports read, unless it was filled before."""
    made = make_url(archive.server_url).set(database=migrate.DATABASE)
    with psycopg.connect(**made.get_dialect()().create_connect_args(made)[1], autocommit=True) as admin:
        if admin.execute("SELECT 1 FROM minute_months LIMIT 1").fetchone():
            return
        began = time.monotonic()
        add_team(admin, archive.tenant_id)
        count_up(admin, archive.tenant_id)
        print(f"counted up in {time.monotonic() - began:.0f} s")


def month(dice: random.Random) -> Period:
    """Return some whole month of the archive."""
    day = (NEWEST - timedelta(days=31 * dice.randrange(1, MONTHS))).date().replace(day=1)
    following = (day + timedelta(days=31)).replace(day=1)
    return Period(day, following - timedelta(days=1))


def report(archive: Archive, name: Name, by: By) -> Callable[[random.Random], object]:
    """Return what makes a report of some month for who sees everybody."""
    return lambda dice: make(archive.portal, archive.auditor, Asked(name, month(dice), by), now=NEWEST)


def year(archive: Archive) -> Callable[[random.Random], object]:
    """Return what makes the usage of everybody in some year."""

    def ask(dice: random.Random) -> object:
        first = date(2020 + dice.randrange(6), 1, 1)
        asked = Asked(Name.USAGE, Period(first, first.replace(month=12, day=31)), By.USER)
        return make(archive.portal, archive.auditor, asked, now=NEWEST)

    return ask


async def over_http(archive: Archive, rounds: int) -> dict[str, Measured]:
    """Return how long the page and its numbers take as a browser or a program asks for them."""
    services, headers = services_of(archive)
    dice = random.Random(6)
    found: dict[str, Measured] = {}
    async with TestClient(TestServer(create_app(services))) as client:
        for path in ("/reports/usage", "/v1/reports/usage"):
            rows = Rounds(archive.processes)
            for _ in range(WARM_UP_ROUNDS + rounds):
                period = month(dice)
                with rows.each():
                    answer = await client.get(f"{path}?from={period.first}&to={period.last}", headers=headers)
                    content = await answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{path}: {answer.status} {content[:300]!r}")
            found[f"GET {path}"] = rows.measured()
    return found


def run(archive: Archive, rounds: int) -> bool:
    """Measure and print the table; return whether every aim was met."""
    aim = P95_MS_MAX[archive.count > 2 * MILLION]
    at_least = baseline(archive)
    base = measure(at_least, rounds, archive.processes)
    show_heads()
    show("51 by their ids", base, base, None)
    asked = {
        f"{name} by {by}": report(archive, name, by) for name, groups in GROUPINGS.items() for by in groups
    }
    found: list[Measured] = []
    for name, ask in {**asked, "usage of a year": year(archive)}.items():
        base = measure(at_least, rounds, archive.processes)
        found.append(measure(ask, rounds, archive.processes))
        show(name, found[-1], base, aim)
    for name, measured in asyncio.run(over_http(archive, rounds)).items():
        found.append(measured)
        show(name, measured, base, aim)
    return all(each.percentile(0.95) <= aim for each in found)


def main() -> int:
    """Measure and print the table; the exit code says whether an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=MILLION)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="a folder in which the filled database stays")
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f}")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        filled(options.keep or Path(scratch), options.rows) as archive,
    ):
        counted(archive)
        met = run(archive, options.rounds)
    print(f"load afterwards: {os.getloadavg()[0]:.2f}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
