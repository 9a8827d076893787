"""A backup of a running service, and drills of it, by the commands an operator gives.

With the real PostgreSQL and SeaweedFS of a service that goes on.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.model import Recording
from tests import at_rest
from tests.archived_calls import archiver
from tests.rotated_keys import kek_of, vault_of
from tests.running_service import RunningService


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(Path(tmp_path_factory.mktemp("lost")) / "data")
    try:
        service.start()
        service.prepare()
        yield service
    finally:
        service.kill_everything()


@pytest.fixture(scope="module")
def archived(running: RunningService) -> list[Recording]:
    """Three recordings: two that go on one day, one a month later."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    with archiver(running) as archive:
        return [
            archive.put(begin + timedelta(seconds=number), 6, seed=number + 1, **changes)
            for number, changes in enumerate(({}, {}, {"retain_until": begin + timedelta(days=400)}))
        ]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def back_up(running: RunningService, out: Path) -> Path:
    told = json.loads(running.run("backup", "--out", str(out), "--json"))
    assert told["recordings"] == 3
    return Path(told["folder"])


def drill(running: RunningService, *options: str) -> dict[str, Any]:
    """Return the row of the one tenant."""
    [row] = json.loads(running.run("drill", *options, "--json"))
    return dict(row)


def refused(running: RunningService, *arguments: str) -> str:
    """Return the line with which a command says no."""
    command = [sys.executable, "-m", "archive.cli.main", *arguments, "--data", str(running.directory)]
    done = subprocess.run(command, capture_output=True, env=running.environment, timeout=120, check=False)
    assert done.returncode == 1
    return done.stderr.decode()


def test_every_recording_is_back_with_and_without_the_database(
    running: RunningService, archived: list[Recording], out: Path, tmp_path: Path
) -> None:
    """C8: and what was destroyed since is not, while the service goes on untouched."""
    folder = back_up(running, out)
    passphrase = tmp_path / "passphrase"
    shutil.copy(running.directory / "keyring-passphrase", passphrase)
    keyring = shutil.copy(running.directory / "keyring", tmp_path / "keyring")
    aside = ("--keyring", str(keyring), "--passphrase-file", str(passphrase), "--keys-lost")
    for path in folder.rglob("*"):
        octets = path.read_bytes() if path.is_file() else b""
        for readable in (b"acme", b"$argon2", b"+31", b"COPY ", b"PGDMP"):
            assert readable not in octets, path.name
    before = at_rest.query(running, "SELECT count(*) FROM audit_entries WHERE action LIKE 'backup.%'")
    assert before == [(2,)]

    found = drill(running, "--backup", str(folder), *aside)
    assert (found["verified"], found["destroyed"], found["failed"]) == (3, 0, 0)
    assert (found["manifest"], found["result"]) == ("same", "good")
    found = drill(running, "--bucket-only")
    assert (found["verified"], found["destroyed"], found["failed"]) == (3, 0, 0)
    found = drill(running, "--backup", str(folder), "--sample", "1")
    assert (found["recordings"], found["verified"]) == (3, 1)

    with contextlib.closing(at_rest.store_of(running)) as store:
        held = {version.key for version in store.versions("")}
    vault_of(running).destroy(kek_of(running, archived[2].id))
    for restored in (("--backup", str(folder)), ("--bucket-only",)):
        # Its term still runs: nothing brings it back, and only a certificate explains that it is gone.
        told = refused(running, "drill", *restored)
        assert f"{archived[2].id}: its key was destroyed before its term" in told
        assert told.count("failed: ") == 1
    with contextlib.closing(at_rest.store_of(running)) as store:
        assert held <= {version.key for version in store.versions("")}
    assert running.get(f"/v1/recordings/{archived[0].id}/audio?format=flac").status == 200


def test_a_backup_with_one_flipped_bit_or_beside_the_data_is_refused(
    running: RunningService, archived: list[Recording], out: Path
) -> None:
    folder = back_up(running, out)
    dump = folder / "database.sealed"
    octets = bytearray(dump.read_bytes())
    octets[len(octets) // 2] ^= 1
    dump.write_bytes(octets)
    assert "was altered" in refused(running, "drill", "--backup", str(folder))
    within = running.directory / "backups"
    assert "lies in the data directory" in refused(running, "backup", "--out", str(within))
    assert not within.exists()
