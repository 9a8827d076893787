"""The store's own legal holds follow the cases: a second lock, set and taken off by a job.

What a case holds is held by its row, at once. The holds of the store come after it, object
by object, each read back; how far they are stands in the case. Taking them off is the last
step of a release.

Rules: done again and again without harm. A store without locks has no holds, and says so by
staying at none. Not here: when it runs (`retention.worker`).
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.catalogue import store_holds
from archive.catalogue.engine import Catalogue
from archive.errors import StoreUnavailable
from archive.model import RecordingId, TenantId
from archive.placing import objects_prefix
from archive.store.object import Store

BATCH_RECORDINGS_MAX = 100
"""Some thousand requests to the store: half a minute, then other jobs get their turn."""


@dataclass(frozen=True)
class HoldProgress:
    """Recordings whose holds in the store are right now, and those that wait still."""

    done: int
    remaining: int


class StoreHolds:
    """Sets and takes off holds of the store; any number of processes may."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    def batch(self, tenant_id: TenantId, recordings_max: int = BATCH_RECORDINGS_MAX) -> HoldProgress:
        """Let some recordings have the holds they should; raises DependencyUnavailable."""
        if not self._store.locks:
            return HoldProgress(0, 0)
        chosen = store_holds.waiting(self._catalogue, tenant_id, recordings_max)
        for recording_id in chosen:
            self._follow(tenant_id, recording_id)
        return HoldProgress(len(chosen), store_holds.count_waiting(self._catalogue, tenant_id))

    def _follow(self, tenant_id: TenantId, recording_id: RecordingId) -> None:
        store_holds.begin(self._catalogue, tenant_id, recording_id)
        with self._catalogue.transaction(tenant_id) as connection:
            held = store_holds.wanted(connection, tenant_id, recording_id)
            if held is None:
                return
            for version in self._store.versions(objects_prefix(tenant_id, recording_id)):
                if not version.is_delete_marker:
                    self._set(version.key, version.version_id, held=held)
            store_holds.settle(connection, tenant_id, recording_id, held=held)

    def _set(self, key: str, version_id: str, *, held: bool) -> None:
        if self._store.legal_hold(key, version_id) == held:
            return
        self._store.set_legal_hold(key, version_id, held=held)
        if self._store.legal_hold(key, version_id) != held:
            raise StoreUnavailable("The store acknowledged a hold and does not show it; it is tried again.")
