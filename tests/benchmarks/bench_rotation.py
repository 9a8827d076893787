"""How long keys take to give way to their next version while people listen; by hand or by `make bench`.

    python tests/benchmarks/bench_rotation.py [--rows N]

A whole service with its embedded PostgreSQL and object store; `earwitness keys rotate --keks` runs
as a process of its own, is killed once on its way, and goes on. Two listeners ask for ranges all
the time and calls are archived beside it. Fails when a read or a call failed, or when the old key
still opens anything. The baseline of the same run is the service at rest: how long a range takes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from keys.errors import KeyDestroyed
from tests import at_rest
from tests.archived_calls import archiver
from tests.rotated_keys import Callers, Listeners, add_rows, kek_of, rotate, vault_of
from tests.running_service import RunningService

ROWS_COUNT = 100_000
REST_S = 10.0


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS_COUNT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="earwitness-bench-") as folder:
        service = RunningService(Path(folder) / "data")
        try:
            service.start()
            service.prepare()
            return measured(service, options.rows)
        finally:
            service.kill_everything()


def measured(service: RunningService, rows: int) -> int:
    """Rotate the keys of that many recordings and print what it took; return the exit code."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    with archiver(service) as calls:
        heard = [calls.put(begin + timedelta(seconds=n), 6, seed=n + 1) for n in range(4)]
        old = kek_of(service, heard[0].id)
        add_rows(service, heard[0], rows)
        with Listeners(service, heard) as listeners:
            time.sleep(REST_S)
            at_rest_count = listeners.heard
            started = time.monotonic()
            with Callers(calls, begin) as callers:
                killed = rotate(service, kill_after=10)
                ended = rotate(service)
            took_s = time.monotonic() - started
            during = listeners.heard - at_rest_count
    try:
        vault_of(service).get(old)
        destroyed = False
    except KeyDestroyed:
        destroyed = True
    left = at_rest.query(service, f"SELECT count(*) FROM recordings WHERE kek_id = '{old}'")
    rest_rate, rate = at_rest_count / REST_S, during / took_s
    print(f"recordings wrapped anew      {rows:>10,}")
    print(f"time                         {took_s:>10.1f} s   killed once ({killed}), then {ended}")
    print(f"recordings a second          {rows / took_s:>10.0f}")
    print(
        f"ranges heard a second        {rate:>10.1f}     at rest {rest_rate:.1f}, ratio {rate / rest_rate:.2f}"
    )
    print(f"failed reads                 {len(listeners.failed):>10}")
    print(f"calls archived beside it     {len(callers.archived):>10}     failed {len(callers.failed)}")
    good = destroyed and left == [(0,)] and ended == 0 and not (listeners.failed or callers.failed)
    print("the old key opens nothing" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
