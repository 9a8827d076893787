"""The database is lost: catalogue and recordings come back from the bucket and the key store alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from asyncio import to_thread
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ANNA, BEN
from tests.crash.calls import Call, all_of
from tests.running_service import RunningService


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[RunningService]:
    """A service that is going to lose its database."""
    running = RunningService(tmp_path / "data")
    try:
        running.start()
        running.prepare(("anna", ANNA, "365d", "always"), ("ben", BEN, "90d", "always"))
        yield running
    finally:
        running.kill_everything()


def known(service: RunningService) -> dict[str, tuple[dict[str, Any], str]]:
    """Return every recording as the API tells it, with the SHA-256 of its audio."""
    found = {}
    for recording in service.recordings():
        answer = service.get(f"/v1/recordings/{recording['id']}/audio?format=flac")
        assert answer.status == 200
        found[recording["id"]] = (recording, hashlib.sha256(answer.body).hexdigest())
    return found


async def test_every_recording_plays_again_out_of_an_empty_database(losing: RunningService) -> None:
    """After the database directory is gone, one command brings all rows back, and each recording its sound."""
    calls = [await Call.begin(losing, caller, seconds=2) for caller in (ANNA, BEN, ANNA)]
    for placed in await all_of([call.ended() for call in calls]):
        await to_thread(losing.recording_of, placed.call_id)
    before = await to_thread(known, losing)
    assert len(before) == 3
    await to_thread(rebuild, losing)
    after = await to_thread(known, losing)
    assert {item: sha256 for item, (_, sha256) in after.items()} == {
        item: sha256 for item, (_, sha256) in before.items()
    }
    for item, (recording, _) in before.items():
        assert after[item][0] == recording
    assert {outcome["callId"] for outcome in await to_thread(losing.sessions)} == {
        recording["callId"] for recording, _ in before.values()
    }


def rebuild(service: RunningService) -> None:
    """Lose the database, start with an empty one, and rebuild, twice."""
    assert service.stop() == 0
    shutil.rmtree(service.directory / "postgres")
    service.start()
    assert json.loads(service.run("storage", "rebuild-catalogue", "--json"))["recordings"] == 3
    assert json.loads(service.run("storage", "rebuild-catalogue", "--json"))["recordings"] == 0
    (tenant,) = json.loads(service.run("tenant", "list", "--json"))
    assert tenant["id"] == service.tenant_id
    scopes = ("recordings:read", "recordings:play", "recordings:download", "sessions:read")
    chosen = [option for scope in scopes for option in ("--scope", scope)]
    added = service.run("api-client", "add", "again", "--tenant", tenant["domain"], *chosen, "--json")
    service.api_key = json.loads(added)["key"]
