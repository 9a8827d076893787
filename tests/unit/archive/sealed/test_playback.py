"""Bytes leave only to those who may hear them, after the audit entry, from verified segments."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.errors import CatalogueUnavailable, NotFound, Refused, VerificationFailed
from archive.model import ArchivedRecording, FinishedRecording, ObjectKind, RecordingState, Role, Tenant
from archive.playback import Action, Playback
from archive.sealed_object import CHUNK_BYTES, CHUNK_SEGMENTS_MIN
from archive.store.memory import MemoryStore
from archive.store.object import ObjectFacts
from keys.streaming_aead import CIPHERTEXT_SEGMENT_BYTES, HEADER_BYTES


@pytest.fixture
def archived(house: object, finished: FinishedRecording, outcome_of: object) -> ArchivedRecording:
    return house.ingest().archive(finished, outcome_of(finished))


def auditor(tenant: Tenant) -> AccessScope:
    return AccessScope(tenant_id=tenant.id, actor="user:7", role=Role.AUDITOR)


def entries(portal: Catalogue, archived: ArchivedRecording) -> list[tuple[str, str]]:
    found = of_object(portal, archived.recording.tenant_id, f"recording:{archived.recording.id}")
    return [(entry.action, entry.result) for entry in found if entry.action != "recording.archived"]


class CountingStore(MemoryStore):
    """Notes the ranges that are read."""

    def __init__(self, clock: object) -> None:
        super().__init__(clock)
        self.ranges: list[tuple[str, int, int]] = []
        self.heads: list[str] = []
        self.before_get: Callable[[], None] = lambda: None

    def get(
        self, key: str, version_id: str, first: int | None = None, last_exclusive: int | None = None
    ) -> bytes:
        self.before_get()
        self.ranges.append((key.rpartition("/")[2], first, last_exclusive))
        return super().get(key, version_id, first, last_exclusive)

    def head(self, key: str, version_id: str) -> ObjectFacts:
        self.heads.append(key)
        return super().head(key, version_id)


@pytest.fixture
def counting(house: object) -> CountingStore:
    house.store = CountingStore(house.clock)
    return house.store


def test_the_plaintext_comes_back(
    playback: Playback, bakery: Tenant, archived: ArchivedRecording, finished: FinishedRecording
) -> None:
    reader = playback.open_object(
        auditor(bakery), archived.recording.id, ObjectKind.AUDIO, "recording.played"
    )
    assert reader.length == len(finished.audio)
    assert (reader.media_type, reader.sha256) == ("audio/flac", archived.recording.sha256)
    assert reader.read(0, reader.length) == finished.audio
    assert b"".join(reader.chunks(0, reader.length)) == finished.audio
    assert reader.read(70_000, 70_010) == finished.audio[70_000:70_010]
    assert b"".join(reader.chunks(65_000, 66_000)) == finished.audio[65_000:66_000]


def test_only_touched_segments_are_fetched(
    counting: CountingStore, playback: Playback, bakery: Tenant, archived: ArchivedRecording
) -> None:
    reader = playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert counting.ranges == [("audio", 0, HEADER_BYTES)]
    counting.ranges.clear()
    reader.read(0, 1)
    reader.read(140_000, 140_001)
    reader.read(65_000, 65_600)
    reader.read(reader.length - 1, reader.length)
    assert reader.read(9, 9) == b""
    size = archived.objects[0].ciphertext_bytes
    segment = CIPHERTEXT_SEGMENT_BYTES
    assert counting.ranges == [
        ("audio", HEADER_BYTES, segment),
        ("audio", 2 * segment, 3 * segment),
        ("audio", HEADER_BYTES, 2 * segment),
        ("audio", 4 * segment, size),
    ]


def test_who_listens_on_fetches_what_they_hear_and_nothing_else(
    counting: CountingStore, playback: Playback, bakery: Tenant, archived: ArchivedRecording
) -> None:
    """What the store says of a version and its header never change: they are asked once in a while."""
    segment = CIPHERTEXT_SEGMENT_BYTES
    for _ in range(3):
        reader = playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
        counting.ranges.clear()
        counting.heads.clear()
    reader.read(0, 1)
    reader.read(140_000, 140_001)
    assert counting.ranges == [("audio", HEADER_BYTES, segment), ("audio", 2 * segment, 3 * segment)]
    assert counting.heads == []


def test_what_is_lost_while_somebody_listens_is_damage_and_told_so(
    house: object, playback: Playback, bakery: Tenant, archived: ArchivedRecording
) -> None:
    """Also where the header of it is still remembered."""
    audio = archived.objects[0]

    def play() -> bytes:
        scope = auditor(bakery)
        return playback.open_object(scope, archived.recording.id, ObjectKind.AUDIO, Action.PLAY).read(0, 9)

    assert len(play()) == 9
    house.clock.moment = archived.recording.retain_until.replace(year=2030)
    house.store.delete(audio.key, audio.version_id)
    with pytest.raises(VerificationFailed):
        play()


def test_chunks_fetch_no_segment_twice(
    house: object,
    counting: CountingStore,
    playback: Playback,
    bakery: Tenant,
    make_recording: object,
    make_finished: object,
    outcome_of: object,
) -> None:
    finished = make_finished(make_recording(bakery.id).recording, bytes(CHUNK_BYTES * 2 + 5))
    archived = house.ingest().archive(finished, outcome_of(finished))
    counting.ranges.clear()
    reader = playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    pieces = list(reader.chunks(100, reader.length))
    assert b"".join(pieces) == finished.audio[100:]
    assert max(map(len, pieces)) <= CHUNK_BYTES
    assert len(pieces[0]) <= CHUNK_SEGMENTS_MIN * CIPHERTEXT_SEGMENT_BYTES
    fetched = counting.ranges[1:]
    assert all(before[2] == after[1] for before, after in itertools.pairwise(fetched))


def test_the_audit_entry_is_durable_before_any_segment(
    counting: CountingStore,
    playback: Playback,
    portal: Catalogue,
    bakery: Tenant,
    archived: ArchivedRecording,
) -> None:
    reader = playback.open_object(
        auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY, purpose="zaak 4"
    )
    seen: list[object] = []
    counting.before_get = lambda: seen.extend(entries(portal, archived))
    reader.read(0, 10)
    assert seen == [("recording.played", "ok")]
    found = of_object(portal, bakery.id, f"recording:{archived.recording.id}")
    (entry,) = [entry for entry in found if entry.action == "recording.played"]
    assert (entry.actor, entry.body) == ("user:7", {"kind": "audio", "purpose": "zaak 4"})


def test_no_byte_leaves_when_the_audit_log_is_away(
    house: object, portal: Catalogue, bakery: Tenant, archived: ArchivedRecording
) -> None:
    class Away(AuditWriter):
        def append(self, *args: object, **fields: object) -> object:
            raise CatalogueUnavailable("away")

    playback = Playback(house.store, house.vault, portal, Away(portal, "portal/away"), house.clock)
    with pytest.raises(CatalogueUnavailable):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)


@pytest.mark.parametrize("damage", ["truncated", "extended", "swapped", "gone"])
def test_an_object_that_is_not_the_archived_one_is_refused_when_opened(
    house: object,
    playback: Playback,
    portal: Catalogue,
    bakery: Tenant,
    archived: ArchivedRecording,
    damage: str,
) -> None:
    """C5, and C6 for an object swapped with another of its recording."""
    audio, peaks = archived.objects[:2]
    sealed = house.store.get(audio.key, audio.version_id)
    if damage == "gone":
        house.clock.moment = archived.recording.retain_until.replace(year=2030)
        house.store.delete(audio.key, audio.version_id)
    else:
        other = {
            "truncated": sealed[:-CIPHERTEXT_SEGMENT_BYTES],
            "extended": sealed + b"\0",
            "swapped": house.store.get(peaks.key, peaks.version_id),
        }
        house.store.damage(audio.key, audio.version_id, other[damage])
    with pytest.raises(VerificationFailed):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert entries(portal, archived) == []


@pytest.mark.parametrize("position", [0, 39])
def test_a_changed_header_never_gives_a_byte(
    house: object, playback: Playback, bakery: Tenant, archived: ArchivedRecording, position: int
) -> None:
    audio = archived.objects[0]
    sealed = bytearray(house.store.get(audio.key, audio.version_id))
    sealed[position] ^= 1
    house.store.damage(audio.key, audio.version_id, bytes(sealed))
    with pytest.raises(VerificationFailed):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY).read(0, 1)


def test_a_changed_segment_gives_no_byte_of_it(
    house: object, playback: Playback, bakery: Tenant, archived: ArchivedRecording
) -> None:
    """C11: no byte of a segment is given before its tag verified."""
    audio = archived.objects[0]
    sealed = bytearray(house.store.get(audio.key, audio.version_id))
    sealed[2 * CIPHERTEXT_SEGMENT_BYTES + 7] ^= 1
    house.store.damage(audio.key, audio.version_id, bytes(sealed))
    reader = playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert len(reader.read(0, 1000)) == 1000
    with pytest.raises(VerificationFailed):
        reader.read(2 * CIPHERTEXT_SEGMENT_BYTES, 2 * CIPHERTEXT_SEGMENT_BYTES + 1)


def test_an_object_of_another_tenant_does_not_open_even_if_the_row_says_so(
    house: object,
    bakery: Tenant,
    florist: Tenant,
    archived: ArchivedRecording,
    make_recording: object,
    make_finished: object,
    outcome_of: object,
    playback: Playback,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C6: somebody swaps the pins of two rows, wrapped key and all: the binding still says no."""
    theirs = make_finished(make_recording(florist.id).recording)
    other = house.ingest().archive(theirs, outcome_of(theirs))
    forged = dataclasses.replace(
        archived, objects=other.objects, kek_id=other.kek_id, wrapped_key=other.wrapped_key
    )
    monkeypatch.setattr("archive.playback.recordings.get", lambda *_: forged)
    with pytest.raises(VerificationFailed):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    swapped_objects = dataclasses.replace(archived, objects=other.objects)
    monkeypatch.setattr("archive.playback.recordings.get", lambda *_: swapped_objects)
    with pytest.raises(VerificationFailed):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)


