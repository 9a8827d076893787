"""Everything is lost but the bucket, a backup and the keyring: a new host goes on from them.

With the real PostgreSQL and SeaweedFS, by the commands of the runbook in docs/operators.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import at_rest
from tests.archived_calls import archiver
from tests.running_service import SCOPES, RunningService, eventually

NUMBER = "+31201239999"
BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


@pytest.fixture
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(Path(tmp_path_factory.mktemp("lost-host")) / "data")
    try:
        service.start()
        service.prepare()
        yield service
    finally:
        service.kill_everything()


@pytest.fixture
def new_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A host on which nothing was started yet."""
    service = RunningService(Path(tmp_path_factory.mktemp("new-host")) / "data")
    try:
        yield service
    finally:
        service.kill_everything()


def archive(service: RunningService, *numbers: int) -> list[str]:
    with archiver(service) as putting:
        return [putting.put(BEGIN + timedelta(minutes=each), 6, seed=each).id for each in numbers]


def hold(service: RunningService, recording_id: str) -> str:
    """Open a case with a recording, and wait until the store holds it too; return the id of the case."""
    key = service.add_key("holds", scopes=(*SCOPES, "holds"))
    body = {"name": "Claim", "reason": "Letter of the court", "recordingIds": [recording_id]}
    answer = service.send("POST", "/v1/cases", body, key)
    assert answer.status == 201, answer.body
    case_id = str(answer.json()["id"])
    path = f"/v1/cases/{case_id}"
    eventually(lambda: service.get(path, key).json()["heldByStore"] == 1, "the store holds the recording")
    return case_id


def rule(service: RunningService, case_id: str) -> None:
    """Let later calls with a number come into the case, and wait until the bucket has it."""
    key = service.add_key("rules", scopes=(*SCOPES, "holds"))
    answer = service.send("POST", f"/v1/cases/{case_id}/rules", {"number": NUMBER}, key)
    assert answer.status == 201, answer.body
    eventually(
        lambda: at_rest.query(service, "SELECT count(*) FROM case_changes") == [(0,)], "the copy is written"
    )


def test_a_new_host_goes_on_from_the_bucket_and_a_backup(
    lost: RunningService, new_host: RunningService, tmp_path: Path
) -> None:
    before = archive(lost, 1, 2)
    case_id = hold(lost, before[0])
    folder = Path(json.loads(lost.run("backup", "--out", str(tmp_path / "backups"), "--json"))["folder"])
    after = archive(lost, 3)
    rule(lost, case_id)
    lost.kill_everything()

    kept = new_host.directory
    kept.mkdir(parents=True)
    refused = new_host.run("restore", "--from", str(folder), code=1)
    assert refused == ""
    shutil.copytree(lost.directory / "seaweedfs", kept / "seaweedfs", ignore=shutil.ignore_patterns("*.sock"))
    for name in ("keyring", "keyring-passphrase"):
        shutil.copy2(lost.directory / name, kept / name)
    shutil.rmtree(lost.directory)

    told = json.loads(new_host.run("restore", "--from", str(folder), "--json"))
    assert told["recordings"] == 2
    assert told["keys restored"] >= 1
    new_host.run("restore", "--from", str(folder), code=1)

    new_host.start()
    new_host.api_key, new_host.tenant_id = lost.api_key, lost.tenant_id
    new_host.run("audit", "begin", "--reason", "restored from a backup")
    assert json.loads(new_host.run("storage", "rebuild-catalogue", "--json")) == {"recordings": 1}
    for recording_id in (*before, *after):
        heard = new_host.get(f"/v1/recordings/{recording_id}/audio?format=flac")
        assert heard.status == 200
        assert heard.body.startswith(b"fLaC")
    key = new_host.add_key("holds again", scopes=(*SCOPES, "holds"))
    case = new_host.get(f"/v1/cases/{case_id}", key).json()
    assert (case["state"], case["recordings"], case["heldByStore"]) == ("holding", 1, 1)
    assert [each["number"] for each in case["rules"]] == [NUMBER], "made after the backup, it is back"
    new_host.run("audit", "verify")
    [row] = json.loads(new_host.run("drill", "--bucket-only", "--json"))
    assert (row["verified"], row["failed"], row["result"]) == (3, 0, "good")
