"""What tests of several levels share: one whole service for the session."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer

from tests.running_service import RunningService
from tests.two_ends import TwoEnds, arranged

hypothesis.settings.register_profile("earwitness", deadline=None)
hypothesis.settings.load_profile("earwitness")
# How long an example takes says how busy the machine is, and nothing about the code.

ANNA, BEN, NINA, OLGA = "+31201234501", "+31201234502", "+31201234503", "+31201234504"
PIA, OTTO = "+31201234505", "+31201234506"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make soak` ask for more of what `make test` does in small."""
    parser.addoption("--soak", action="store_true", help="all combinations instead of every pair of them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests of one service stand side by side."""
    items[:] = arranged(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TwoEnds | None:
    """Keep that order among two workers, where it was asked for."""
    return None if config.option.loadscopereorder else TwoEnds(config, log)


@pytest.fixture(scope="session")
def service() -> Iterator[RunningService]:
    """A running service with one tenant and a user in each of the five modes, and Ben beside Anna.

    Not below pytest's own folder: a second pytest of root closes that to PostgreSQL's user.
    """
    with tempfile.TemporaryDirectory(prefix="earwitness-service-") as directory:
        yield from _served(RunningService(Path(directory) / "data", media_silence_s="20"))


def _served(running: RunningService) -> Iterator[RunningService]:
    running.start()
    try:
        running.prepare(
            ("anna", ANNA, "365d", "always"),
            ("ben", BEN, "90d", "always"),
            ("nina", NINA, "365d", "never"),
            ("olga", OLGA, "90d", "on-demand"),
            ("pia", PIA, "7y-1000", "always-pause"),
            ("otto", OTTO, "365d", "on-demand-start"),
        )
        yield running
        code = running.stop()
        assert code == 0, f"up ended with {code}"
    finally:
        running.kill_everything()
