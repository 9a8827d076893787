"""Bucket and key store are enough to have every recording back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import keks, migrate, recordings, retention_clocks, sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_clocks import GoodTime
from archive.errors import NotFound
from archive.model import (
    ArchivedRecording,
    FinishedRecording,
    ObjectKind,
    RecordingState,
    Role,
    SessionOutcome,
    Tenant,
)
from archive.playback import Action, Playback
from archive.rebuild import rebuild
from archive.rewrap import Rewrapping
from archive.store.memory import MemoryStore
from archive.store.object import sha256_hex


@pytest.fixture
def archive_many(
    house: object,
    bakery: Tenant,
    florist: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> list[tuple[ArchivedRecording, FinishedRecording]]:
    made = []
    for minutes, tenant in enumerate((bakery, florist, bakery)):
        finished = make_finished(make_recording(tenant.id, minutes=minutes).recording)
        made.append((house.ingest().archive(finished, outcome_of(finished)), finished))
    return made


def scope_of(archived: ArchivedRecording) -> AccessScope:
    return AccessScope(tenant_id=archived.recording.tenant_id, actor="user:1", role=Role.AUDITOR)


def test_every_recording_is_back_and_opens(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    operator, portal = empty("earwitness_operator"), empty("earwitness_portal")
    assert rebuild(house.store, house.vault, operator) == 3
    playback = Playback(house.store, house.vault, portal, AuditWriter(portal, "portal/new"), house.clock)
    for archived, finished in archive_many:
        assert recordings.get(portal, scope_of(archived), archived.recording.id) == archived
        reader = playback.open_object(
            scope_of(archived), archived.recording.id, ObjectKind.AUDIO, Action.PLAY
        )
        assert reader.read(0, reader.length) == finished.audio
        assert outcome_of(finished) in sessions.find(portal, scope_of(archived)).items


def test_a_rebuilt_catalogue_knows_no_more_of_the_time_than_its_newest_recording(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    """The clock that ran on the empty host before may have been years ahead (promise R3)."""
    operator, newest = (
        empty("earwitness_operator"),
        max(each.recording.started_at for each, _ in archive_many),
    )
    ahead = house.clock.now() + timedelta(days=8 * 365)
    retention_clocks.keep(operator, GoodTime("one", ahead, "boot-1", 20.0))
    assert retention_clocks.newest_recording(operator) is None
    rebuild(house.store, house.vault, operator)
    assert retention_clocks.newest_recording(operator) == newest
    known = GoodTime(retention_clocks.REBUILT, newest, "", 0.0, exact=False)
    assert retention_clocks.good_times(operator) == [known]
    retention_clocks.keep(operator, GoodTime("one", ahead, "boot-1", 20.0))
    assert rebuild(house.store, house.vault, operator) == 0
    assert len(retention_clocks.good_times(operator)) == 2, "nothing came back, so nothing begins anew"


def test_a_copy_of_the_bucket_serves_as_well_though_its_versions_have_other_ids(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    """What tools for S3 make as a backup."""
    copy = MemoryStore(house.clock)
    for version in reversed(house.store.versions("")):
        data = house.store.get(version.key, version.version_id)
        copy.put(version.key, data, None, sha256=sha256_hex(data))
    operator, portal = empty("earwitness_operator"), empty("earwitness_portal")
    assert rebuild(copy, house.vault, operator) == 3
    playback = Playback(copy, house.vault, portal, AuditWriter(portal, "portal/new"), house.clock)
    for archived, finished in archive_many:
        found = recordings.get(portal, scope_of(archived), archived.recording.id)
        assert found.objects != archived.objects
        reader = playback.open_object(
            scope_of(archived), archived.recording.id, ObjectKind.AUDIO, Action.PLAY
        )
        assert reader.read(0, reader.length) == finished.audio


def test_a_copy_with_an_altered_object_does_not_serve_for_its_recording(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    """An object of the right length alone is not enough."""
    audio = archive_many[0][0].objects[0].key
    copy = MemoryStore(house.clock)
    for version in reversed(house.store.versions("")):
        data = house.store.get(version.key, version.version_id)
        data = bytes([data[0], data[1] ^ 1, *data[2:]]) if version.key == audio else data
        copy.put(version.key, data, None, sha256=sha256_hex(data))
    assert rebuild(copy, house.vault, empty("earwitness_operator")) == 2


def test_a_second_run_adds_nothing(
    house: object, empty: Callable[[str], Catalogue], archive_many: list[object]
) -> None:
    operator = empty("earwitness_operator")
    assert rebuild(house.store, house.vault, operator) == 3
    assert rebuild(house.store, house.vault, operator) == 0


def test_forged_records_delete_markers_and_rubbish_change_nothing(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    (first, _), (second, _), _ = archive_many
    stolen = house.store.get(second.objects[-1].key, second.objects[-1].version_id)
    rubbish = {
        f"{first.objects[-1].key}.2": stolen,
        f"{first.objects[-1].key}.3": b"no header at all",
        f"{first.objects[-1].key}.4": b'{"format": "other"}\n',
        "loose": b"x",
        f"{first.recording.tenant_id}/unknown/record": stolen,
        f"{first.recording.tenant_id}/unknown/audio": b"x",
    }
    for key, data in rubbish.items():
        house.store.put(key, data, None, sha256=sha256_hex(data))
    operator = empty("earwitness_operator")
    assert rebuild(house.store, house.vault, operator) == 3
    assert recordings.get(operator, scope_of(first), first.recording.id) == first


def test_the_set_that_counts_is_the_one_rebuilt_when_there_are_strays(
    house: object,
    empty: Callable[[str], Catalogue],
    finished: FinishedRecording,
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    key = f"{finished.recording.tenant_id}/{finished.recording.id}/audio"
    house.store.put(key, b"stray", None, sha256=sha256_hex(b"stray"))
    archived = house.ingest().archive(finished, outcome_of(finished))
    operator = empty("earwitness_operator")
    assert rebuild(house.store, house.vault, operator) == 1
    assert recordings.get(operator, scope_of(archived), archived.recording.id) == archived


def test_a_recording_whose_key_was_destroyed_stays_gone(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    """Expiry destroyed the key of a day; a rebuild must not bring its rows back."""
    archived = archive_many[1][0]
    house.vault.destroy(archived.kek_id)
    assert rebuild(house.store, house.vault, empty("earwitness_operator")) == 2


def test_a_recording_whose_audio_is_damaged_is_not_pretended_to_be_there(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    stored = archive_many[0][0].objects[0]
    house.store.damage(stored.key, stored.version_id, b"short")
    assert rebuild(house.store, house.vault, empty("earwitness_operator")) == 2


def test_a_record_that_names_no_key_of_ours_is_passed_over(
    house: object,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    archived = archive_many[0][0]
    record = archived.objects[-1]
    data = house.store.get(record.key, record.version_id).replace(
        archived.kek_id.encode(), b"../../etc/passwd", 1
    )
    house.store.damage(record.key, record.version_id, data)
    assert rebuild(house.store, house.vault, empty("earwitness_operator")) == 2


def test_a_recording_in_quarantine_is_back_in_quarantine(
    house: object,
    empty: Callable[[str], Catalogue],
    finished: FinishedRecording,
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    """Its term goes on, and whoever may decide on it still may."""
    unknown = dataclasses.replace(finished.recording, state=RecordingState.QUARANTINED, owner=None)
    finished = dataclasses.replace(finished, recording=unknown)
    archived = house.ingest().archive(finished, outcome_of(finished))
    operator = empty("earwitness_operator")
    assert rebuild(house.store, house.vault, operator) == 1
    assert recordings.get(operator, scope_of(archived), unknown.id) == archived


def test_a_recording_whose_key_was_wrapped_anew_is_back_too(
    house: object,
    worker: Catalogue,
    empty: Callable[[str], Catalogue],
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    """The locked record names a KEK that is gone; the key beside it opens."""
    first = archive_many[0][0]
    rewrapping = Rewrapping(house.store, house.vault, worker, AuditWriter(worker, "worker/test"), house.clock)
    for kek_id in (first.kek_id, first.kek_id.removesuffix("1") + "2"):
        rewrapping.supersede(first.recording.tenant_id, kek_id, actor="operator:0", reason="rotation")
    assert rebuild(house.store, house.vault, empty(migrate.ROLES[3])) == len(archive_many)
    portal = empty(migrate.ROLES[1])
    playback = Playback(house.store, house.vault, portal, AuditWriter(portal, "portal/rebuilt"))
    for archived, finished in archive_many:
        reader = playback.open_object(
            scope_of(archived), archived.recording.id, ObjectKind.AUDIO, Action.PLAY
        )
        assert reader.read(0, reader.length) == finished.audio
    rebuilt = recordings.get(portal, scope_of(first), first.recording.id)
    assert rebuilt.kek_id == first.kek_id.removesuffix("1") + "3"


def set_back(database: Any, archived: ArchivedRecording) -> None:
    """Give a row back the key that last night's dump has."""
    database.connect().execute(
        "UPDATE recordings SET kek_id = %s, wrapped_key = %s WHERE id = %s",
        (archived.kek_id, archived.wrapped_key, archived.recording.id),
    )


