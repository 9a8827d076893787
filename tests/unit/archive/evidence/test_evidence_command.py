"""`earwitness evidence verify`: exit 0 for an untouched package, 1 with every fault for another."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from archive.cli.evidence import run_evidence
from archive.errors import Refused


@pytest.fixture
def authorities(package: Path, tmp_path: Path) -> list[str]:
    for name in ("authority.pem", "timestamp-authority.pem"):
        shutil.copy(package / "verify" / name, tmp_path / name)
    return [
        "--authority", str(tmp_path / "authority.pem"),
        "--timestamp-authority", str(tmp_path / "timestamp-authority.pem"),
    ]  # fmt: skip


def zipped(folder: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return to


def test_an_untouched_package_is_told_as_such_as_folder_and_as_zip(
    package: Path, authorities: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in (package, zipped(package, tmp_path / "case.zip")):
        assert run_evidence(["verify", str(given), *authorities, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["result"] == "untouched"
        assert told["files"] == 14
        assert "Voorbeeld BV" in told["signer"]


def test_without_an_authority_it_says_whom_it_trusts(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_evidence(["verify", str(package)]) == 0
    assert "inside the package" in capsys.readouterr().err


def test_every_fault_is_named_and_the_exit_is_one(
    package: Path, authorities: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    (copy / "data/recordings/r1/audio.flac").write_bytes(b"another sound")
    (copy / "data/extra").write_bytes(b"")
    assert run_evidence(["verify", str(copy), *authorities]) == 1
    told = capsys.readouterr()
    assert "FAULT: data/recordings/r1/audio.flac was changed" in told.err
    assert "FAULT: data/extra is not listed" in told.err
    assert "2 faults" in told.out


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "data/../../outside", "a\nb"])
def test_a_zip_that_leads_elsewhere_is_refused_and_writes_nothing(name: str, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(Refused):
        run_evidence(["verify", str(hostile)])
    assert not (tmp_path / "outside").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Refused, match="new or empty"):
        run_evidence(["export", "--recording", "x", "--out", str(tmp_path)])


def test_what_is_no_package_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    for given in (tmp_path / "absent", tmp_path / "text.zip", tmp_path):
        with pytest.raises(Refused):
            run_evidence(["verify", str(given)])
