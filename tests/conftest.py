"""What tests of several levels share: one whole service for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_service import RunningService

ANNA, BEN, NINA, OLGA = "+31201234501", "+31201234502", "+31201234503", "+31201234504"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running service with one tenant and a user in each of four modes."""
    running = RunningService(Path(tmp_path_factory.mktemp("service")) / "data", media_silence_s="20")
    running.start()
    try:
        running.prepare(
            ("anna", ANNA, "365d", "always"),
            ("ben", BEN, "90d", "always"),
            ("nina", NINA, "365d", "never"),
            ("olga", OLGA, "90d", "on-demand"),
        )
        yield running
        code = running.stop()
        assert code == 0, f"up ended with {code}"
    finally:
        running.kill_everything()
