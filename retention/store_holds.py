"""The holds follow the cases: of a released case the recordings are let go, and the store's own holds go.

What a case holds is held by its row, at once. The holds of the store, a second lock, come
after it, object by object, each read back; how far they are stands in the case. Taking them
off is the last step of a release.

Rules: done again and again without harm; nobody waits for the store under the lock of a row. A
recording that fails is tried again and keeps no other waiting. A store without locks has no
holds, and says so by staying at none. Not here: when it runs (`retention.worker`).
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.catalogue import case_release, store_holds
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.errors import DependencyUnavailable, StoreUnavailable
from archive.model import RecordingId, TenantId
from archive.placing import objects_prefix
from archive.store.object import Store

BATCH_RECORDINGS_MAX = 100
"""Some thousand requests to the store: half a minute, then other jobs get their turn."""

FAILURES_MAX = 3
"""So many that fail one after the other are not at fault themselves: the store or the database is away."""


@dataclass(frozen=True)
class HoldProgress:
    """Recordings that were let go or whose holds in the store are right now, and what waits still."""

    done: int
    remaining: int


class StoreHolds:
    """Lets go what was released, sets and takes off holds of the store; any number of processes may."""

    def __init__(self, store: Store, catalogue: Catalogue, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock

    def batch(self, tenant_id: TenantId, recordings_max: int = BATCH_RECORDINGS_MAX) -> HoldProgress:
        """Let some recordings go, and some have the holds they should.

        Raises DependencyUnavailable when something failed and nothing was done.
        """
        let_go = case_release.let_go(self._catalogue, tenant_id, now=self._clock.now())
        remaining = case_release.count_waiting(self._catalogue, tenant_id)
        if not self._store.locks:
            return HoldProgress(let_go, remaining)
        done, failure = self._follow_all(
            store_holds.waiting(self._catalogue, tenant_id, recordings_max), tenant_id
        )
        if failure is not None and not let_go + done:
            raise failure
        remaining += store_holds.count_waiting(self._catalogue, tenant_id)
        return HoldProgress(let_go + done, remaining)

    def _follow_all(
        self, chosen: list[RecordingId], tenant_id: TenantId
    ) -> tuple[int, DependencyUnavailable | None]:
        """Return how many have the holds they should, and what failed last."""
        done = in_a_row = 0
        failure: DependencyUnavailable | None = None
        for recording_id in chosen:
            try:
                done += self._follow(tenant_id, recording_id)
                in_a_row = 0
            except DependencyUnavailable as error:
                failure, in_a_row = error, in_a_row + 1
                if in_a_row >= FAILURES_MAX:
                    break
        return done, failure

    def _follow(self, tenant_id: TenantId, recording_id: RecordingId) -> bool:
        held = store_holds.follow(self._catalogue, tenant_id, recording_id)
        if held is None:
            return True
        for version in self._store.versions(objects_prefix(tenant_id, recording_id)):
            if not version.is_delete_marker:
                self._set(version.key, version.version_id, held=held)
        return store_holds.settle(self._catalogue, tenant_id, recording_id, held=held)

    def _set(self, key: str, version_id: str, *, held: bool) -> None:
        if self._store.legal_hold(key, version_id) == held:
            return
        self._store.set_legal_hold(key, version_id, held=held)
        if self._store.legal_hold(key, version_id) != held:
            raise StoreUnavailable("The store acknowledged a hold and does not show it; it is tried again.")
