"""Commands run in this process, as the operator of the test database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from archive.cli.main import main


@pytest.fixture
def run(
    database: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a command, checks its exit code and returns what it printed."""
    monkeypatch.setenv("EARWITNESS_DATABASE_URL", database.url("earwitness_operator"))
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)

    def run(*arguments: str, code: int = 0) -> str:
        found = main(list(arguments))
        printed = capsys.readouterr()
        assert found == code, printed
        return printed.out if code == 0 else printed.out + printed.err

    return run


@pytest.fixture
def data(run: Callable[..., str]) -> Callable[..., Any]:
    """Return a function that runs a command with --json and returns what it printed."""
    return lambda *arguments, code=0: json.loads(run(*arguments, "--json", code=code))
