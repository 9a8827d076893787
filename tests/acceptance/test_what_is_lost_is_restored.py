"""A backup of a running service, drills of it, and a new host in its place, by the commands an operator gives.

With the real PostgreSQL and SeaweedFS of a service that goes on, until it is lost at the end of this file.
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

from archive import jobs
from archive.access import AccessScope
from archive.approval import Event, Kind, Wanted
from archive.catalogue import approved, directory, proposals
from archive.catalogue.engine import Catalogue
from archive.model import Recording, Role, TenantId
from tests import at_rest
from tests.archived_calls import archiver
from tests.rotated_keys import kek_of, settings_of, vault_of
from tests.running_service import RunningService, eventually


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
    number = archived[0].parties[0].number.encode()
    for path in folder.rglob("*"):
        octets = path.read_bytes() if path.is_file() else b""
        # Needles long enough that no cipher text has them by chance.
        for readable in (b"acme", b"$argon2", number, b"COPY ", b"PGDMP"):
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


def test_a_new_host_takes_the_place_of_a_lost_one_by_the_commands_of_the_documents(
    running: RunningService, archived: list[Recording], out: Path, tmp_path: Path
) -> None:
    """Every recording opens there, that of after the backup too, and none that two people let go since.

    The steps are those of docs/operators.md, Restoring, with bucket, backup, keyring and passphrase alone.
    """
    folder = back_up(running, out)
    let_go(running, archived[2])
    with archiver(running) as archive:
        later = archive.put(archived[0].started_at + timedelta(minutes=1), 6, seed=9)
    former_key = running.api_key
    running.kill_everything()

    new = RunningService(tmp_path / "new" / "data")
    new.tenant_id, new.api_key = running.tenant_id, former_key
    new.directory.mkdir(parents=True, mode=0o700)
    for name in ("keyring", "keyring-passphrase", "seaweedfs"):
        (running.directory / name).rename(new.directory / name)
    try:
        take_the_place(new, folder, archived, later)
    finally:
        new.kill_everything()


def take_the_place(new: RunningService, folder: Path, archived: list[Recording], later: Recording) -> None:
    told = json.loads(new.run("restore", "--from", str(folder), "--json"))
    assert (told["recordings"], told["API keys suspended"]) == (3, 1)
    assert told["jobs dropped"] >= 0
    new.start()
    new.run("audit", "begin", "--reason", "the host was lost")
    parties = (
        f"SELECT number FROM recording_parties WHERE recording_id = '{archived[2].id}' ORDER BY position"
    )
    assert at_rest.query(new, parties) == [("+31612345678",), ("+31201234567",)], "as in the backup"
    rebuilt = json.loads(new.run("storage", "rebuild-catalogue", "--json"))
    assert rebuilt == {"recordings": 1, "destroyed since": 1}
    new.run("api-client", "resume", "tests", "--tenant", "acme.nl")
    jobs.defer(settings_of(new, "worker").database_url, jobs.EXPIRY_BATCH, tenant_id=new.tenant_id)
    assert gone(new, archived[2])
    assert at_rest.query(new, parties) == []
    for recording in (archived[0], archived[1], later):
        answer = new.get(f"/v1/recordings/{recording.id}/audio?format=flac")
        assert (answer.status, answer.body[:4]) == (200, b"fLaC")
    assert new.get(f"/v1/recordings/{archived[2].id}/audio?format=flac").status == 409
    found = drill(new, "--bucket-only")
    assert (found["recordings"], found["verified"], found["failed"]) == (3, 3, 0)
    new.run("audit", "verify")
    assert json.loads(new.run("backup", "--out", str(folder.parent), "--json"))["recordings"] == 3


def let_go(running: RunningService, recording: Recording) -> None:
    """Have two people let a recording go before its term, and the worker destroy it."""
    tenant_id, now = TenantId(running.tenant_id), datetime.now(UTC)
    operator = Catalogue(settings_of(running, "operator").database_url)
    portal_url = settings_of(running, "portal").database_url
    portal = Catalogue(portal_url)
    with contextlib.closing(operator), contextlib.closing(portal):
        made = [
            directory.add_user(operator, tenant_id, login, now=now, role=role)
            for login, role in (("ada", Role.ADMINISTRATOR), ("otto", Role.AUDITOR))
        ]
        ada, otto = (AccessScope(tenant_id, f"user:{each.id}", each.role, each.id) for each in made)
        wanted = Wanted(Kind.EARLY_DESTRUCTION, f"recording:{recording.id}", {"atOnce": True}, "Erasure")
        with portal.transaction(tenant_id) as connection:
            proposed = proposals.propose(connection, ada, wanted, now=now)
        with portal.transaction(tenant_id) as connection:
            decided = proposals.decide(connection, otto, proposed.id, Event.APPROVE, now=now)
            approved.carry_out(connection, decided, now=now)
    jobs.defer(portal_url, jobs.EXPIRY_BATCH, tenant_id=tenant_id)
    assert gone(running, recording)


def gone(running: RunningService, recording: Recording) -> bool:
    """Wait until a recording is destroyed, with its certificate."""
    statement = (
        f"SELECT 1 FROM destructions WHERE recording_id = '{recording.id}' AND certificate IS NOT NULL"
    )
    return bool(eventually(lambda: at_rest.query(running, statement), f"{recording.id} is destroyed"))
