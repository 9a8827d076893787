"""The table of verbs: every one can be found, helped with, and used wrongly."""

from __future__ import annotations

import os

import pytest

from archive.cli.main import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A literal table may name what is not there; this test looks."""
    assert main([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "example:" in printed.lower()
    assert f"earwitness {verb}" in " ".join(printed.split())


def test_without_a_verb_the_overview_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, for nothing was done; asked for, it is 0."""
    assert main([]) == 2
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {verb} " in printed for verb in VERBS)


def test_an_unknown_verb_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and where to look."""
    assert main(["record"]) == 2
    assert "no command 'record'" in capsys.readouterr().err


def test_a_missing_argument_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code of argparse."""
    assert main(["tenant", "add"]) == 2
    assert "--domain" in capsys.readouterr().err


def test_a_refusal_is_one_line_and_exit_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback for what an operator can mend."""
    monkeypatch.setenv("EARWITNESS_DATABASE_URL", "")
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)
    assert main(["tenant", "list"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "EARWITNESS_DATABASE_URL" in printed.err


def test_the_data_directory_may_stand_before_the_verb(
    tmp_path: os.PathLike[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As people type it."""
    monkeypatch.setenv("EARWITNESS_DATA", "elsewhere")
    for arguments in (["--data", str(tmp_path)], [f"--data={tmp_path}"]):
        assert main([*arguments, "tenant", "list"]) == 1
        assert f"No service was started on {tmp_path}" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """For a report of trouble."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("earwitness ")
