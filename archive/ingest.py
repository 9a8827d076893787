"""Ingest: a finished recording becomes sealed, locked, verified objects and one row.

The order is the promise (DESIGN 3, invariants I2, I4 and I5):

1. the data key is made, wrapped, and with it the intent made durable, which keeps how the call was dated;
2. the store's clock is compared: nothing is locked by a clock that is wrong;
3. each object is sealed and put under its lock, the record last; a recording in
   quarantine gets no lock, because an administrator may destroy it;
4. the durability barrier of the store;
5. each object is read back by its version, opened and compared;
6. row, outcome and audit entry in one transaction;
7. the intent goes, and the caller may release the journal slot.

A KEK that is retired meanwhile takes nothing new: then the data key is wrapped under the
next one, which is kept from being retired until the row is there, and that key stands
beside the objects (`archive.key_object`). However often keys change, this ends.

A rerun after a stop at any step goes on from there: the intent gives the same key,
objects that are in their place are adopted, a row that is there ends it. Where the KEK
of the intent was destroyed meanwhile, what was put can be opened by nobody: it is passed
by, and the recording is sealed again under a new data key. Errors of
store, catalogue and key store are `DependencyUnavailable`; the caller keeps the
journal and calls again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import keks, recordings, sessions, waveforms
from archive.catalogue.engine import Catalogue, Connection
from archive.clock import Clock
from archive.data_key import (
    DataKey,
    Vault,
    expiry_day,
    make_data_key,
    next_kek,
    open_data_key,
)
from archive.errors import KeyRetired, NotFound
from archive.intent import AS_TOLD, Dating, Intent, IntentDirectory, IntentUnavailable
from archive.key_object import place_key, verify_key
from archive.lock_mode import compliance_classes
from archive.model import (
    ArchivedRecording,
    FinishedRecording,
    ObjectKind,
    Recording,
    RecordingId,
    RecordingState,
    RetentionClass,
    Role,
    SessionOutcome,
    StoredObject,
)
from archive.placing import Content, Lock, Placed, Placing, object_key
from archive.record import RECORD_FORMAT, CatalogueRecord, RecordHeader, header_line, to_json
from archive.store.clock_guard import compare_clocks
from archive.store.object import COMPLIANCE, GOVERNANCE, Store, sha256_hex
from archive.waveform import Waveform, of_peaks
from keys.kek import Kek

_log = structlog.get_logger()

_ACTOR = "service:recorder"

KEYS_COUNT_MAX = 8
"""KEKs in a row that are retired between being made and being held, microseconds later: a loop somewhere."""

_ACTIONS = {RecordingState.QUARANTINED: "recording.quarantined"}


class Ingest:
    """Archives finished recordings; safe to share among the threads of a process."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by every caller
        self,
        store: Store,
        vault: Vault,
        catalogue: Catalogue,
        audit: AuditWriter,
        intents_dir: Path,
        clock: Clock,
        believe: Callable[[], None] = lambda: None,
    ) -> None:
        """Remember what it stands on; `believe` raises while this machine's clock may lock nothing."""
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._intents = IntentDirectory(intents_dir)
        self._clock = clock
        self._believe = believe

    def dating(self, recording_id: RecordingId) -> Dating | None:
        """Return how a recording was dated when it was tried to archive it; None when it never was."""
        known = self._intents.find(recording_id)
        return None if known is None else known.dating

    def believed_time(self) -> datetime:
        """Return the time when this machine's clock may date; raises `DependencyUnavailable` kinds."""
        self._believe()
        return agreed_time(self._store, self._clock)

    def archive(
        self, finished: FinishedRecording, outcome: SessionOutcome, dating: Dating = AS_TOLD
    ) -> ArchivedRecording:
        """Archive a recording, once, whatever was tried before; return it with its pins.

        `dating` is how it was dated: what the method of that name told, or was decided when that was None.
        Raises `DependencyUnavailable` (`StoreUnavailable`, `StoreClockDiffers`, `CatalogueUnavailable`,
        `KeysUnavailable`, `IntentUnavailable`); all of it can be called again.
        """
        recording = _settled(finished)
        archived = self._find(recording)
        if archived is None:
            data_key, keys_lost = self._data_key(recording, dating)
            # Another finaliser may have committed, and taken its intent away, just before ours was made.
            archived = self._find(recording)
        if archived is None:
            self._believe()
            lock = lock_of(self._store, self._catalogue, self._clock, recording)
            placing = Placing(self._store, recording, data_key, lock, keys_lost=keys_lost)
            settled = replace(finished, recording=recording)
            archived = upload(self._store, placing, settled, data_key, outcome)
            archived = self._commit_under_a_living_key(archived, finished, outcome, data_key, lock)
            _log.info("recording archived", recording_id=recording.id, objects=len(archived.objects))
        self._intents.remove(recording.id)
        return archived

    def _find(self, recording: Recording) -> ArchivedRecording | None:
        scope = AccessScope(tenant_id=recording.tenant_id, actor=_ACTOR, role=Role.AUDITOR)
        try:
            return recordings.get(self._catalogue, scope, recording.id)
        except NotFound:
            return None

    def _data_key(self, recording: Recording, dating: Dating) -> tuple[DataKey, int]:
        """Return the data key of a recording, and how many it had before that are lost."""
        known = self._intents.find(recording.id)
        if known is not None:
            # Without its KEK (rotated, or a sibling was erased, before there was a row to wrap anew) what
            # was put can never be opened. It stays behind, and must not use up the names there are.
            with suppress(NotFound):
                return self._open(known), known.keys_lost
        day = expiry_day(recording.retain_until)
        fresh = make_data_key(self._vault, recording.tenant_id, recording.id, day)
        keys = tuple(object_key(recording.tenant_id, recording.id, kind) for kind in ObjectKind)
        intent = Intent(recording.tenant_id, recording.id, fresh.kek_id, fresh.wrapped, keys, dating=dating)
        if known is not None:
            renewed = replace(intent, keys_lost=known.keys_lost + 1)
            self._intents.renew(renewed)
            return fresh, renewed.keys_lost
        recorded = self._intents.record(intent)
        if recorded.dating != dating:
            raise IntentUnavailable("Another process dated the recording meanwhile: call again, as it did.")
        return (fresh if recorded.wrapped_key == fresh.wrapped else self._open(recorded)), recorded.keys_lost

    def _open(self, intent: Intent) -> DataKey:
        return open_data_key(
            self._vault, intent.tenant_id, intent.recording_id, intent.kek_id, intent.wrapped_key
        )

    def _commit_under_a_living_key(
        self,
        archived: ArchivedRecording,
        finished: FinishedRecording,
        outcome: SessionOutcome,
        data_key: DataKey,
        lock: Lock,
    ) -> ArchivedRecording:
        """Commit, under the next KEK where the present one was retired; raises KeyRetired after many."""
        tenant_id, waveform = archived.recording.tenant_id, of_peaks(finished.peaks)
        with suppress(KeyRetired), self._audit.transaction(tenant_id) as connection:
            return self._commit(connection, archived, outcome, waveform)
        kek_id = archived.kek_id
        for _ in range(KEYS_COUNT_MAX):
            kek = next_kek(self._vault, kek_id)
            kek_id = kek.id
            with suppress(KeyRetired), self._audit.transaction(tenant_id) as connection:
                # From here to the end of the transaction whoever would retire it waits. Without that, keys
                # that change faster than the store takes an object would keep us at it for ever.
                keks.hold(connection, kek.id)
                rewrapped = self._under(kek, archived, data_key, lock)
                return self._commit(connection, rewrapped, outcome, waveform)
        raise KeyRetired("The keys of that day are replaced all the time: call again later.")

    def _under(
        self, kek: Kek, archived: ArchivedRecording, data_key: DataKey, lock: Lock
    ) -> ArchivedRecording:
        """Wrap the data key anew: its KEK was retired while the objects were put."""
        recording = archived.recording
        placed = place_key(self._store, recording, data_key.key, kek, lock)
        self._store.barrier()
        verify_key(self._store, placed)
        wrapped = placed.wrapped
        # A rerun has to open what stands in the store, and the former KEK is about to go.
        self._intents.rewrap(recording.id, wrapped.kek_id, wrapped.wrapped)
        return replace(archived, kek_id=wrapped.kek_id, wrapped_key=wrapped.wrapped)

    def _commit(
        self,
        connection: Connection,
        archived: ArchivedRecording,
        outcome: SessionOutcome,
        waveform: Waveform | None,
    ) -> ArchivedRecording:
        """Add row, outcome and audit entry to a transaction; return what counts."""
        recording = archived.recording
        committed = recordings.insert_recording(connection, archived)
        if committed is not None:
            return committed
        keks.hold(connection, archived.kek_id)
        waveforms.keep(connection, recording.tenant_id, recording.id, waveform)
        sessions.insert_outcome(connection, outcome)
        self._audit.append(
            connection,
            tenant_id=recording.tenant_id,
            actor=_ACTOR,
            action=_ACTIONS.get(recording.state, "recording.archived"),
            object=f"recording:{recording.id}",
            # The sound's own hash too: who takes it out later shows that it is the same.
            body={
                **{item.kind.value: item.ciphertext_sha256 for item in archived.objects},
                "sound": archived.recording.sha256,
            },
            at=self._clock.now(),
        )
        return archived


