"""`earwitness storage scrub`, as an operator runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from archive.cli.main import main
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome, Tenant
from archive.store.memory import MemoryStore
from retention import storage


class Open:
    """The store of the archive, which a command closes."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def close(self) -> None:
        """Leave it open."""


@pytest.fixture
def run(
    house: Any, database: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Return a function that scrubs and returns what it printed."""
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)
    monkeypatch.setenv("EARWITNESS_DATABASE_URL", database.url("earwitness_worker"))
    monkeypatch.setattr(storage, "configure_logging", lambda settings, role: None)
    monkeypatch.setattr(storage, "open_store", lambda settings: Open(house.store))

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert main(["storage", "scrub", *arguments]) == code
        printed = capsys.readouterr()
        return printed.out, printed.err

    return run


@pytest.fixture
def archived(
    house: Any,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> list[ArchivedRecording]:
    finished = [make_finished(make_recording(bakery.id, minutes=minutes).recording) for minutes in range(3)]
    return [house.ingest().archive(each, outcome_of(each)) for each in finished]


def test_it_reads_what_is_due_or_all_of_it_and_tells_how_far_it_is(
    run: Callable[..., tuple[str, str]], archived: list[ArchivedRecording]
) -> None:
    """Exit 0: nothing is damaged."""
    told, _ = run("--json")
    assert json.loads(told.splitlines()[-1]) == {
        "recordings": 3,
        "objects read": 15,
        "damaged": 0,
        "findings": [],
    }
    assert json.loads(run("--json")[0].splitlines()[-1])["objects read"] == 0
    assert json.loads(run("--json", "--all")[0].splitlines()[-1])["objects read"] == 15
    assert len(archived) == 3


def test_what_is_damaged_is_named_by_its_recording_and_object(
    run: Callable[..., tuple[str, str]], archived: list[ArchivedRecording], house: Any
) -> None:
    """Exit 1, also the next time, until it is mended."""
    harmed = archived[1]
    house.store.cover(harmed.objects[0].key, marker=True)
    for _ in range(2):
        told, _ = run(code=1)
        (line,) = [line for line in told.splitlines() if line.startswith("bakery.example")]
        assert line.split()[:3] == ["bakery.example", harmed.recording.id, "audio"]
