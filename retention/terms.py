"""What follows when a term is made longer: the key of the later day, and the locks of the store.

The data key is wrapped under the KEK of the later day first, for the KEK of the former one
goes with its day. Then the lock of every object is moved, each read back. The row says that
it is done last; until then the recording is kept by its row alone.

Rules: done again and again without harm. A lock is only ever moved to a later moment, and its
mode never loosened. Not here: who may (`archive.catalogue.terms`), when it runs
(`retention.worker`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from archive.audit import AuditWriter
from archive.catalogue import store_locks, terms
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.data_key import expiry_day, translated_key_errors
from archive.errors import ArchiveError, NotFound, Refused, StoreUnavailable
from archive.ingest import lock_of
from archive.key_object import is_key_object
from archive.model import ArchivedRecording, Recording, TenantId
from archive.placing import Lock, objects_prefix
from archive.rewrap import Rewrapping, VersionedVault
from archive.store.object import COMPLIANCE, Store

BATCH_RECORDINGS_MAX = 50
"""Some thousand requests to the store: half a minute, then other jobs get their turn."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class TermProgress:
    """Recordings whose locks and key follow their term now, and those that wait still."""

    done: int
    remaining: int


class Terms:
    """Lets the store and the keys follow terms that were made longer; any number of processes may."""

    def __init__(
        self,
        store: Store,
        vault: Callable[[], VersionedVault],
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
    ) -> None:
        """Remember what it stands on; `vault` is asked for when the first term was made longer."""
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock

    def batch(self, tenant_id: TenantId, recordings_max: int = BATCH_RECORDINGS_MAX) -> TermProgress:
        """Let some recordings be kept as long as their rows say.

        One that fails keeps no other from it. Raises what failed last when nothing was done.
        """
        done = 0
        failure: ArchiveError | None = None
        for archived in terms.behind(self._catalogue, tenant_id, recordings_max):
            try:
                done += self._follow(archived)
            except ArchiveError as error:
                _log.error(
                    "a longer term is not followed", recording_id=archived.recording.id, reason=str(error)
                )
                failure = error
                if self._is_away():
                    break
        if failure is not None and not done:
            raise failure
        return TermProgress(done, terms.count_behind(self._catalogue, tenant_id))

    def _is_away(self) -> bool:
        """Tell whether the store answers nobody now: then it is no fault of one recording."""
        try:
            self._store.clock()
        except StoreUnavailable:
            return True
        return False

    def _follow(self, archived: ArchivedRecording) -> bool:
        """Return whether all of a recording follows; its key may be changed by somebody else just now."""
        recording = archived.recording
        day = expiry_day(recording.retain_until)
        if archived.kek_id.split("/")[1] < day.isoformat():
            vault = self._vault()
            with translated_key_errors():
                kek = vault.current(recording.tenant_id, day)
            rewrapping = Rewrapping(self._store, vault, self._catalogue, self._audit, self._clock)
            if not rewrapping.move(archived, kek):
                return False
        if self._store.locks:
            lock = lock_of(self._store, self._catalogue, self._clock, recording)
            self._lock(archived, self._as_firm(lock, recording))
        terms.settle(self._catalogue, recording.tenant_id, recording.id, recording.retain_until)
        _log.info("a longer term is followed", recording_id=recording.id)
        return True

    def _as_firm(self, lock: Lock, recording: Recording) -> Lock:
        """Return a lock of COMPLIANCE where there was one before, whoever loosened it."""
        with self._catalogue.transaction(recording.tenant_id) as connection:
            was_firm = lock.until is not None and store_locks.is_firm(connection, recording.id)
        return replace(lock, mode=COMPLIANCE) if was_firm else lock

    def _lock(self, archived: ArchivedRecording, lock: Lock) -> None:
        """Move the locks of the pinned objects and of the keys beside them."""
        if lock.until is None:
            return
        recording = archived.recording
        found = [(stored.key, stored.version_id) for stored in archived.objects]
        beside = self._store.versions(objects_prefix(recording.tenant_id, recording.id))
        found += [
            (version.key, version.version_id)
            for version in beside
            if is_key_object(version.key) and not version.is_delete_marker
        ]
        for key, version_id in found:
            try:
                facts = self._store.head(key, version_id)
            except NotFound:
                continue  # lost, as the scrub tells; what is left is locked all the same
            if lock.holds(facts):
                continue
            mode = COMPLIANCE if facts.mode == COMPLIANCE else lock.mode
            try:
                self._store.lengthen(key, version_id, lock.until, mode)
            except Refused as error:
                raise StoreUnavailable(f"The store refuses a longer lock on {key}: look into it.") from error
            if not lock.holds(self._store.head(key, version_id)):
                raise StoreUnavailable(f"The store acknowledged a longer lock on {key} and does not show it.")
