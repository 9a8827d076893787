"""The service that tests break, one for all of them, as each is to leave it whole; and an archive on SeaweedFS.

The archive is that of the unit tests, with the files of a real object store below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.embedded.seaweedfs import EmbeddedSeaweed
from archive.embedded.signed_request import S3Endpoint
from tests.conftest import ANNA, OLGA
from tests.running_service import RunningService
from tests.unit.archive.conftest import (
    bakery,
    database,
    make_recording,
    operator,
    portal,
    recorder,
    worker,
)
from tests.unit.archive.sealed.conftest import (
    clock,
    empty,
    house,
    key_directory,
    make_finished,
    outcome_of,
    vault,
)
from tests.unit.conftest import lasting, postgres_url

__all__ = [
    "bakery",
    "clock",
    "database",
    "empty",
    "house",
    "key_directory",
    "lasting",
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


@pytest.fixture(scope="package")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with two capture processes that soon gives up calls nobody is in any more."""
    settings = {"media_silence_s": "20", "recovery_silence_s": "3", "capture_processes": "2"}
    running = RunningService(Path(tmp_path_factory.mktemp("crashing")) / "data", **settings)
    try:
        running.start()
        running.prepare(("anna", ANNA, "365d", "always"), ("olga", OLGA, "90d", "on-demand"))
        yield running
    finally:
        running.kill_everything()


@pytest.fixture(scope="module")
def seaweed_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where SeaweedFS keeps what it is given."""
    return tmp_path_factory.mktemp("seaweed")


@pytest.fixture(scope="module")
def seaweed(seaweed_files: Path) -> Iterator[S3Endpoint]:
    """A real object store on this machine."""
    server = EmbeddedSeaweed(seaweed_files)
    try:
        yield server.start()
    finally:
        server.kill()