def lock_of(store: Store, catalogue: Catalogue, clock: Clock, recording: Recording) -> Lock:
    """Return the lock a recording gets now.

    Raises `StoreClockDiffers`, `StoreUnavailable`, `CatalogueUnavailable`.
    """
    firm = compliance_classes(catalogue, store, recording.tenant_id, clock.now())
    return lock_at(agreed_time(store, clock), store, recording, firm)


def agreed_time(store: Store, clock: Clock) -> datetime:
    """Return the store's time; raises `StoreClockDiffers` when it is not ours, `StoreUnavailable`."""
    store_now = store.clock()
    compare_clocks(store_now, clock.now())
    return store_now


def lock_at(
    store_now: datetime, store: Store, recording: Recording, firm: Collection[RetentionClass]
) -> Lock:
    """Return the lock a recording gets at that time of the store; COMPLIANCE for the `firm` classes."""
    # A recording whose term ended while it waited gets no lock: the sweep is about to delete it.
    over = recording.retain_until <= store_now
    free = over or recording.state is RecordingState.QUARANTINED or not store.locks
    if free:
        return Lock(None)
    return Lock(recording.retain_until, COMPLIANCE if recording.retention_class in firm else GOVERNANCE)


def upload(
    store: Store, placing: Placing, finished: FinishedRecording, data_key: DataKey, outcome: SessionOutcome
) -> ArchivedRecording:
    """Place all objects of a recording, the record last, and verify them; return it with its pins.

    Raises `StoreUnavailable`.
    """
    recording, contents = finished.recording, _contents(finished)
    placed = [placing.place(content) for content in contents]
    recording = _with_strays(recording, placed)
    objects = tuple(item.stored for item in placed)
    record = _record_content(placing, CatalogueRecord(recording, objects, outcome), data_key)
    placed.append(placing.place(record))
    store.barrier()
    for item, content in zip(placed, (*contents, record), strict=True):
        placing.verify(item.stored, content)
    recording = _with_strays(recording, placed[-1:])
    return ArchivedRecording(
        recording, tuple(item.stored for item in placed), data_key.kek_id, data_key.wrapped
    )