def test_another_tenant_finds_nothing(
    playback: Playback, florist: Tenant, archived: ArchivedRecording
) -> None:
    with pytest.raises(NotFound):
        playback.open_object(auditor(florist), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (ObjectKind.AUDIO, Action.PLAY),
        (ObjectKind.PEAKS, Action.PLAY),
        (ObjectKind.AUDIO, Action.DOWNLOAD),
        (ObjectKind.AUDIO, Action.EXPORT),
        (ObjectKind.AUDIO, Action.READ),
        (ObjectKind.PEAKS, Action.READ),
        (ObjectKind.RECORD, Action.READ),
    ],
)
def test_a_client_that_may_only_read_hears_nothing_and_the_try_is_on_record(
    playback: Playback,
    portal: Catalogue,
    bakery: Tenant,
    archived: ArchivedRecording,
    kind: ObjectKind,
    action: Action,
) -> None:
    scope = AccessScope(tenant_id=bakery.id, actor="api-client:1", scopes=frozenset({"recordings:read"}))
    with pytest.raises(Refused):
        playback.open_object(scope, archived.recording.id, kind, action)
    assert entries(portal, archived) == [(action.value, "refused")]


def test_a_client_that_may_only_read_gets_timeline_and_metadata(
    playback: Playback, bakery: Tenant, archived: ArchivedRecording, finished: FinishedRecording
) -> None:
    scope = AccessScope(tenant_id=bakery.id, actor="api-client:1", scopes=frozenset({"recordings:read"}))
    for kind, expected in (
        (ObjectKind.TIMELINE, finished.timeline),
        (ObjectKind.METADATA, finished.metadata),
    ):
        reader = playback.open_object(scope, archived.recording.id, kind, Action.READ)
        assert reader.read(0, reader.length) == expected


