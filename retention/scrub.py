"""Scrubbing: read what is kept and compare it with what was written.

A batch is a page of one tenant's recordings. Every object is read whole by its
version and its ciphertext compared with the SHA-256 pinned in the catalogue; no key
is needed, nothing is opened. Where the key of a recording was wrapped anew since, that key has
to stand beside its objects too. What is missing or differs becomes an audit entry.

Rules: a store that is away is no finding: the batch is tried again. Findings never
change or delete anything.

Not here: when batches run (`retention.worker`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import recordings
from archive.catalogue.engine import Catalogue
from archive.catalogue.keks import WrappedKey
from archive.clock import Clock
from archive.errors import NotFound, VerificationFailed
from archive.key_object import key_object_name, keys_beside
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    RecordingId,
    RecordingState,
    Role,
    StoredObject,
    TenantId,
)
from archive.record import split
from archive.store.object import ObjectVersion

ACTOR = "service:worker"
BATCH_RECORDINGS_MAX = 50  # some 50 MB: a minute of reading, then other jobs get their turn


class ObjectReader(Protocol):
    """The part of the object store that scrubbing needs."""

    def get(self, key: str, version_id: str) -> bytes:
        """Return one version; raises NotFound, VerificationFailed, StoreUnavailable."""

    def versions(self, prefix: str) -> list[ObjectVersion]:
        """Return every version under a prefix; raises StoreUnavailable."""


@dataclass(frozen=True)
class Finding:
    """An object that is not what was stored."""

    recording_id: RecordingId
    kind: str
    what: str


@dataclass(frozen=True)
class Batch:
    """What one batch looked at, what it found, and where the next one begins (None: all done)."""

    objects: int
    findings: tuple[Finding, ...]
    next_cursor: str | None


class Scrub:
    """Verifies archived recordings, a batch at a time."""

    def __init__(self, store: ObjectReader, catalogue: Catalogue, audit: AuditWriter, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    def batch(
        self, tenant_id: TenantId, cursor: str | None, recordings_max: int = BATCH_RECORDINGS_MAX
    ) -> Batch:
        """Verify up to `recordings_max` recordings from `cursor` on.

        Raises DependencyUnavailable; the batch can be repeated, findings are then written again.
        """
        scope = AccessScope(tenant_id=tenant_id, actor=ACTOR, role=Role.AUDITOR)
        page = recordings.find(self._catalogue, scope, limit=recordings_max, cursor=cursor)
        objects = 0
        findings: list[Finding] = []
        for recording in page.items:
            try:
                archived = recordings.get(self._catalogue, scope, recording.id)
            except NotFound:
                continue  # it expired while we were reading others
            if archived.recording.state is RecordingState.DELETING:
                continue  # what is being removed is missing by design
            objects += len(archived.objects)
            found = self._confirmed(scope, archived, self.verify(archived))
            for finding in found:
                self._write_down(tenant_id, finding)
            findings += found
        return Batch(objects, tuple(findings), page.next)

    def _confirmed(
        self, scope: AccessScope, archived: ArchivedRecording, findings: list[Finding]
    ) -> list[Finding]:
        """Return the findings that still stand: what was replaced or removed meanwhile is not damaged."""
        if not findings:
            return []
        try:
            now = recordings.get(self._catalogue, scope, archived.recording.id)
        except NotFound:
            return []
        moved = now.objects != archived.objects or now.kek_id != archived.kek_id
        return [] if moved or now.recording.state is RecordingState.DELETING else findings

    def verify(self, archived: ArchivedRecording) -> list[Finding]:
        """Read every object of a recording and return what is wrong."""
        findings = []
        for stored in archived.objects:
            try:
                octets = self._store.get(stored.key, stored.version_id)
                what = _difference(stored, octets)
            except NotFound:
                what = "missing"
            except VerificationFailed:
                what = "shorter than stored"
            if what is not None:
                findings.append(Finding(archived.recording.id, str(stored.kind), what))
            elif stored.kind is ObjectKind.RECORD and not self._has_key(archived, octets):
                findings.append(Finding(archived.recording.id, "key", "missing"))
        return findings

    def _has_key(self, archived: ArchivedRecording, record: bytes) -> bool:
        """Return whether the bucket has the wrapped key of a recording that its row has."""
        try:
            header, _ = split(record)
        except VerificationFailed:
            return True  # by an older release; its octets are what was stored
        now = WrappedKey(archived.kek_id, archived.wrapped_key)
        if now == WrappedKey(header.kek_id, header.wrapped_key):
            return True
        name = key_object_name(archived.recording.tenant_id, archived.recording.id, archived.kek_id)
        return now in keys_beside(self._store, self._store.versions(name))

    def _write_down(self, tenant_id: TenantId, finding: Finding) -> None:
        with self._audit.transaction(tenant_id) as connection:
            self._audit.append(
                connection,
                tenant_id=tenant_id,
                actor=ACTOR,
                action="object.damaged",
                object=f"recording:{finding.recording_id}",
                result="failed",
                body={"kind": finding.kind, "finding": finding.what},
                at=self._clock.now(),
            )


def _difference(stored: StoredObject, ciphertext: bytes) -> str | None:
    """Return how an object differs from what was stored, None when it does not."""
    if len(ciphertext) != stored.ciphertext_bytes:
        return "of another length"
    if hashlib.sha256(ciphertext).hexdigest() != stored.ciphertext_sha256:
        return "altered"
    return None