def _settled(finished: FinishedRecording) -> Recording:
    """Return the recording as the catalogue will show it once everything is verified."""
    recording = replace(finished.recording, sha256=sha256_hex(finished.audio))
    if recording.state is RecordingState.PROCESSING:
        recording = replace(recording, state=RecordingState.AVAILABLE)
    return recording


def _contents(finished: FinishedRecording) -> tuple[Content, ...]:
    return (
        Content(ObjectKind.AUDIO, finished.audio, finished.audio_media_type),
        Content(ObjectKind.PEAKS, finished.peaks, "application/json"),
        Content(ObjectKind.TIMELINE, finished.timeline, "application/json"),
        Content(ObjectKind.METADATA, finished.metadata, "application/json"),
    )


def _record_content(placing: Placing, record: CatalogueRecord, data_key: DataKey) -> Content:
    plaintext = to_json(record)
    header = RecordHeader(
        format=RECORD_FORMAT,
        kek_id=data_key.kek_id,
        wrapped_key=data_key.wrapped,
        objects=record.objects,
        record=placing.pin(ObjectKind.RECORD, plaintext),
    )
    return Content(ObjectKind.RECORD, plaintext, "application/json", prefix=header_line(header))


def _with_strays(recording: Recording, placed: list[Placed]) -> Recording:
    strays = (f"stray-object:{item.stored.kind.value}" for item in placed if item.strays)
    return replace(recording, flags=tuple(dict.fromkeys((*recording.flags, *strays))))


def object_of(archived: ArchivedRecording, kind: ObjectKind) -> StoredObject:
    """Return the stored object of a kind; raises `NotFound`."""
    for stored in archived.objects:
        if stored.kind is kind:
            return stored
    raise NotFound(f"The recording has no {kind.value}.")
