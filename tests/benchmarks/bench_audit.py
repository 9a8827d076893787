"""The audit log: how long a million entries take to check, and how many a second are sealed.

    python tests/benchmarks/bench_audit.py [ENTRIES]

Prints a table with processor time; the promise is a million entries in 30 s (A1).
"""

from __future__ import annotations

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
        write_log(log, checkpoints=count // 1000, entries_each=1000)
        begun, wall = time.process_time(), time.monotonic()
        lines, (folder,) = open_folder(log)
        found = verify_folder(folder, read_keys(lines))
        spent, wall = time.process_time() - begun, time.monotonic() - wall
    promised = PROMISED_S * found.entries / ENTRIES
    print("| entries | checkpoints | processor s | wall s | promised s | ratio |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {found.entries} | {found.checkpoints} | {spent:.1f} | {wall:.1f} | {promised:.1f} | {promised / spent:.1f} |"
    )


if __name__ == "__main__":
    main()
