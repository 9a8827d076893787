"""Object store, database or key store are away: calls are taken and recorded, and archived once when it is back.

Promises I1, I4 and I10: an outage loses nothing, leaves one set of objects for each
recording, and ends without a human.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import to_thread

import psutil

from archive.catalogue import audit_entries
from archive.catalogue.engine import Catalogue
from archive.embedded.service_file import read_service
from archive.model import ObjectKind, TenantId
from archive.store.s3 import ObjectStore
from recorder.client.call import PlacedCall
from tests.conftest import ANNA
from tests.crash.calls import (
    Call,
    Outage,
    all_of,
    check_gaps,
    frozen,
    is_gone,
    is_ready,
    kill,
    named,
    until,
    waiting,
)
from tests.running_service import RunningService

STORE = "-s3.port="


def database(service: RunningService) -> list[psutil.Process]:
    """Return PostgreSQL with all its backends."""
    server = named(service, "unix_socket_directories")[0]
    return [server, *server.children(recursive=True)]


def check_archived_once(service: RunningService, placed: PlacedCall, *outages: Outage) -> None:
    """Check that nothing is missing, and that there is one row, one audit entry and one set of objects."""
    check_gaps(service, placed, *outages)
    recording_id = service.recording_of(placed.call_id)["id"]
    found = read_service(service.directory)
    tenant_id = TenantId(service.tenant_id)
    catalogue = Catalogue(found.database_urls["operator"])
    entries = audit_entries.of_object(catalogue, tenant_id, f"recording:{recording_id}")
    catalogue.close()
    assert [entry.action for entry in entries].count("recording.archived") == 1
    store = ObjectStore(
        found.environment["EARWITNESS_S3_ENDPOINT"],
        found.environment["EARWITNESS_S3_BUCKET"],
        found.environment["EARWITNESS_S3_ACCESS_KEY"],
        found.environment["EARWITNESS_S3_SECRET_KEY"],
    )
    keys = sorted(item.key for item in store.versions(f"{tenant_id}/{recording_id}/"))
    store.close()
    assert keys == sorted(f"{tenant_id}/{recording_id}/{kind.value}" for kind in ObjectKind)


async def test_a_store_that_hangs_and_dies_at_hang_up_loses_nothing(crashing: RunningService) -> None:
    """It stands still from the middle of the call on, then dies, is started again, and gets the recording."""
    call = await Call.begin(crashing, ANNA)
    await asyncio.sleep(1)
    store = named(crashing, STORE)
    with frozen(store):
        await asyncio.sleep(1)
        placed = await call.end()
        assert placed.answers == (("BYE", 200),)
        await until(lambda: waiting(crashing) == 1, "the recording waits")
        kill(store)
    await to_thread(check_archived_once, crashing, placed)


async def test_a_key_store_that_is_moved_away_loses_nothing(crashing: RunningService) -> None:
    """C9: no new key is made in place of the ones that are away; when they are back, the recording is archived."""
    keys, elsewhere = crashing.directory / "keys", crashing.directory / "keys-elsewhere"
    call = await Call.begin(crashing, ANNA)
    await asyncio.sleep(1)
    keys.rename(elsewhere)
    try:
        placed = await call.end()
        await until(lambda: waiting(crashing) == 1, "the recording waits")
        await asyncio.sleep(3)
        assert waiting(crashing) == 1
        assert not keys.exists()
    finally:
        elsewhere.rename(keys)
    await to_thread(check_archived_once, crashing, placed)


async def test_a_database_that_hangs_keeps_no_call_from_being_recorded(crashing: RunningService) -> None:
    """Calls go on and new ones are taken, also by a recorder that starts while the database is away."""
    going = await Call.begin(crashing, ANNA)
    await asyncio.sleep(1)
    with frozen(database(crashing)):
        during = await Call.begin(crashing, ANNA)
        recorder = crashing.role("recorder")
        down_s = kill([recorder])
        await until(lambda: is_gone(recorder), "the recorder is dead")
        await until(lambda: is_ready(crashing), "the recorder takes calls again")
        outage = Outage(down_s, time.monotonic())
        afterwards = await Call.begin(crashing, ANNA)
        await asyncio.sleep(2)
        placed = await all_of([call.end() for call in (going, during, afterwards)])
        assert {call.answers for call in placed} == {(("BYE", 200),)}
        await until(lambda: waiting(crashing) == 3, "the recordings wait")
    for call in placed:
        await to_thread(check_archived_once, crashing, call, outage)


async def test_everything_may_be_away_at_once(crashing: RunningService) -> None:
    """Store and database die, the keys are away, then the rest dies as well: the next start ends it well."""
    keys, elsewhere = crashing.directory / "keys", crashing.directory / "keys-elsewhere"
    calls = [await Call.begin(crashing, ANNA) for _ in range(2)]
    await asyncio.sleep(1)
    keys.rename(elsewhere)
    kill([*named(crashing, STORE), *database(crashing)[:1]])
    placed = await all_of([call.end() for call in calls])
    assert {call.answers for call in placed} == {(("BYE", 200),)}
    await until(lambda: waiting(crashing) == 2, "the recordings wait")
    await to_thread(crashing.kill_everything)
    elsewhere.rename(keys)
    await to_thread(crashing.start)
    for call in placed:
        await to_thread(check_archived_once, crashing, call)
