"""The fixtures of the archive's tests: a real PostgreSQL, emptied after each test, and an archive on it."""

from __future__ import annotations

from tests.unit.archive.conftest import (
    bakery,
    database,
    florist,
    make_recording,
    operator,
    portal,
    postgres_url,
    recorder,
    worker,
)
from tests.unit.archive.sealed.conftest import clock, house, key_directory, make_finished, outcome_of, vault

__all__ = [
    "bakery",
    "clock",
    "database",
    "florist",
    "house",
    "key_directory",
    "make_finished",
    "make_recording",
    "operator",
    "outcome_of",
    "portal",
    "postgres_url",
    "recorder",
    "vault",
    "worker",
]
