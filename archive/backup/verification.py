"""Verifying recordings of a restored catalogue: every object opened, from the bucket and the keys alone.

Of each object the version that was archived must be there with its pinned length, every
segment must open under the recording's key, and the whole must have the hash of the
catalogue. The wrapped key comes from the row or, where its KEK gave way since, from
beside the recording.

A recording past its term whose key was destroyed is not a failure: a restore must not bring
it back. One whose term still runs, or that is held, is: nobody but two people together end it
earlier, and then its certificate says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from random import SystemRandom

from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.keks import WrappedKey
from archive.data_key import (
    DataKey,
    Vault,
    key_was_destroyed,
    object_binding,
    open_data_key,
    translated_key_errors,
)
from archive.errors import ArchiveError, NotFound, VerificationFailed
from archive.key_object import keys_beside
from archive.model import ArchivedRecording, ObjectKind, RecordingId, StoredObject, TenantId
from archive.placing import objects_prefix
from archive.record import split
from archive.recording_keys import RecordingKeys
from archive.sealed_object import SealedObjects
from archive.store.object import Store, sha256_hex
from keys.streaming_aead import open_sealed

BATCH_COUNT = 200
FAILURES_SHOWN_MAX = 20
"""Of a tenant; who has more has one cause for most of them."""


KEY_GONE_EARLY = (
    "its key was destroyed before its term: only a certificate of early destruction explains that."
)


class Verdict(StrEnum):
    """What became of a recording in a restored archive."""

    VERIFIED = "verified"
    DESTROYED = "destroyed"
    FAILED = "failed"


@dataclass
class Result:
    """What was found of one tenant's recordings."""

    tenant_id: TenantId
    recordings: int = 0
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    failures: list[str] = field(default_factory=list)

    def note(self, recording_id: RecordingId, verdict: Verdict, reason: str = "") -> None:
        """Count a recording, and keep why it failed."""
        self.counts[verdict] += 1
        if verdict is Verdict.FAILED and len(self.failures) < FAILURES_SHOWN_MAX:
            self.failures.append(f"{recording_id}: {reason}")


class Verification:
    """Opens recordings of a catalogue; raises DependencyUnavailable when something it reads is away."""

    def __init__(self, store: Store, vault: Vault, catalogue: Catalogue, now: datetime) -> None:
        """Take the bucket, the keys, the restored catalogue as the worker sees it, and the time."""
        self._now = now
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._objects = SealedObjects(store, RecordingKeys(vault, catalogue))

    def tenant(self, tenant_id: TenantId, sample: int | None, tell: Callable[[Result], None]) -> Result:
        """Verify the recordings of a tenant, or a random sample of them; `tell` hears of each batch."""
        with self._catalogue.transaction(tenant_id) as connection:
            ids = recordings.standing(connection, tenant_id)
        result = Result(tenant_id, len(ids))
        for batch in self._batches(tenant_id, _sampled(ids, sample)):
            for archived in batch:
                result.note(archived.recording.id, *self.verdict(archived))
            tell(result)
        return result

    def verdict(self, archived: ArchivedRecording) -> tuple[Verdict, str]:
        """Return what became of one recording, and why it failed."""
        try:
            opened = self._with_key(archived)
            for stored in opened.objects:
                self._verify(opened, stored)
        except (NotFound, VerificationFailed) as refusal:
            if not key_was_destroyed(refusal):
                return Verdict.FAILED, str(refusal)
            recording = archived.recording
            if recording.retain_until <= self._now and not recording.on_hold:
                return Verdict.DESTROYED, ""
            return Verdict.FAILED, KEY_GONE_EARLY
        return Verdict.VERIFIED, ""

    def _batches(self, tenant_id: TenantId, ids: Sequence[RecordingId]) -> Iterator[list[ArchivedRecording]]:
        for first in range(0, len(ids), BATCH_COUNT):
            with self._catalogue.transaction(tenant_id) as connection:
                found = recordings.whole(connection, ids[first : first + BATCH_COUNT])
            yield found

    def _with_key(self, archived: ArchivedRecording) -> ArchivedRecording:
        """Return the recording with a wrapped key that opens; raises what the row's own key says."""
        try:
            self._data_key(archived)
        except NotFound:
            for wrapped in self._beside(archived):
                changed = replace(archived, kek_id=wrapped.kek_id, wrapped_key=wrapped.wrapped)
                try:
                    self._data_key(changed)
                except (ArchiveError, ValueError):
                    continue
                return changed
            raise
        return archived

    def _data_key(self, archived: ArchivedRecording) -> DataKey:
        place = (archived.recording.tenant_id, archived.recording.id)
        return open_data_key(self._vault, *place, archived.kek_id, archived.wrapped_key)

    def _beside(self, archived: ArchivedRecording) -> list[WrappedKey]:
        prefix = objects_prefix(archived.recording.tenant_id, archived.recording.id)
        return keys_beside(self._store, self._store.versions(prefix))

    def _verify(self, archived: ArchivedRecording, stored: StoredObject) -> None:
        binding = object_binding(archived.recording.tenant_id, archived.recording.id, stored.kind)
        if stored.kind is ObjectKind.RECORD:
            found = self._record_sha256(archived, stored, binding)
        else:
            reader = self._objects.open(archived, stored, binding)
            digest = hashlib.sha256()
            for piece in reader.chunks(0, reader.length):
                digest.update(piece)
            found = digest.hexdigest()
        if found != stored.plaintext_sha256:
            raise VerificationFailed(f"The {stored.kind.value} of a recording is not what was archived.")

    def _record_sha256(self, archived: ArchivedRecording, stored: StoredObject, binding: bytes) -> str:
        try:
            octets, _ = self._store.fetch(stored.key, stored.version_id)
        except NotFound as error:
            raise VerificationFailed("The record of a recording is missing from the store.") from error
        if sha256_hex(octets) != stored.ciphertext_sha256:
            raise VerificationFailed("The record of a recording is not what was archived.")
        header, sealed = split(octets)
        with translated_key_errors():
            return sha256_hex(open_sealed(self._data_key(archived).key, binding, sealed, header.record))


def _sampled(ids: Sequence[RecordingId], sample: int | None) -> Sequence[RecordingId]:
    if sample is None or sample >= len(ids):
        return ids
    return sorted(SystemRandom().sample(ids, sample))
