"""Keys rotated, destroyed and away, on a whole service: who listens and who calls notice nothing.

And what is destroyed is gone, whatever copies of it there are; what is kept is read by a
stranger with the specification alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.migrate import DATABASE
from archive.cli.vault import open_store
from archive.clock import SystemClock
from archive.errors import NotFound
from archive.model import ObjectKind, Recording, Role, TenantId
from archive.placing import objects_prefix
from archive.playback import Action, Playback
from archive.rewrap import Rewrapping
from keys.errors import KeyDestroyed
from tests import at_rest
from tests.acceptance import independent_reader
from tests.archived_calls import Archiver, archiver
from tests.rotated_keys import Callers, Listeners, add_rows, kek_of, rotate, settings_of, vault_of
from tests.running_service import RunningService

ROWS_COUNT = 2000
"""`make bench` rotates 100,000."""


@pytest.fixture(scope="module")
def rotating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(Path(tmp_path_factory.mktemp("rotating")) / "data")
    try:
        running.start()
        running.prepare()
        yield running
    finally:
        running.kill_everything()


@pytest.fixture(scope="module")
def calls(rotating: RunningService) -> Iterator[Archiver]:
    with archiver(rotating) as archive:
        yield archive


def begin() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def listened(calls: Archiver, count: int, **changes: object) -> list[Recording]:
    return [calls.put(begin() + timedelta(seconds=n), 6, seed=n + 1, **changes) for n in range(count)]


def objects_of(service: RunningService, recording: Recording) -> dict[str, bytes]:
    prefix = objects_prefix(recording.tenant_id, recording.id)
    with contextlib.closing(at_rest.store_of(service)) as store:
        return {
            each.key.removeprefix(prefix): store.get(each.key, each.version_id)
            for each in store.versions(prefix)
        }


def read_by_a_stranger(service: RunningService, recording: Recording) -> dict[str, bytes]:
    passphrase = (service.directory / "keyring-passphrase").read_bytes()
    return independent_reader.read(
        objects_of(service, recording),
        service.directory / "keys",
        independent_reader.root_keys(service.directory / "keyring", passphrase),
        recording.tenant_id,
        recording.id,
    )


def test_c7_keys_give_way_while_people_listen_and_calls_are_archived(
    rotating: RunningService, calls: Archiver
) -> None:
    """C7: killed and gone on with, 0 failed reads, 0 lost calls, the old KEK unusable after."""
    heard = listened(calls, 4)
    old = kek_of(rotating, heard[0].id)
    add_rows(rotating, heard[0], ROWS_COUNT)
    with Listeners(rotating, heard) as listeners, Callers(calls, begin()) as callers:
        for steps in (1, 3, 6):
            assert rotate(rotating, kill_after=steps) == -9
        assert rotate(rotating) == 0
    assert listeners.failed == []
    assert callers.failed == []
    assert listeners.heard > 20
    assert callers.archived
    hanging = at_rest.query(rotating, "SELECT kek_id, count(*) FROM recordings GROUP BY kek_id")
    # Once, and not once more for each time it was killed.
    assert hanging == [(old.removesuffix("1") + "2", ROWS_COUNT + len(heard) + len(callers.archived))]
    with pytest.raises(KeyDestroyed):
        vault_of(rotating).get(old)
    for recording in (*heard, *callers.archived):
        assert rotating.get(f"/v1/recordings/{recording.id}/audio?format=flac").status == 200
    rotating.run("keys", "status")


def test_a_stranger_with_the_specification_reads_what_was_wrapped_anew(
    rotating: RunningService, calls: Archiver
) -> None:
    """Bucket, key store and keyring are enough, with `cryptography` and docs/archive-format.md."""
    [recording] = listened(calls, 1)
    audio = rotating.get(f"/v1/recordings/{recording.id}/audio?format=flac").body
    assert read_by_a_stranger(rotating, recording)["audio"] == audio
    kek_id = kek_of(rotating, recording.id)
    with contextlib.closing(Catalogue(settings_of(rotating, "worker").database_url)) as catalogue:
        supersede(rotating, catalogue, kek_id)
    rotating.run("keys", "rotate")
    rotating.run("keys", "rotate", "--drop-former")
    found = read_by_a_stranger(rotating, recording)
    assert found["audio"] == audio
    assert set(found) == {"audio", "peaks", "timeline", "metadata"}


def supersede(service: RunningService, catalogue: Catalogue, kek_id: str, *ending: Recording) -> None:
    store = open_store(settings_of(service, "worker"))
    try:
        rewrapping = Rewrapping(
            store, vault_of(service), catalogue, AuditWriter(catalogue, "worker/tests"), SystemClock()
        )
        rewrapping.supersede(
            TenantId(service.tenant_id),
            kek_id,
            ending=[each.id for each in ending],
            actor="service:worker",
            reason="tests",
        )
    finally:
        store.close()


def test_c8_what_was_shredded_opens_from_no_copy(rotating: RunningService, calls: Archiver) -> None:
    """C8: neither last week's row nor the locked objects open it, in the service or by a stranger."""
    erased, spared = listened(calls, 2, retain_until=begin() + timedelta(days=40))
    columns = "kek_id, wrapped_key"
    [backup] = at_rest.query(rotating, f"SELECT {columns} FROM recordings WHERE id = '{erased.id}'")
    assert read_by_a_stranger(rotating, erased)["audio"]
    with contextlib.closing(Catalogue(settings_of(rotating, "worker").database_url)) as catalogue:
        supersede(rotating, catalogue, str(backup[0]), erased)
    with at_rest.connect(rotating, DATABASE) as connection:
        connection.execute(
            "UPDATE recordings SET kek_id = %s, wrapped_key = %s WHERE id = %s", (*backup, erased.id)
        )
    scope = AccessScope(tenant_id=TenantId(rotating.tenant_id), actor="user:1", role=Role.AUDITOR)
    settings = settings_of(rotating, "portal")
    store = open_store(settings)
    with contextlib.closing(Catalogue(settings.database_url)) as catalogue:
        audit = AuditWriter(catalogue, "portal/tests")
        playback = Playback(store, vault_of(rotating), catalogue, audit)
        assert recordings.get(catalogue, scope, erased.id)
        for _ in range(2):
            with pytest.raises(NotFound, match="destroyed"):
                playback.open_object(scope, erased.id, ObjectKind.AUDIO, Action.PLAY)
        reader = playback.open_object(scope, spared.id, ObjectKind.AUDIO, Action.PLAY)
        assert reader.read(0, 4) == b"fLaC"
    store.close()
    assert {"audio", "record"} <= set(objects_of(rotating, erased))
    with pytest.raises(LookupError):
        read_by_a_stranger(rotating, erased)
    assert read_by_a_stranger(rotating, spared)["audio"].startswith(b"fLaC")


def test_c9_playback_answers_503_while_the_keys_are_away_and_goes_on_after(
    rotating: RunningService, calls: Archiver
) -> None:
    """C9; that calls are recorded meanwhile is shown in tests/crash."""
    # A day of its own: a key that was used in the last five minutes is remembered.
    [recording] = listened(calls, 1, retain_until=begin() + timedelta(days=50))
    path = f"/v1/recordings/{recording.id}/audio?format=flac"
    keys, elsewhere = rotating.directory / "keys", rotating.directory / "keys-elsewhere"
    keys.rename(elsewhere)
    try:
        answer = rotating.get(path)
        assert answer.status == 503
        assert b"fLaC" not in answer.body
    finally:
        elsewhere.rename(keys)
    assert rotating.get(path).body.startswith(b"fLaC")
