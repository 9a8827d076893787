"""The arguments of `up`, refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive.cli.main import main


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)


def test_a_data_directory_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """State never lands where nobody expects it."""
    assert main(["up"]) == 1
    assert "--data DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--sip", "5060"),
        ("--sip", ","),
        ("--portal", "localhost"),
        ("--portal", "udp:127.0.0.1:8080"),
        ("--rtp-ports", "30000-20000"),
        ("--rtp-ports", "1-99999"),
    ],
)
def test_wrong_addresses_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]
) -> None:
    """Before a database was made."""
    assert main(["up", "--data", str(tmp_path / "data"), *arguments]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_can_not_be_made_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands in the way here; for another account, a lack of rights does."""
    (tmp_path / "file").write_text("")
    assert main(["up", "--data", str(tmp_path / "file" / "data")]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--data" in told
