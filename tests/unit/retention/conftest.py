"""The fixtures of the archive's tests: a real PostgreSQL, emptied after each test, and an archive on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archive.catalogue.engine import Catalogue
from tests.unit.archive.conftest import (
    bakery,
    database,
    florist,
    make_recording,
    operator,
    portal,
    recorder,
    worker,
)
from tests.unit.archive.sealed.conftest import clock, house, key_directory, make_finished, outcome_of, vault
from tests.unit.retention.ageing import Ageing, Stubborn
from tests.unit.retention.mail_desk import desk, server

__all__ = [
    "bakery",
    "clock",
    "database",
    "desk",
    "florist",
    "house",
    "key_directory",
    "make_finished",
    "make_recording",
    "operator",
    "outcome_of",
    "portal",
    "recorder",
    "server",
    "vault",
    "worker",
]


@pytest.fixture
def ageing(
    house: Any,
    worker: Catalogue,
    portal: Catalogue,
    make_recording: Any,
    make_finished: Any,
    outcome_of: Any,
    key_directory: Path,
) -> Ageing:
    """An archive whose recordings grow old."""
    house.store = Stubborn(house.clock)
    made = Ageing(house, worker, portal, make_recording, make_finished, outcome_of, key_directory)
    made.timekeeper().due_time()  # as a worker that runs from the beginning
    return made
