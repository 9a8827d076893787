"""A KEK gives way to its next version: what is to stay is wrapped anew, then the old KEK goes.

This is how keys are rotated, how an early erasure spares its siblings of the day, and
how a held recording outlives the key of its day. `Rewrapping.supersede` does all of it:

1. the next version of the KEK is made; from then on new recordings hang from it;
2. the old one is retired: nothing is committed under it any more (`archive.catalogue.keks`);
3. batch by batch the data keys are wrapped under the next version, put beside their
   objects (`archive.key_object`), made durable, read back, and only then changed in the rows;
4. when none is left that is to stay, the old KEK is destroyed, wherever copies of the
   keys it wrapped may be: in backups of the database, in locked objects, in journals.

A stop at any step loses nothing: calling again goes on from there. Recording and playing
go on meanwhile; a reader that held the old row reads it again (`archive.recording_keys`).

A held recording is opened by nothing else once the old KEK is gone, so that its new key object
gets the store's hold in the same step.

Rules: a KEK is destroyed only here and only after all of that. Other processes may
remember an unwrapped KEK for five minutes more (`keys.kek.CACHE_S_MAX`). Not here: which
recordings are to stay, and who decides it (`retention`, `earwitness keys`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from archive.audit import AuditWriter, Json
from archive.catalogue import keks, recordings, store_holds
from archive.catalogue.engine import Catalogue
from archive.catalogue.keks import WrappedKey
from archive.clock import Clock
from archive.data_key import DataKey, Vault, next_kek, open_data_key
from archive.errors import Conflict, KeyRetired, NotFound, VerificationFailed
from archive.ingest import agreed_time, lock_at
from archive.key_end import destroy_kek
from archive.key_object import PlacedKey, hold_key, keys_beside, place_key, verify_key
from archive.lock_mode import compliance_classes
from archive.model import ArchivedRecording, RecordingId, RecordingState, RetentionClass, TenantId
from archive.placing import Lock, objects_prefix
from archive.store.object import Store
from keys.kek import Kek

_log = structlog.get_logger()

BATCH_COUNT = 100
"""Recordings between two barriers: what a stop makes be done again takes about a second."""

THREADS_COUNT = 4
"""Round trips to the store at once; the work of the processor in between fills about one core. Sixteen
or thirty-two were no faster on a machine whose cores were taken (docs/performance.md)."""

PASSES_MAX = 20
"""Goes through the rows of one KEK; each later one finds only what changed during the one before."""


class VersionedVault(Vault, Protocol):
    """What re-wrapping and destroying ask of `keys.kek.KekVault` beside opening keys."""

    @property
    def erasure(self) -> str:
        """What the key store does with a key that is destroyed: "was ..."."""

    def ids(self, tenant_id: str) -> tuple[str, ...]:
        """Return the KEKs of a tenant that are not destroyed."""

    def destroy(self, kek_id: str) -> None:
        """Destroy a KEK for ever; repeatable. Raises KeyNotFound if it never was there."""


class Rewrapping:
    """Lets KEKs give way to their next versions; any number of processes may, and each may stop.

    `catalogue` and `audit` are those of a worker or operator. `tell` hears after each
    batch how many recordings were wrapped anew so far.
    """

    def __init__(  # noqa: PLR0917 - what it stands on, named by every caller
        self,
        store: Store,
        vault: VersionedVault,
        catalogue: Catalogue,
        audit: AuditWriter,
        clock: Clock,
        tell: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._audit = audit
        self._clock = clock
        self._tell = tell

    def supersede(
        self,
        tenant_id: TenantId,
        kek_id: str,
        *,
        ending: Collection[RecordingId] = (),
        actor: str,
        reason: str,
    ) -> int:
        """Wrap all that hangs from a KEK under its next version, but `ending`, and destroy the KEK.

        Returns how many were wrapped anew. When nothing is to stay, no next version is made.

        What is in `ending` can't be opened by anybody afterwards; its rows and objects are
        for the caller to delete. The caller has claimed them before, so that no hold can
        fall on them any more. `actor` and `reason` stand in the audit log.

        Repeatable, also after the KEK is destroyed. Raises ValueError for what is no KEK of
        the tenant, VerificationFailed when a wrapped key is not what was archived (then
        nothing is destroyed), Conflict when rows change all the time, DependencyUnavailable
        (call again).
        """
        if kek_id.split("/", maxsplit=1)[0] != tenant_id:
            raise ValueError(f"The KEK {kek_id} is not one of this tenant.")
        with self._catalogue.transaction(tenant_id) as connection:
            staying = keks.hanging(connection, tenant_id, kek_id, ending)
        if staying:
            # Before the old one is retired, so that no finished recording has to wait.
            next_kek(self._vault, kek_id)
        keks.retire(self._catalogue, tenant_id, kek_id, now=self._clock.now())
        count = self._empty(tenant_id, kek_id, frozenset(ending))
        self._destroy(tenant_id, kek_id, frozenset(ending), actor, reason, count)
        return count

    def move(self, archived: ArchivedRecording, kek: Kek) -> bool:
        """Let one recording hang from another KEK, of a later day; False when its key changed meanwhile.

        Raises as `supersede`. What it hung from stays as it is, for others.
        """
        return self._hand_over([archived], kek) == 1

    def _empty(self, tenant_id: TenantId, kek_id: str, ending: frozenset[RecordingId]) -> int:
        """Hand every recording but `ending` over to the newest version; return how many."""
        count = 0
        for _ in range(PASSES_MAX):
            after = ""
            while batch := self._batch(tenant_id, kek_id, after):
                after = batch[-1].recording.id
                count += self._hand_over([each for each in batch if each.recording.id not in ending])
                self._tell(count)
            with self._catalogue.transaction(tenant_id) as connection:
                if not keks.hanging(connection, tenant_id, kek_id, ending):
                    return count
        raise Conflict(f"Recordings of {kek_id} keep changing while they are wrapped anew: call again later.")

    def _batch(self, tenant_id: TenantId, kek_id: str, after: str) -> list[ArchivedRecording]:
        with self._catalogue.transaction(tenant_id) as connection:
            return recordings.under_kek(connection, tenant_id, kek_id, after=after, count=BATCH_COUNT)

    def _hand_over(self, batch: list[ArchivedRecording], to: Kek | None = None) -> int:
        """Wrap, place, verify and commit a batch; return how many rows were changed.

        It goes to the next version of what it hangs from, or `to` another KEK.
        """
        if not batch:
            return 0
        tenant_id = batch[0].recording.tenant_id
        kek = to or next_kek(self._vault, batch[0].kek_id)
        store_now = agreed_time(self._store, self._clock)
        firm = compliance_classes(self._catalogue, self._store, tenant_id, self._clock.now())
        with ThreadPoolExecutor(THREADS_COUNT) as pool:
            found = pool.map(partial(self._place, kek, store_now, firm), batch)
            placed = [(each, key) for each, key in zip(batch, found, strict=True) if key is not None]
            self._store.barrier()
            list(pool.map(partial(verify_key, self._store), (key for _, key in placed)))
        try:
            with self._catalogue.transaction(tenant_id) as connection:
                # The next version may itself be retired just now: then the next pass takes the one after.
                keks.hold(connection, kek.id)
                changes = [
                    (each.recording.id, WrappedKey(each.kek_id, each.wrapped_key), key.wrapped)
                    for each, key in placed
                ]
                return keks.hand_over_all(connection, tenant_id, changes)
        except KeyRetired:
            return 0

    def _place(
        self, kek: Kek, store_now: datetime, firm: Collection[RetentionClass], archived: ArchivedRecording
    ) -> PlacedKey | None:
        """Put the data key wrapped anew beside its recording; None when another process did meanwhile."""
        recording = archived.recording
        place = (recording.tenant_id, recording.id)
        try:
            data_key = open_data_key(self._vault, *place, archived.kek_id, archived.wrapped_key)
        except NotFound:
            if keks.key_of(self._catalogue, *place).kek_id != archived.kek_id:
                return None
            beside = self._beside(archived)
            if beside is None:
                raise
            data_key = beside
        # Of a recording on its way out no object may be locked that its destruction has to delete.
        going = recording.state is RecordingState.DELETING
        lock = Lock(None) if going else lock_at(store_now, self._store, recording, firm)
        held = recording.on_hold and self._store.locks
        if held:
            # Before the hold, so that it is never forgotten: the job that follows the cases looks at it
            # again, for the case may be released at this very moment, or another one opened.
            store_holds.begin(self._catalogue, *place)
        placed = place_key(self._store, recording, data_key.key, kek, lock)
        if held:
            hold_key(self._store, placed)
        return placed

    def _beside(self, archived: ArchivedRecording) -> DataKey | None:
        """Return the data key from a key object: a restored row may name a KEK that gave way since."""
        place = (archived.recording.tenant_id, archived.recording.id)
        for wrapped in keys_beside(self._store, self._store.versions(objects_prefix(*place))):
            with suppress(NotFound, VerificationFailed, ValueError):
                return open_data_key(self._vault, *place, wrapped.kek_id, wrapped.wrapped)
        return None

    def _destroy(  # noqa: PLR0917 - the words of one audit entry
        self,
        tenant_id: TenantId,
        kek_id: str,
        ending: frozenset[RecordingId],
        actor: str,
        reason: str,
        count: int,
    ) -> None:
        """Destroy the KEK, the entry of the log before its effect."""
        if kek_id not in keks.unfinished(self._catalogue, tenant_id):
            return
        body: dict[str, Json] = {"reason": reason, "rewrapped": count, "ending": len(ending)}
        now = self._clock.now()
        destroy_kek(self._vault, self._catalogue, self._audit, tenant_id, kek_id, body, actor=actor, now=now)
        _log.info("key superseded", kek_id=kek_id, rewrapped=count, ending=len(ending))