def test_a_restored_row_whose_key_gave_way_since_opens_after_a_rebuild(
    house: object,
    worker: Catalogue,
    lasting: Callable[[str], Catalogue],
    database: Any,
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    """A database of last night knows nothing of the rotation after it; the bucket does."""
    first, finished = archive_many[0]
    rewrapping = Rewrapping(house.store, house.vault, worker, AuditWriter(worker, "worker/test"), house.clock)
    rewrapping.supersede(first.recording.tenant_id, first.kek_id, actor="operator:0", reason="rotation")
    set_back(database, first)
    portal = lasting(migrate.ROLES[1])
    playback = Playback(house.store, house.vault, portal, AuditWriter(portal, "portal/restored"))
    with pytest.raises(NotFound, match="destroyed"):
        playback.open_object(scope_of(first), first.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert rebuild(house.store, house.vault, lasting(migrate.ROLES[3])) == 0
    reader = playback.open_object(scope_of(first), first.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert reader.read(0, reader.length) == finished.audio


def test_a_rotation_goes_on_over_a_restored_row(
    house: object,
    worker: Catalogue,
    database: Any,
    archive_many: list[tuple[ArchivedRecording, FinishedRecording]],
) -> None:
    first = archive_many[0][0]
    rewrapping = Rewrapping(house.store, house.vault, worker, AuditWriter(worker, "worker/test"), house.clock)
    because = {"actor": "operator:0", "reason": "rotation"}
    rewrapping.supersede(first.recording.tenant_id, first.kek_id, **because)
    set_back(database, first)
    assert rewrapping.supersede(first.recording.tenant_id, first.kek_id, **because) == 1
    assert keks.key_of(worker, first.recording.tenant_id, first.recording.id).kek_id != first.kek_id
