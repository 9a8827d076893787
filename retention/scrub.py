"""Scrubbing: look whether what is kept is where it was put, and read it again.

A batch is a page of one tenant's recordings. Of each the versions in the bucket are listed:
a pinned version that is lost, or lies under a delete marker or under another version, is
found by the next pass. What was not read for `interval` is read whole, by its version, and its
ciphertext compared with the SHA-256 pinned in the catalogue; no key is needed, nothing is
opened. Where the key of a recording was wrapped anew since, that key has to stand beside its
objects too. What is found is an alarm: a line in the log, an entry of the audit log, and a
row that stands until a later reading finds it mended (`archive.catalogue.scrubs`).

Rules: a store that is away is no finding: the batch is tried again, from where it stopped. One
that is there and can't give one object back has damaged it. Findings never change or delete
anything.

Not here: when batches run (`retention.worker`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from archive.audit import AuditWriter
from archive.catalogue import recordings, scrubs
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.keks import WrappedKey
from archive.catalogue.scrubs import READ_WITHIN, Damage, Progress, Standing
from archive.clock import Clock
from archive.errors import NotFound, StoreUnavailable, VerificationFailed
from archive.key_object import key_object_name, keys_beside
from archive.model import (
    ArchivedRecording,
    ObjectKind,
    RecordingId,
    StoredObject,
    TenantId,
)
from archive.placing import objects_prefix
from archive.record import split
from archive.store.object import ObjectVersion

ACTOR = "service:worker"
BATCH_RECORDINGS_MAX = 50  # some 50 MB: a minute of reading, then other jobs get their turn

INTERVAL = timedelta(days=30)
"""What is done: two passes may fail, and the promise is kept."""

LOST = "lost"
HIDDEN = "under a delete marker"
OVERWRITTEN = "under another version"
UNREADABLE = "can't be read"

log = structlog.get_logger()


class ObjectReader(Protocol):
    """The part of the object store that scrubbing needs."""

    def get(self, key: str, version_id: str) -> bytes:
        """Return one version; raises NotFound, VerificationFailed, StoreUnavailable."""

    def versions(self, prefix: str) -> list[ObjectVersion]:
        """Return every version under a prefix; raises StoreUnavailable."""

    def healthy(self) -> bool:
        """Tell whether the store answers now."""


@dataclass(frozen=True)
class Finding:
    """An object that is not what was stored."""

    recording_id: RecordingId
    kind: str
    what: str


@dataclass(frozen=True)
class Batch:
    """What one batch read and found, how many recordings it looked at, and where the next begins.

    `next_cursor` is None when all is done.
    """

    objects: int
    findings: tuple[Finding, ...]
    next_cursor: str | None
    recordings: int = 0


class Scrub:
    """Verifies archived recordings, a batch at a time."""

    def __init__(
        self,
        store: ObjectReader,
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        interval: timedelta = INTERVAL,
    ) -> None:
        """Remember what it stands on; what was read within `interval` is not read again."""
        self._store = store
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._interval = interval

    def batch(
        self, tenant_id: TenantId, cursor: str | None, recordings_max: int = BATCH_RECORDINGS_MAX
    ) -> Batch:
        """Look after up to `recordings_max` recordings from `cursor` on.

        Raises DependencyUnavailable; the batch can be repeated, and reads only what it had not.
        """
        page = scrubs.page(self._catalogue, tenant_id, cursor or "", recordings_max)
        with self._catalogue.transaction(tenant_id) as connection:
            whole = recordings.whole(connection, [each.recording_id for each in page])
        archived = {each.recording.id: each for each in whole}
        objects, findings = 0, list[Finding]()
        for each in page:
            if each.recording_id in archived:  # else it went while others were read
                read, found = self._look_after(archived[each.recording_id], each)
                objects += read
                findings += found
        following = page[-1].recording_id if len(page) == recordings_max else None
        return Batch(objects, tuple(findings), following, len(page))

    def tally(self, tenants: Iterable[TenantId]) -> Progress:
        """Count how far it is with everybody, keep that, and return it; raises CatalogueUnavailable."""
        now, all_of_them = self._clock.now(), scrubs.NOTHING
        for tenant_id in tenants:
            all_of_them += scrubs.progress_of(self._catalogue, tenant_id, now - READ_WITHIN)
        scrubs.keep_progress(self._catalogue, all_of_them, now)
        return all_of_them

    def _look_after(self, archived: ArchivedRecording, standing: Standing) -> tuple[int, list[Finding]]:
        """Look where a recording's objects are, and read them when it is time.

        Returns how many were read, and what is wrong.
        """
        now, last = self._clock.now(), standing.read_at
        reading = last is None or standing.is_damaged or now - last >= self._interval
        found = self.placed(archived)
        if reading:
            found |= self.verify(archived)
        if found or reading:
            found = self._settle(archived, found, now, read=reading)
        findings = [Finding(archived.recording.id, *damage) for damage in sorted(found)]
        return len(archived.objects) if reading else 0, findings

    def placed(self, archived: ArchivedRecording) -> set[Damage]:
        """Return which pinned versions are lost, or lie under something that was put later."""
        recording = archived.recording
        listed = self._store.versions(objects_prefix(recording.tenant_id, recording.id))
        return {
            Damage(str(stored.kind), what)
            for stored in archived.objects
            if (what := _hidden(stored, [each for each in listed if each.key == stored.key])) is not None
        }

    def verify(self, archived: ArchivedRecording) -> set[Damage]:
        """Read every object of a recording and return what is wrong."""
        damages = set[Damage]()
        for stored in archived.objects:
            octets, what = self._read(stored)
            if what is not None:
                damages.add(Damage(str(stored.kind), what))
            elif stored.kind is ObjectKind.RECORD and not self._has_key(archived, octets):
                damages.add(Damage("key", "missing"))
        return damages

    def _read(self, stored: StoredObject) -> tuple[bytes, str | None]:
        """Return the octets of an object, and how they differ from what was stored: None for not at all."""
        for _ in range(2):
            try:
                octets = self._store.get(stored.key, stored.version_id)
            except NotFound:
                return b"", LOST
            except VerificationFailed:
                return b"", "shorter than stored"
            except StoreUnavailable:
                # Away as a whole, or a disk that can't give back this one object? Asked twice it tells.
                if not self._store.healthy():
                    raise
            else:
                return octets, _difference(stored, octets)
        return b"", UNREADABLE

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

    def _settle(
        self, archived: ArchivedRecording, found: set[Damage], now: datetime, *, read: bool
    ) -> set[Damage]:
        """Write down what was found and what is mended; return what of it stands."""
        recording = archived.recording
        with self._audit.transaction(recording.tenant_id) as connection:
            if not self._is_as_it_was(connection, archived):
                return set()
            before = scrubs.known(connection, recording.id)
            new, mended = found - before, before - found if read else frozenset[Damage]()
            scrubs.add(connection, recording.tenant_id, recording.id, new, now)
            scrubs.remove(connection, recording.id, mended)
            if read:
                scrubs.was_read(connection, recording.tenant_id, recording.id, now)
            self._write_down(connection, archived, "object.damaged", new, now)
            self._write_down(connection, archived, "object.mended", mended, now)
        for damage in sorted(found):
            # Again at each pass, until somebody has mended it.
            log.error("an object is not as it was stored", recording_id=recording.id, **damage._asdict())
        return found

    def _is_as_it_was(self, connection: Connection, archived: ArchivedRecording) -> bool:
        """Tell whether a recording has the objects and key still that were looked at."""
        if not scrubs.still_stands(connection, archived.recording.tenant_id, archived.recording.id):
            return False
        [now] = recordings.whole(connection, [archived.recording.id])
        return now.objects == archived.objects and now.kek_id == archived.kek_id

    def _write_down(
        self,
        connection: Connection,
        archived: ArchivedRecording,
        action: str,
        damages: Collection[Damage],
        now: datetime,
    ) -> None:
        for damage in sorted(damages):
            self._audit.append(
                connection,
                tenant_id=archived.recording.tenant_id,
                actor=ACTOR,
                action=action,
                object=f"recording:{archived.recording.id}",
                result="failed" if action == "object.damaged" else "ok",
                body={"kind": damage.kind, "finding": damage.what},
                at=now,
            )


def _hidden(stored: StoredObject, listed: list[ObjectVersion]) -> str | None:
    """Return what hides a pinned version among those of its key, None when it is the newest one."""
    pinned = [each for each in listed if each.version_id == stored.version_id and not each.is_delete_marker]
    if not pinned:
        return LOST
    if pinned[0].is_latest:
        return None
    return HIDDEN if any(each.is_latest and each.is_delete_marker for each in listed) else OVERWRITTEN


def _difference(stored: StoredObject, ciphertext: bytes) -> str | None:
    """Return how an object differs from what was stored, None when it does not."""
    if len(ciphertext) != stored.ciphertext_bytes:
        return "of another length"
    if hashlib.sha256(ciphertext).hexdigest() != stored.ciphertext_sha256:
        return "altered"
    return None
