"""Writers of the log are killed at any moment: no gap, no duplicate, and what was acknowledged is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from archive.audit import verify_log
from archive.catalogue import audit_entries, audit_tree
from archive.model import Tenant
from tests.unit.archive.transparency.conftest import LogHouse

WRITERS = 8
ROUNDS = 2
ENTRIES_MIN, ENTRIES_MAX = 5, 40
SOAK_ENTRIES_MIN, SOAK_ENTRIES_MAX = 4_000, 6_000
WAIT_S_MAX, SOAK_WAIT_S_MAX = 120.0, 1800.0
ROOT = Path(__file__).parents[4]


def started(url: str, name: str, tenant_id: str, told: Path) -> subprocess.Popen[bytes]:
    with told.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("appender.py")), url, name, tenant_id],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )


def kill_after(process: subprocess.Popen[bytes], told: Path, entries: int, wait_s_max: float) -> None:
    """Kill a writer when it has told of so many entries."""
    deadline = time.monotonic() + wait_s_max
    while told.read_bytes().count(b"\n") < entries:
        assert process.poll() is None, told.read_text()
        assert time.monotonic() < deadline, "a writer stands still"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)


def test_killed_writers_leave_no_gap_and_lose_nothing_they_acknowledged(
    database: Any, log: LogHouse, bakery: Tenant, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """A3: eight writers, each killed twice in the middle of its work; then all of it is sealed.

    `make soak` lets each write some 10,000 entries.
    """
    fewest, most, wait_s_max = ENTRIES_MIN, ENTRIES_MAX, WAIT_S_MAX
    if pytestconfig.getoption("soak"):
        fewest, most, wait_s_max = SOAK_ENTRIES_MIN, SOAK_ENTRIES_MAX, SOAK_WAIT_S_MAX
    dice = random.Random(2026)
    names = {f"portal/{number}": tmp_path / f"told-{number}" for number in range(WRITERS)}
    url = database.url("earwitness_portal")
    for _ in range(ROUNDS):
        with ExitStack() as running:
            writers = {}
            told_of = {}
            for name, told in names.items():
                told.touch()
                told_of[name] = told.read_bytes().count(b"\n")
                writers[name] = started(url, name, bakery.id, told)
                running.callback(writers[name].wait)
                running.callback(writers[name].kill)
            for name in dice.sample(sorted(names), WRITERS):
                kill_after(writers[name], names[name], told_of[name] + dice.randint(fewest, most), wait_s_max)
    heads = verify_log(log.worker)
    assert set(heads) == set(names)
    for name, told in names.items():
        # What was being told when the writer was killed may be half a line.
        lines = [line.split() for line in told.read_text().splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = {int(sequence): hash_ for sequence, hash_ in lines}
        assert len(acknowledged) == len(lines) >= ROUNDS * fewest
        found = {
            entry.sequence: entry.hash
            for entry in audit_entries.chain(log.worker, name, last=heads[name].sequence)
        }
        assert list(found) == list(range(1, heads[name].sequence + 1))
        assert acknowledged.items() <= found.items()
    while log.sequencer().round():
        log.later(minutes=1)
    rows = list(audit_tree.checkpoints(log.worker, 1))
    assert rows[-1].size == sum(head.sequence for head in heads.values())
    assert all(before.size == row.first for before, row in pairwise(rows))
