"""The audio of play links that work no longer: it goes, and the link stays in the list.

What a link served was made for it alone, so that nothing keeps it: no lock, no hold, and
the recording itself stays as it is. Visits that are over go too.

Rules: done again and again without harm. Not here: when it runs (`retention.worker`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from archive.catalogue import share_visits, shares
from archive.catalogue.engine import Catalogue
from archive.errors import NotFound
from archive.model import TenantId
from archive.store.object import Store
from retention.due_time import ClockDisbelieved

NEVER = datetime.min.replace(tzinfo=UTC)


class Shares:
    """Clears up behind links; any number of processes may."""

    def __init__(self, store: Store, catalogue: Catalogue, due_time: Callable[[], datetime]) -> None:
        """Remember what it stands on; `due_time` tells by what links are over, raises ClockDisbelieved."""
        self._store = store
        self._catalogue = catalogue
        self._due_time = due_time

    def sweep(self, tenant_id: TenantId) -> int:
        """Delete what ended links of a tenant served, and return how many; raises StoreUnavailable."""
        now = self._until()
        share_visits.sweep(self._catalogue, tenant_id, now=now)
        over = shares.over_with_audio(self._catalogue, tenant_id, now=now)
        for share in over:
            if share.derivative is None:
                continue
            with contextlib.suppress(NotFound):
                self._store.delete(share.derivative.object_key, share.derivative.version_id)
            shares.forget_derivative(self._catalogue, share)
        return len(over)

    def _until(self) -> datetime:
        """Return up to when links are over; what somebody ended goes whatever the clock."""
        try:
            return self._due_time()
        except ClockDisbelieved:  # told and written down where it was found
            return NEVER
