"""A journal directory, its writers and two calls for the tests of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.journal.writer import JournalWriter
from tests.unit.recorder.journal.written_call import Call, StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def writer(journal_dir: Path, clock: StillClock) -> Iterator[JournalWriter]:
    made = JournalWriter(journal_dir / "capture-0", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    made.open()
    yield made
    made.close()


@pytest.fixture
def signalling(journal_dir: Path, clock: StillClock) -> Iterator[JournalWriter]:
    made = JournalWriter(journal_dir / "signalling", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
    made.open()
    yield made
    made.close()


@pytest.fixture
def call(writer: JournalWriter) -> Call:
    return Call(writer, b"call of one user", bytes(range(32)))


@pytest.fixture
def neighbour(writer: JournalWriter) -> Call:
    return Call(writer, b"call of another ", bytes(range(1, 33)))
