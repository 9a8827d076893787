"""A running capture process for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.recorder.capture.running_capture import RunningCapture


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[RunningCapture]:
    running = RunningCapture(tmp_path / "journal")
    yield running
    running.end()
