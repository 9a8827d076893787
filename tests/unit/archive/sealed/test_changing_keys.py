"""A recording is archived however often the keys of its day change meanwhile, and whatever broke off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import keks, recordings
from archive.catalogue.engine import Catalogue
from archive.errors import DependencyUnavailable, StoreUnavailable
from archive.model import ArchivedRecording, FinishedRecording, ObjectKind, Role, SessionOutcome, Tenant
from archive.placing import KEY_NAMES_MAX
from archive.playback import Action, Playback
from archive.rebuild import rebuild
from archive.rewrap import Rewrapping

OutcomeOf = Callable[[FinishedRecording], SessionOutcome]

DAY = date(2027, 2, 20)
"""When `finished` expires."""

WAITS_FOR_A_KEY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
BREAKS = KEY_NAMES_MAX + 1


class WithBarrier:
    """A store whose barrier is something else."""

    def __init__(self, store: object, barrier: Callable[[], None]) -> None:
        self._store = store
        self.barrier = barrier

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.fixture
def rotate(house: object, worker: Catalogue, bakery: Tenant) -> Callable[[], None]:
    """Give a rotation of the day's key as it is when it begins."""
    rewrapping = Rewrapping(house.store, house.vault, worker, AuditWriter(worker, "worker/t"), house.clock)

    def rotation() -> None:
        kek_id = house.vault.current(bakery.id, DAY).id
        house.vault.rotate(kek_id)
        rewrapping.supersede(bakery.id, kek_id, actor="operator:0", reason="rotation")

    return rotation


def heard(playback: Playback, finished: FinishedRecording) -> bytes:
    recording = finished.recording
    scope = AccessScope(tenant_id=recording.tenant_id, actor="user:1", role=Role.AUDITOR)
    reader = playback.open_object(scope, recording.id, ObjectKind.AUDIO, Action.PLAY)
    return reader.read(0, reader.length)


def test_c7_an_ingest_ends_though_the_key_changes_each_time_it_waits_for_the_store(
    house: object,
    playback: Playback,
    database: object,
    finished: FinishedRecording,
    outcome_of: OutcomeOf,
    rotate: Callable[[], None],
) -> None:
    """C7: a rotation is quicker than the store; the last one waits until the recording is there."""
    rotations: list[threading.Thread] = []
    failures: list[DependencyUnavailable] = []

    def try_to_rotate() -> None:
        try:
            rotate()
        except DependencyUnavailable as error:
            failures.append(error)

    def barrier() -> None:
        rotations.append(threading.Thread(target=try_to_rotate))
        rotations[-1].start()
        deadline = time.monotonic() + 30
        with database.connect() as admin:
            while rotations[-1].is_alive() and time.monotonic() < deadline:
                if admin.execute(WAITS_FOR_A_KEY).fetchone() != (0,):
                    return

    archived = house.ingest(store=WithBarrier(house.store, barrier)).archive(finished, outcome_of(finished))
    for rotation in rotations:
        rotation.join(30)
    assert (len(rotations), failures) == (2, [])
    assert archived.kek_id.endswith("/2")
    assert heard(playback, finished) == finished.audio
    assert {stored.key.rpartition("/")[2] for stored in archived.objects} == {
        kind.value for kind in ObjectKind
    }


def test_a_key_that_was_retired_and_has_no_next_one_keeps_no_recording_waiting(
    house: object, worker: Catalogue, bakery: Tenant, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    """Whoever retired it was stopped before the next version was made, or needed none."""
    keks.retire(worker, bakery.id, house.vault.current(bakery.id, DAY).id, now=house.clock.now())
    assert house.ingest().archive(finished, outcome_of(finished)).kek_id.endswith("/2")


def test_an_ingest_that_broke_off_ever_so_often_with_its_key_gone_each_time_ends(
    house: object,
    playback: Playback,
    bakery: Tenant,
    finished: FinishedRecording,
    outcome_of: OutcomeOf,
    empty: Callable[[str], Catalogue],
) -> None:
    """What was put under keys that are lost opens with nothing: it is passed by, and nobody's attack."""

    def away() -> None:
        raise StoreUnavailable("away")

    for _ in range(BREAKS):
        with pytest.raises(StoreUnavailable, match=r"^away$"):
            house.ingest(store=WithBarrier(house.store, away)).archive(finished, outcome_of(finished))
        house.vault.destroy(house.vault.current(bakery.id, DAY).id)
    archived = house.ingest().archive(finished, outcome_of(finished))
    assert {stored.key.rpartition(".")[2] for stored in archived.objects} == {str(BREAKS + 1)}
    assert archived.recording.flags == finished.recording.flags
    assert heard(playback, finished) == finished.audio
    assert list(house.intents.glob("*")) == []
    assert rebuild(house.store, house.vault, empty("earwitness_operator")) == 1
    scope = AccessScope(tenant_id=bakery.id, actor="user:1", role=Role.AUDITOR)
    back: ArchivedRecording = recordings.get(empty("earwitness_portal"), scope, finished.recording.id)
    assert back == archived


def test_strangers_are_told_though_keys_were_lost(
    house: object, bakery: Tenant, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    """One name more for each lost key, and not one more."""

    def away() -> None:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        house.ingest(store=WithBarrier(house.store, away)).archive(finished, outcome_of(finished))
    house.vault.destroy(house.vault.current(bakery.id, DAY).id)
    key = f"{bakery.id}/{finished.recording.id}/audio"
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    house.store.put(f"{key}.2", b"", None, sha256=digest)
    archived = house.ingest().archive(finished, outcome_of(finished))
    assert archived.objects[0].key == f"{key}.3"
    assert [flag for flag in archived.recording.flags if flag.startswith("stray")] == ["stray-object:audio"]
