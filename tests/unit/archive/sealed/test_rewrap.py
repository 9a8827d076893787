"""A KEK gives way to the next: everything that stays is opened, nothing else is, whatever stops."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import keks, recordings
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.errors import Conflict, KeyRetired, NotFound, VerificationFailed
from archive.ingest import Ingest
from archive.key_object import is_key_object
from archive.model import (
    ArchivedRecording,
    FinishedRecording,
    ObjectKind,
    Role,
    SessionOutcome,
    Tenant,
)
from archive.placing import objects_prefix
from archive.playback import Action, Playback
from archive.rewrap import Rewrapping
from archive.store.object import StoreCorrupts, sha256_hex
from keys.errors import KeyDestroyed
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring

BECAUSE = {"actor": "operator:0", "reason": "rotation"}


class Stopped(BaseException):
    """The process is gone."""


class Stopping:
    """Any object whose listed methods count as effects; the one with a number is the last, done or not."""

    def __init__(self, inner: object, course: list[int], methods: set[str], *, after: bool) -> None:
        self._inner, self._course, self._methods, self._after = inner, course, methods, after

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        return self._step(found) if name in self._methods else found

    def _step(self, found: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object, **more: object) -> object:
            self._course[0] -= 1
            if self._course[0] == 0 and not self._after:
                raise Stopped
            result = found(*args, **more)
            if self._course[0] == 0:
                raise Stopped
            return result

        return act


@pytest.fixture
def rewrapping(house: object, worker: Catalogue) -> Callable[..., Rewrapping]:
    def make(**other: object) -> Rewrapping:
        parts = {
            "store": house.store,
            "vault": house.vault,
            "catalogue": worker,
            "audit": AuditWriter(worker, "worker/test"),
            "clock": house.clock,
        }
        return Rewrapping(**{**parts, **other})

    return make


def scope_of(archived: ArchivedRecording) -> AccessScope:
    return AccessScope(tenant_id=archived.recording.tenant_id, actor="user:1", role=Role.AUDITOR)


def heard(playback: Playback, archived: ArchivedRecording) -> bytes:
    reader = playback.open_object(scope_of(archived), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    return reader.read(0, reader.length)


def now(house: object, archived: ArchivedRecording) -> ArchivedRecording:
    return recordings.get(house.catalogue, scope_of(archived), archived.recording.id)


def test_everything_that_stays_is_opened_by_the_next_version_and_the_old_one_opens_nothing(
    house: object,
    playback: Playback,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
) -> None:
    """C7: after a rotation the old KEK is unusable, and everything is played."""
    old = siblings[0].kek_id
    told: list[int] = []
    count = rewrapping(tell=told.append).supersede(siblings[0].recording.tenant_id, old, **BECAUSE)
    assert (count, told) == (3, [3])
    assert {now(house, each).kek_id for each in siblings} == {old.removesuffix("1") + "2"}
    for each in siblings:
        assert heard(playback, each).startswith(b"fLaC")
    with pytest.raises(KeyDestroyed):
        house.vault.get(old)


def test_early_erasure_ends_one_recording_and_spares_its_siblings(
    house: object,
    playback: Playback,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
) -> None:
    erased, *others = siblings
    ending = [erased.recording.id]
    count = rewrapping().supersede(erased.recording.tenant_id, erased.kek_id, ending=ending, **BECAUSE)
    assert count == 2
    with pytest.raises(NotFound, match="destroyed"):
        heard(playback, erased)
    for each in others:
        assert heard(playback, each).startswith(b"fLaC")


def test_where_nothing_is_to_stay_no_next_version_is_made(
    house: object,
    key_directory: Path,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
) -> None:
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    ending = [each.recording.id for each in siblings]
    assert rewrapping().supersede(tenant_id, kek_id, ending=ending, **BECAUSE) == 0
    assert DirectoryKeyStore(key_directory).list("") == ()


def test_the_key_stands_beside_the_objects_under_their_lock(
    house: object, siblings: list[ArchivedRecording], rewrapping: Callable[..., Rewrapping]
) -> None:
    recording = siblings[0].recording
    rewrapping().supersede(recording.tenant_id, siblings[0].kek_id, **BECAUSE)
    versions = house.store.versions(objects_prefix(recording.tenant_id, recording.id))
    [key] = [each for each in versions if is_key_object(each.key)]
    assert house.store.head(key.key, key.version_id).retain_until >= recording.retain_until


def test_the_key_of_a_recording_on_its_way_out_has_no_lock(
    house: object, database: object, siblings: list[ArchivedRecording], rewrapping: Callable[..., Rewrapping]
) -> None:
    """Its destruction deletes whatever stands beside it, and a lock would keep that."""
    recording = siblings[0].recording
    with database.connect() as admin:
        admin.execute("UPDATE recordings SET state = 'deleting' WHERE id = %s", (recording.id,))
    rewrapping().supersede(recording.tenant_id, siblings[0].kek_id, **BECAUSE)
    versions = house.store.versions(objects_prefix(recording.tenant_id, recording.id))
    [key] = [each for each in versions if is_key_object(each.key)]
    house.store.delete(key.key, key.version_id)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_stop_at_any_step_loses_nothing_and_is_gone_on_from(
    house: object,
    playback: Playback,
    worker: Catalogue,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
    after: bool,
) -> None:
    """C7: restartable wherever it stopped, and everything is played at every moment."""
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    stops = 0
    while True:
        course = [stops + 1]
        store = Stopping(house.store, course, {"put", "barrier", "fetch", "clock"}, after=after)
        vault = Stopping(house.vault, course, {"rotate", "current", "destroy"}, after=after)
        catalogue = Stopping(worker, course, {"transaction"}, after=after)
        try:
            rewrapping(store=store, vault=vault, catalogue=catalogue).supersede(tenant_id, kek_id, **BECAUSE)
        except Stopped:
            stops += 1
            for each in siblings:
                assert heard(playback, each).startswith(b"fLaC")
            continue
        break
    # Later tries find most of it done; each still stops one step further than the one before.
    assert stops >= 10
    assert {now(house, each).kek_id for each in siblings} == {kek_id.removesuffix("1") + "2"}
    with pytest.raises(KeyDestroyed):
        house.vault.get(kek_id)
    assert keks.unfinished(worker, tenant_id) == ()
    prefix = objects_prefix(tenant_id, siblings[0].recording.id)
    assert sum(is_key_object(each.key) for each in house.store.versions(prefix)) == 1


def test_a_recording_that_is_being_archived_meanwhile_hangs_from_the_next_version(
    house: object,
    playback: Playback,
    bakery: Tenant,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    finished = make_finished(make_recording(bakery.id, minutes=9).recording)

    class Interrupted:
        """A store at whose barrier, when all objects are put, the KEK of the day is superseded."""

        def __init__(self) -> None:
            self.done = False

        def __getattr__(self, name: str) -> object:
            return getattr(house.store, name)

        def barrier(self) -> None:
            if not self.done:
                self.done = True
                rewrapping().supersede(bakery.id, siblings[0].kek_id, **BECAUSE)

    archived = house.ingest(store=Interrupted()).archive(finished, outcome_of(finished))
    assert archived.kek_id == siblings[0].kek_id.removesuffix("1") + "2"
    assert now(house, archived).kek_id == archived.kek_id
    assert heard(playback, archived).startswith(b"fLaC")


def test_a_retired_key_takes_nothing_new(
    house: object, worker: Catalogue, siblings: list[ArchivedRecording]
) -> None:
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    keks.retire(worker, tenant_id, kek_id, now=house.clock.now())
    with pytest.raises(KeyRetired), house.catalogue.transaction(tenant_id) as connection:
        keks.hold(connection, kek_id)


def test_retiring_waits_for_who_is_about_to_commit(
    house: object, worker: Catalogue, siblings: list[ArchivedRecording]
) -> None:
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    retiring = threading.Thread(
        target=keks.retire, args=(worker, tenant_id, kek_id), kwargs={"now": house.clock.now()}
    )
    with house.catalogue.transaction(tenant_id) as connection:
        keks.hold(connection, kek_id)
        retiring.start()
        retiring.join(0.2)
        assert retiring.is_alive()
        assert keks.unfinished(worker, tenant_id) == ()
    retiring.join(10)
    assert keks.unfinished(worker, tenant_id) == (kek_id,)


def test_a_stranger_at_the_name_of_a_key_is_passed_by(
    house: object,
    playback: Playback,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
) -> None:
    recording, kek_id = siblings[0].recording, siblings[0].kek_id
    day = kek_id.split("/")[1]
    name = f"{objects_prefix(recording.tenant_id, recording.id)}key.{day}.2"
    for data in (b"[]", b'{"format": "earwitness key 1", "kek_id": "x", "wrapped_key": "AAAA"}'):
        house.store.put(name, data, None, sha256=sha256_hex(data))
        name = f"{objects_prefix(recording.tenant_id, recording.id)}key.{day}.2.2"
    rewrapping().supersede(recording.tenant_id, kek_id, **BECAUSE)
    assert heard(playback, siblings[0]).startswith(b"fLaC")


def test_a_wrapped_key_that_was_altered_keeps_the_old_kek_alive(
    house: object,
    database: object,
    playback: Playback,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
) -> None:
    """C6: a wrapped key of another recording is refused, and nothing is destroyed over it."""
    one, other, _ = siblings
    with database.connect() as admin:
        admin.execute(
            "UPDATE recordings SET wrapped_key = %s WHERE id = %s",
            (other.wrapped_key, one.recording.id),
        )
    with pytest.raises(VerificationFailed):
        rewrapping().supersede(one.recording.tenant_id, one.kek_id, **BECAUSE)
    assert heard(playback, other).startswith(b"fLaC")
    assert house.vault.get(one.kek_id)


def test_a_store_that_loses_the_new_key_keeps_the_old_kek_alive(
    house: object, siblings: list[ArchivedRecording], rewrapping: Callable[..., Rewrapping]
) -> None:
    class Forgetful:
        def __getattr__(self, name: str) -> object:
            return getattr(house.store, name)

        def fetch(self, key: str, version_id: str) -> object:
            raise NotFound("There is no such version.")

    with pytest.raises(StoreCorrupts):
        rewrapping(store=Forgetful()).supersede(
            siblings[0].recording.tenant_id, siblings[0].kek_id, **BECAUSE
        )
    assert house.vault.get(siblings[0].kek_id)


def test_a_reader_that_read_the_row_before_reads_it_again(
    house: object,
    portal: Catalogue,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
) -> None:
    """C7: no read fails, not even one that began before the old KEK went."""

    class Slow(KekVault):
        """A vault of another process: by the time it is asked, the KEK is gone."""

        def get(self, kek_id: str) -> object:
            if kek_id == siblings[0].kek_id:
                rewrapping().supersede(siblings[0].recording.tenant_id, kek_id, **BECAUSE)
            return house.vault.get(kek_id)

    vault = Slow(house.vault._root, house.vault._store)
    playback = Playback(house.store, vault, portal, AuditWriter(portal, "portal/slow"), house.clock)
    assert heard(playback, siblings[0]).startswith(b"fLaC")


def test_the_log_tells_who_ended_a_key_and_why(
    portal: Catalogue, siblings: list[ArchivedRecording], rewrapping: Callable[..., Rewrapping]
) -> None:
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    for _ in range(2):
        rewrapping().supersede(tenant_id, kek_id, **BECAUSE)
    [entry] = of_object(portal, tenant_id, f"kek:{kek_id}")
    assert (entry.actor, entry.action) == ("operator:0", "key.destroy")
    assert entry.body == {"reason": "rotation", "rewrapped": 3, "ending": 0}


def test_the_key_of_another_tenant_is_no_business_of_the_caller(
    florist: Tenant, siblings: list[ArchivedRecording], rewrapping: Callable[..., Rewrapping]
) -> None:
    with pytest.raises(ValueError, match="not one of this tenant"):
        rewrapping().supersede(florist.id, siblings[0].kek_id, **BECAUSE)


def test_rows_that_never_come_to_rest_are_told(
    siblings: list[ArchivedRecording], rewrapping: Callable[..., Rewrapping], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keks, "hand_over_all", lambda *_arguments: 0)
    with pytest.raises(Conflict, match="call again"):
        rewrapping().supersede(siblings[0].recording.tenant_id, siblings[0].kek_id, **BECAUSE)


def test_another_root_opens_nothing(siblings: list[ArchivedRecording], key_directory: Path) -> None:
    """C6: the key store alone is not enough."""
    stranger = KekVault(LocalKeyring(bytes(32)), DirectoryKeyStore(key_directory))
    with pytest.raises(Exception, match="altered, or wrapped by another"):
        stranger.get(siblings[0].kek_id)


def test_recordings_are_listed_by_the_key_they_hang_from(
    worker: Catalogue, siblings: list[ArchivedRecording]
) -> None:
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    assert keks.used(worker, tenant_id) == {kek_id: 3}
    assert dataclasses.astuple(keks.key_of(worker, tenant_id, siblings[1].recording.id)) == (
        kek_id,
        siblings[1].wrapped_key,
    )


def test_of_a_batch_only_those_rows_change_whose_key_is_still_the_former_one(
    worker: Catalogue, siblings: list[ArchivedRecording]
) -> None:
    """Another process was quicker with one; whose tenant it is counts too."""
    tenant_id, kek_id = siblings[0].recording.tenant_id, siblings[0].kek_id
    ids = [each.recording.id for each in siblings]
    former = [keks.WrappedKey(each.kek_id, each.wrapped_key) for each in siblings]
    former[1] = keks.WrappedKey(kek_id, b"what it was before")
    new = [keks.WrappedKey(f"{kek_id[:-1]}2", f"new {n}".encode()) for n in range(3)]
    changes = list(zip(reversed(ids), reversed(former), reversed(new), strict=True))
    with worker.transaction(tenant_id) as connection:
        assert keks.hand_over_all(connection, tenant_id, []) == 0
        assert keks.hand_over_all(connection, tenant_id, changes) == 2
        assert keks.hand_over_all(connection, tenant_id, changes) == 0
    found = [keks.key_of(worker, tenant_id, each) for each in ids]
    assert found == [new[0], keks.WrappedKey(kek_id, siblings[1].wrapped_key), new[2]]


def test_a_stop_after_the_key_was_wrapped_anew_is_gone_on_from_with_the_same_objects(
    house: object,
    playback: Playback,
    bakery: Tenant,
    siblings: list[ArchivedRecording],
    rewrapping: Callable[..., Rewrapping],
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The intent names the key as it is wrapped now, so that a rerun needs no second audio."""
    finished = make_finished(make_recording(bakery.id, minutes=9).recording)
    commit = Ingest._commit
    tries = iter(("rotated", "stopped"))

    def interrupted(ingest: Ingest, *arguments: object) -> ArchivedRecording:
        if next(tries) == "stopped":
            raise Stopped
        rewrapping().supersede(bakery.id, siblings[0].kek_id, **BECAUSE)
        return commit(ingest, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "_commit", interrupted)
        with pytest.raises(Stopped):
            house.ingest().archive(finished, outcome_of(finished))
    archived = house.ingest().archive(finished, outcome_of(finished))
    assert archived.kek_id == siblings[0].kek_id.removesuffix("1") + "2"
    assert heard(playback, archived) == finished.audio
    prefix = objects_prefix(bakery.id, archived.recording.id)
    assert len([each for each in house.store.versions(prefix) if "/audio" in each.key]) == 1
    assert list(house.intents.glob("*")) == []
