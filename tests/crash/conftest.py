"""The service that tests break: one for all of them, as each is to leave it whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ANNA, OLGA
from tests.running_service import RunningService


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
