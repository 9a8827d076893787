"""The proof of an entry, checked by the script that stands alone (A6)."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archive.transparency
from archive.transparency.checkpoint import PublicKey
from archive.transparency.proof import NotSealed, prove
from keys.signing_key import SigningKey
from tests.unit.archive.transparency.conftest import KEY, LogHouse

SCRIPT = Path(archive.transparency.__file__).parent / "verify_entry.py"
PUBLIC = PublicKey("earwitness/test/1", KEY.public)
LINES_MAX = 60


def checked(tmp_path: Path, document: dict[str, Any], key: str = PUBLIC.line()) -> tuple[int, str]:
    """Run the script alone: isolated from our packages, in an empty directory, with openssl to be found."""
    shutil.copy(SCRIPT, tmp_path / "verify_entry.py")
    (tmp_path / "proof.json").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-I", "verify_entry.py", "proof.json", key],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def document(log: LogHouse) -> dict[str, Any]:
    """The proof of one of some entries, as it is handed out."""
    entries = log.play(20, body={"purpose": "klacht"})
    log.sequencer().round()
    return json.loads(json.dumps(prove(log.portal, entries[6]).document()))


def test_an_entry_is_proved_by_python_and_openssl_alone(document: dict[str, Any], tmp_path: Path) -> None:
    code, told = checked(tmp_path, document)
    assert code == 0, told
    assert "PROVED: leaf 6 of earwitness/test/1" in told
    assert '"object":"recording:6"' in told


def test_the_script_is_short_enough_to_read() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= LINES_MAX


def test_a_proof_of_an_erased_body_holds(document: dict[str, Any], tmp_path: Path) -> None:
    """A7."""
    code, told = checked(tmp_path, {**document, "salt": None, "body": None})
    assert code == 0, told


def test_whatever_is_changed_in_a_proof_shows(document: dict[str, Any], tmp_path: Path) -> None:
    path, note = document["path"], document["checkpoint"]
    forged = [
        {"entry": document["entry"].replace("anna", "bart")},
        {"body": document["body"].replace("klacht", "gezellig")},
        {"leaf": document["leaf"].replace("portal/one", "portal/two")},
        {"index": document["index"] + 1},
        {"size": document["size"] + 1},
        {"path": path[1:]},
        {"path": [path[1], path[0], *path[2:]]},
        {"checkpoint": note.replace("\n20\n", "\n21\n")},
        {"checkpoint": note.replace("time 2026", "time 2025")},
    ]
    for change in forged:
        code, told = checked(tmp_path, {**document, **change})
        assert code != 0, change
        assert "NOT PROVED" in told, (change, told)


def test_a_checkpoint_of_another_key_or_name_proves_nothing(document: dict[str, Any], tmp_path: Path) -> None:
    other = SigningKey(b"x" * 32)
    for key in (
        dataclasses.replace(PUBLIC, octets=other.public),
        dataclasses.replace(PUBLIC, name="other/1"),
    ):
        code, told = checked(tmp_path, document, key.line())
        assert (code, "not signed by this key" in told) == (1, True)


def test_an_entry_that_was_not_sealed_yet_has_no_proof(log: LogHouse) -> None:
    (first,) = log.play()
    with pytest.raises(NotSealed, match="in a minute"):
        prove(log.portal, first)
    log.sequencer().round()
    (second,) = log.play()
    assert prove(log.portal, first).index == 0
    with pytest.raises(NotSealed):
        prove(log.portal, second)
