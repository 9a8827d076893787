"""The audio of play links that work no longer: it goes, and the link stays in the list.

What a link served was made for it alone, so that nothing keeps it: no lock, no hold, and
the recording itself stays as it is. Visits that are over go too.

Rules: done again and again without harm. Not here: when it runs (`retention.worker`).
"""

from __future__ import annotations

import contextlib

from archive.catalogue import share_visits, shares
from archive.catalogue.engine import Catalogue
from archive.clock import Clock
from archive.errors import NotFound
from archive.model import TenantId
from archive.store.object import Store


class Shares:
    """Clears up behind links; any number of processes may."""

    def __init__(self, store: Store, catalogue: Catalogue, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock

    def sweep(self, tenant_id: TenantId) -> int:
        """Delete what ended links of a tenant served, and return how many; raises StoreUnavailable."""
        now = self._clock.now()
        share_visits.sweep(self._catalogue, tenant_id, now=now)
        over = shares.over_with_audio(self._catalogue, tenant_id, now=now)
        for share in over:
            if share.derivative is None:
                continue
            with contextlib.suppress(NotFound):
                self._store.delete(share.derivative.object_key, share.derivative.version_id)
            shares.forget_derivative(self._catalogue, share)
        return len(over)
