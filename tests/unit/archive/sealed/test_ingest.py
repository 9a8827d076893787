"""A finished recording becomes five sealed, locked, verified objects, one row and one entry."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from archive.access import AccessScope
from archive.catalogue import recordings, sessions
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.data_key import KeysUnavailable, object_binding, open_data_key
from archive.errors import DependencyUnavailable, NotFound, StoreClockDiffers, StoreUnavailable
from archive.model import (
    ArchivedRecording,
    FinishedRecording,
    ObjectKind,
    RecordingState,
    Role,
    SessionOutcome,
    Tenant,
)
from archive.sealed_object import pin_of
from archive.store.memory import MemoryStore
from archive.store.object import StoreCorrupts, sha256_hex, whole_second
from keys.streaming_aead import open_sealed

AUDIO_BEGIN = b"fLaC" + bytes(range(16))
OutcomeOf = Callable[[FinishedRecording], SessionOutcome]


def auditor(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant_id=tenant.id, actor="user:1", role=Role.AUDITOR)


def test_every_object_is_sealed_locked_and_pinned(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    archived = house.ingest().archive(finished, outcome_of(finished))
    recording = archived.recording
    assert [stored.kind for stored in archived.objects] == list(ObjectKind)
    for stored in archived.objects:
        assert stored.key == f"{recording.tenant_id}/{recording.id}/{stored.kind}"
        data, facts = house.store.fetch(stored.key, stored.version_id)
        assert (len(data), sha256_hex(data)) == (stored.ciphertext_bytes, stored.ciphertext_sha256)
        assert (facts.mode, facts.retain_until) == ("GOVERNANCE", whole_second(recording.retain_until))
        assert facts.retain_until >= recording.retain_until
        for secret in (AUDIO_BEGIN, b"peakspeaks", b"+31612345678", b"Jansen", b"revisions"):
            assert secret not in data


def test_objects_open_with_the_wrapped_key_alone(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    archived = house.ingest().archive(finished, outcome_of(finished))
    recording = archived.recording
    key = open_data_key(
        house.vault, recording.tenant_id, recording.id, archived.kek_id, archived.wrapped_key
    ).key
    plain = {ObjectKind.AUDIO: finished.audio, ObjectKind.PEAKS: finished.peaks,
             ObjectKind.TIMELINE: finished.timeline, ObjectKind.METADATA: finished.metadata}  # fmt: skip
    for stored in archived.objects[:-1]:
        sealed = house.store.get(stored.key, stored.version_id)
        binding = object_binding(recording.tenant_id, recording.id, stored.kind)
        assert open_sealed(key, binding, sealed, pin_of(stored)) == plain[stored.kind]
        assert stored.plaintext_sha256 == sha256_hex(plain[stored.kind])


def test_row_outcome_and_audit_entry_are_committed_together(
    house: object, portal: Catalogue, bakery: Tenant, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    archived = house.ingest().archive(finished, outcome_of(finished))
    recording = archived.recording
    assert recordings.get(portal, auditor(bakery), recording.id) == archived
    assert (recording.state, recording.sha256) == (RecordingState.AVAILABLE, sha256_hex(finished.audio))
    (outcome,) = sessions.find(portal, auditor(bakery)).items
    assert outcome == outcome_of(finished)
    (entry,) = of_object(portal, bakery.id, f"recording:{recording.id}")
    assert (entry.action, entry.actor, entry.result) == ("recording.archived", "service:recorder", "ok")
    assert entry.body["audio"] == archived.objects[0].ciphertext_sha256


def test_the_kek_is_of_the_tenant_and_the_amsterdam_day_of_expiry(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    """20 February 23:30 in UTC is the 21st in Amsterdam."""
    late = finished.recording.retain_until.replace(hour=23, minute=30)
    finished = dataclasses.replace(
        finished, recording=dataclasses.replace(finished.recording, retain_until=late)
    )
    archived = house.ingest().archive(finished, outcome_of(finished))
    assert archived.kek_id == f"{finished.recording.tenant_id}/2027-02-21/1"


def test_the_header_of_the_record_object_holds_no_personal_data(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    archived = house.ingest().archive(finished, outcome_of(finished))
    stored = archived.objects[-1]
    line = house.store.get(stored.key, stored.version_id).split(b"\n", 1)[0]
    header = json.loads(line)
    assert set(header) == {"format", "kek_id", "wrapped_key", "objects", "record"}
    assert header["kek_id"] == archived.kek_id
    assert [item["kind"] for item in header["objects"]] == ["audio", "peaks", "timeline", "metadata"]


def test_archiving_again_changes_nothing(
    house: object, portal: Catalogue, bakery: Tenant, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    first = house.ingest().archive(finished, outcome_of(finished))
    versions = house.store.versions("")
    assert house.ingest().archive(finished, outcome_of(finished)) == first
    assert house.store.versions("") == versions
    assert len(of_object(portal, bakery.id, f"recording:{first.recording.id}")) == 1


def test_the_intent_stands_before_the_first_object_and_goes_at_the_end(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    seen: list[list[str]] = []

    class Watching(MemoryStore):
        def put(self, *args: object, **more: object) -> str:
            seen.append([path.name for path in house.intents.iterdir()])
            return super().put(*args, **more)

    archived = house.ingest(store=Watching(house.clock)).archive(finished, outcome_of(finished))
    assert seen == [[f"{archived.recording.id}.intent"]] * 5
    assert list(house.intents.iterdir()) == []


@pytest.mark.parametrize(("apart_s", "refused"), [(60, False), (-60, False), (61, True), (-61, True)])
def test_nothing_is_locked_by_a_clock_that_is_wrong(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf, apart_s: int, refused: bool
) -> None:
    class Skewed(MemoryStore):
        def clock(self) -> object:
            return house.clock.now() + timedelta(seconds=apart_s)

    store = Skewed(house.clock)
    if not refused:
        house.ingest(store=store).archive(finished, outcome_of(finished))
        return
    with pytest.raises(StoreClockDiffers):
        house.ingest(store=store).archive(finished, outcome_of(finished))
    assert store.versions("") == []
    house.ingest().archive(finished, outcome_of(finished))


def test_a_term_that_is_over_gets_no_lock(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    """A recording that waited longer than its term must not be locked beyond it."""
    house.clock.moment = finished.recording.retain_until + timedelta(days=1)
    archived = house.ingest().archive(finished, outcome_of(finished))
    facts = [house.store.head(stored.key, stored.version_id) for stored in archived.objects]
    assert [item.retain_until for item in facts] == [None] * 5


def test_a_store_without_locks_is_used_without(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    store = MemoryStore(house.clock, lock=False)
    archived = house.ingest(store=store).archive(finished, outcome_of(finished))
    assert store.head(archived.objects[0].key, archived.objects[0].version_id).mode is None


def test_a_store_that_drops_the_lock_is_not_believed(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    class Forgetful(MemoryStore):
        def put(self, key: str, data: bytes, retain_until: object, *args: object, **more: object) -> str:
            return super().put(key, data, None, *args, **more)

    with pytest.raises(StoreCorrupts):
        house.ingest(store=Forgetful(house.clock)).archive(finished, outcome_of(finished))


def test_wrong_bytes_behind_a_200_are_noticed_and_a_new_name_is_used(
    house: object, portal: Catalogue, bakery: Tenant, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    class Rotting(MemoryStore):
        rots = True

        def barrier(self) -> None:
            if self.rots:
                version = next(item for item in self.versions("") if item.key.endswith("/peaks"))
                self.damage(version.key, version.version_id, b"x" * version.size_bytes)
            self.rots = False

    store = Rotting(house.clock)
    with pytest.raises(StoreCorrupts):
        house.ingest(store=store).archive(finished, outcome_of(finished))
    with pytest.raises(NotFound):
        recordings.get(portal, auditor(bakery), finished.recording.id)
    archived = house.ingest(store=store).archive(finished, outcome_of(finished))
    names = {stored.kind: stored.key.rpartition("/")[2] for stored in archived.objects}
    assert names == {ObjectKind.AUDIO: "audio", ObjectKind.PEAKS: "peaks.2", ObjectKind.TIMELINE: "timeline",
                     ObjectKind.METADATA: "metadata", ObjectKind.RECORD: "record.2"}  # fmt: skip
    assert archived.recording.flags == ("late-start", "stray-object:peaks", "stray-object:record")


def test_a_stray_at_the_key_is_left_alone(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    key = f"{finished.recording.tenant_id}/{finished.recording.id}/audio"
    stray = house.store.put(key, b"strange", None, sha256=sha256_hex(b"strange"))
    archived = house.ingest().archive(finished, outcome_of(finished))
    assert archived.objects[0].key == f"{key}.2"
    assert house.store.get(key, stray) == b"strange"
    assert "stray-object:audio" in archived.recording.flags


def test_strays_at_every_name_end_it(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    key = f"{finished.recording.tenant_id}/{finished.recording.id}/audio"
    for name in (key, *(f"{key}.{number}" for number in range(2, 9))):
        house.store.put(name, b"strange", None, sha256=sha256_hex(b"strange"))
    with pytest.raises(StoreCorrupts, match="8 strange objects"):
        house.ingest().archive(finished, outcome_of(finished))


def test_a_key_store_that_is_away_keeps_the_work(
    house: object, key_directory: Path, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    away = key_directory.rename(key_directory.with_name("away"))
    with pytest.raises(KeysUnavailable) as refused:
        house.ingest().archive(finished, outcome_of(finished))
    assert isinstance(refused.value, DependencyUnavailable)
    assert house.store.versions("") == []
    away.rename(key_directory)
    house.ingest().archive(finished, outcome_of(finished))


def test_a_kek_destroyed_under_a_waiting_ingest_gives_a_new_key(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    """An early erasure of a sibling must not bury a recording that is still in the journal."""

    class Failing(MemoryStore):
        fails = True

        def barrier(self) -> None:
            if self.fails:
                raise StoreUnavailable("away")

    store = Failing(house.clock)
    with pytest.raises(StoreUnavailable):
        house.ingest(store=store).archive(finished, outcome_of(finished))
    store.fails = False
    house.vault.destroy(f"{finished.recording.tenant_id}/2027-02-20/1")
    archived = house.ingest(store=store).archive(finished, outcome_of(finished))
    assert archived.kek_id.endswith("/2")
    assert all(stored.key.endswith(".2") for stored in archived.objects)


def test_a_database_that_is_away_is_a_dependency(
    house: object, finished: FinishedRecording, outcome_of: OutcomeOf, tmp_path: Path
) -> None:
    nowhere = Catalogue(f"postgresql+psycopg://x@/x?host={tmp_path}", timeout_s=2)
    with pytest.raises(DependencyUnavailable):
        house.ingest(catalogue=nowhere).archive(finished, outcome_of(finished))
    nowhere.close()
    house.ingest().archive(finished, outcome_of(finished))


def test_two_recordings_of_one_session_share_its_outcome(
    house: object,
    portal: Catalogue,
    bakery: Tenant,
    finished: FinishedRecording,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: OutcomeOf,
) -> None:
    other = make_finished(make_recording(bakery.id, session_id=finished.recording.session_id).recording)
    house.ingest().archive(finished, outcome_of(finished))
    house.ingest().archive(other, outcome_of(other))
    (outcome,) = sessions.find(portal, auditor(bakery)).items
    assert set(outcome.recording_ids) == {finished.recording.id, other.recording.id}


def test_a_recording_in_quarantine_is_stored_without_a_lock(
    house: object, portal: Catalogue, bakery: Tenant, finished: FinishedRecording, outcome_of: OutcomeOf
) -> None:
    """An administrator may destroy it, so nothing may keep it; sealed and verified it is like any other."""
    unknown = dataclasses.replace(finished.recording, state=RecordingState.QUARANTINED, owner=None)
    finished = dataclasses.replace(finished, recording=unknown)
    archived = house.ingest().archive(finished, outcome_of(finished))
    assert archived.recording.state is RecordingState.QUARANTINED
    assert recordings.get(portal, auditor(bakery), unknown.id) == archived
    for stored in archived.objects:
        data, facts = house.store.fetch(stored.key, stored.version_id)
        assert (facts.mode, facts.retain_until) == (None, None)
        assert (sha256_hex(data), AUDIO_BEGIN in data) == (stored.ciphertext_sha256, False)
    (entry,) = of_object(portal, bakery.id, f"recording:{unknown.id}")
    assert entry.action == "recording.quarantined"
    assert house.ingest().archive(finished, outcome_of(finished)) == archived
