"""Scrubbing: read what is kept and compare it with what was written.

A batch is a page of one tenant's recordings. Every object is read whole by its
version and its ciphertext compared with the SHA-256 pinned in the catalogue; no key
is needed, nothing is opened. What is missing or differs becomes an audit entry.

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
from archive.clock import Clock
from archive.errors import NotFound, VerificationFailed
from archive.model import ArchivedRecording, RecordingId, RecordingState, Role, StoredObject, TenantId

ACTOR = "service:worker"
BATCH_RECORDINGS_MAX = 50  # some 50 MB: a minute of reading, then other jobs get their turn


class ObjectReader(Protocol):
    """The part of the object store that scrubbing needs."""

    def get(self, key: str, version_id: str) -> bytes:
        """Return one version; raises NotFound, VerificationFailed, StoreUnavailable."""


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
        moved = now.objects != archived.objects or now.recording.state is RecordingState.DELETING
        return [] if moved else findings

    def verify(self, archived: ArchivedRecording) -> list[Finding]:
        """Read every object of a recording and return what is wrong."""
        judged = ((stored, self._judge(stored)) for stored in archived.objects)
        return [
            Finding(archived.recording.id, str(stored.kind), what)
            for stored, what in judged
            if what is not None
        ]

    def _judge(self, stored: StoredObject) -> str | None:
        try:
            ciphertext = self._store.get(stored.key, stored.version_id)
        except NotFound:
            return "missing"
        except VerificationFailed:
            return "shorter than stored"
        if len(ciphertext) != stored.ciphertext_bytes:
            return "of another length"
        if hashlib.sha256(ciphertext).hexdigest() != stored.ciphertext_sha256:
            return "altered"
        return None

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
