"""A whole service whose root is in a security module and whose wrapped keys stand in a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.keys.conftest import PIN, SOFTHSM, softhsm
from tests.conftest import ANNA
from tests.running_service import RunningService, eventually

__all__ = ["softhsm"]


@pytest.fixture
def guarded(softhsm: str, tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(
        tmp_path / "data",
        keyring=f"pkcs11:token={softhsm};object=archive-root?module-path={SOFTHSM}",
        keyring_passphrase=PIN,
        key_store="bucket:earwitness-keys",
    )
    try:
        running.start()
        running.prepare(("anna", ANNA, "365d", "always"))
        yield running
    finally:
        running.kill_everything()


def test_calls_are_archived_played_and_their_keys_rotated_without_a_key_file(
    guarded: RunningService,
) -> None:
    """Root made in the token by `up`, keys in the bucket, rotation of both, and a restart between."""
    to = ("--to", f"127.0.0.1:{guarded.sip_port}", "--caller", "+31612345678", "--callee", ANNA)
    command = [sys.executable, "-m", "archive.cli.main", "call", *to, "--seconds", "2"]
    subprocess.run(command, env=guarded.environment, check=True, capture_output=True, timeout=60)
    [recording] = eventually(guarded.recordings, "the call is archived")
    path = f"/v1/recordings/{recording['id']}/audio?format=flac"
    audio = guarded.get(path).body
    assert audio.startswith(b"fLaC")
    told = json.loads(guarded.run("keys", "status", "--json"))
    assert (told["root"], told["keyStore"], told["keks"], told["health"]) == ("pkcs11", "bucket", 1, "good")
    rotated = json.loads(guarded.run("keys", "rotate", "--json"))
    assert rotated["root"] == "pkcs11"
    assert rotated["rewrapped"] == told["keks"] + told["otherKeys"]
    assert rotated["nodeKeys"] == 1
    assert json.loads(guarded.run("keys", "rotate", "--keks", "--json")) == {"keks": 1, "recordings": 1}
    assert guarded.get(path).body == audio
    assert guarded.stop() == 0
    guarded.start()
    assert guarded.get(path).body == audio
    assert not (guarded.directory / "keyring").exists()
    assert not [each for each in (guarded.directory / "keys").rglob("*") if each.is_file()]
