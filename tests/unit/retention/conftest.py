"""The fixtures of the archive's tests: a real PostgreSQL, emptied after each test."""

from __future__ import annotations

from tests.unit.archive.conftest import (
    bakery,
    database,
    florist,
    make_recording,
    operator,
    postgres_url,
    recorder,
    worker,
)

__all__ = [
    "bakery",
    "database",
    "florist",
    "make_recording",
    "operator",
    "postgres_url",
    "recorder",
    "worker",
]
