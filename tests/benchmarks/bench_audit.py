"""The audit log: how long a million entries take to check offline, and in how much memory.

    python tests/benchmarks/bench_audit.py [ENTRIES]

Prints a table with processor time; the promise is a million entries in 30 s (A1). The log is
written by a process of its own, so that the memory is that of checking.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from archive.transparency.folder import open_folder
from archive.transparency.verification import read_keys, verify_folder
from tests.unit.archive.transparency.test_verification import write_log

ENTRIES = 1_000_000
PROMISED_S = 30


def main() -> None:
    """Write a log of a thousand entries a checkpoint, check it, and print how long that took."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        writing = multiprocessing.get_context("spawn").Process(
            target=write_log, args=(log,), kwargs={"checkpoints": count // 1000, "entries_each": 1000}
        )
        writing.start()
        writing.join()
        size_mb = sum(path.stat().st_size for path in log.rglob("*") if path.is_file()) / 1e6
        before_mb = peak_mb()
        begun, wall = time.process_time(), time.monotonic()
        lines, (folder,) = open_folder(log)
        found = verify_folder(folder, read_keys(lines))
        spent, wall = time.process_time() - begun, time.monotonic() - wall
    promised = PROMISED_S * found.entries / ENTRIES
    print("| entries | on disk MB | processor s | wall s | promised s | ratio | memory MB, before it |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {found.entries:,} | {size_mb:.0f} | {spent:.1f} | {wall:.1f} | {promised:.1f} "
        f"| {promised / spent:.1f} | {peak_mb():.0f}, {before_mb:.0f} |"
    )


def peak_mb() -> float:
    """Return the most memory this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