@pytest.mark.parametrize(
    "state", [RecordingState.FAILED, RecordingState.DELETING, RecordingState.QUARANTINED]
)
def test_what_is_not_available_is_not_played(
    playback: Playback,
    bakery: Tenant,
    archived: ArchivedRecording,
    state: RecordingState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = dataclasses.replace(archived, recording=dataclasses.replace(archived.recording, state=state))
    monkeypatch.setattr("archive.playback.recordings.get", lambda *_: changed)
    with pytest.raises(Refused):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)


def test_a_destroyed_key_is_a_recording_that_is_gone(
    house: object, playback: Playback, bakery: Tenant, archived: ArchivedRecording
) -> None:
    house.vault.destroy(archived.kek_id)
    with pytest.raises(NotFound, match="destroyed"):
        playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)


def test_an_empty_object_is_read_as_empty(
    house: object,
    playback: Playback,
    bakery: Tenant,
    make_recording: object,
    make_finished: object,
    outcome_of: object,
) -> None:
    finished = make_finished(make_recording(bakery.id).recording, b"")
    archived = house.ingest().archive(finished, outcome_of(finished))
    reader = playback.open_object(auditor(bakery), archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert (reader.length, reader.read(0, 0), list(reader.chunks(0, 0))) == (0, b"", [])
