"""One service per data directory, and signals that end it in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.embedded.installation import Listening
from archive.embedded.supervisor import StopRequested, Supervisor, single_instance, stop_on_signals
from archive.errors import Refused
from archive.settings import Settings


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_service_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    """Two would destroy each other's database."""
    with (
        single_instance(tmp_path),
        pytest.raises(Refused, match=r"runs on .* already"),
        single_instance(tmp_path),
    ):
        pass
    with single_instance(tmp_path):
        pass


def wait_for_signals(*numbers: signal.Signals) -> None:
    """Send ourselves signals; what the first one raises is noticed after the last."""
    with stop_on_signals():
        try:
            os.kill(os.getpid(), numbers[0])
            time.sleep(10)
        finally:
            for number in numbers[1:]:
                os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_to_stop_and_a_second_is_ignored(number: signal.Signals) -> None:
    """Ctrl-C twice must not leave children behind."""
    with pytest.raises(StopRequested):
        wait_for_signals(number)
    with pytest.raises(StopRequested):
        wait_for_signals(number, signal.SIGINT, signal.SIGTERM)


def test_services_named_in_the_settings_are_used_instead_of_embedded_ones(tmp_path: Path) -> None:
    """Nothing is started, and what does not answer is said in one line."""
    settings = Settings(
        database_url="postgresql+psycopg://nobody:x@127.0.0.1:9/none", s3_endpoint="http://127.0.0.1:9"
    )
    told: list[str] = []
    supervisor = Supervisor(
        tmp_path, settings, Listening("127.0.0.1:1", "127.0.0.1:2", "20000-20001"), told.append
    )
    with pytest.raises(Exception, match="PostgreSQL does not answer"):
        supervisor.run(lambda _: pytest.fail("it is not ready"))
    assert told == ["PostgreSQL: the one of EARWITNESS_DATABASE_URL"]
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "seaweedfs").exists()
