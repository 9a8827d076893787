"""The job that counts what of retention is late, waits or is stuck, for alarms.

Rules: by the time recordings are judged by. Where that time is not believed it is the last one
that was, so that a clock that runs ahead makes nothing look overdue; where the store is away and
can't tell the time, this machine's. Nothing is changed and nobody waits for it.

Not here: what is counted (`archive.catalogue.retention_figures`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime

import procrastinate
import structlog

from archive.catalogue import retention_clocks, retention_figures
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_figures import Figure
from archive.clock import Clock
from archive.errors import DependencyUnavailable
from archive.model import TenantId
from retention.due_time import ClockDisbelieved, NotRebuilt

RETENTION_TALLY = "retention.tally"

_log = structlog.get_logger()


class Figures:
    """Counts; any number of processes may."""

    def __init__(
        self, catalogue: Catalogue, clock: Clock, check_clocks: Callable[[], datetime], *, locks: bool
    ) -> None:
        """Remember what it stands on; `locks` tells whether the store has locks and holds at all."""
        self._catalogue = catalogue
        self._clock = clock
        self._check_clocks = check_clocks
        self._locks = locks

    def tally(self, tenants: Iterable[TenantId]) -> dict[Figure, int]:
        """Count over all tenants, remember it and return it; raises DependencyUnavailable."""
        now = self._clock.now()
        until, of_clock = self._judged(now)
        counted: Counter[Figure] = Counter(
            {Figure.OVERDUE: 0, Figure.HOLDS_WAITING: 0, Figure.STUCK: 0, Figure.COUNTED: 0}
        )
        for tenant_id in tenants:
            counted.update(retention_figures.count(self._catalogue, tenant_id, until, locks=self._locks))
        found = {**counted, **of_clock}
        retention_figures.keep(self._catalogue, found, now)
        return found

    def keys_swept(self, stuck: int) -> None:
        """Remember how many idle keys could not be ended, of all tenants."""
        retention_figures.keep(self._catalogue, {Figure.IDLE_KEYS_STUCK: stuck}, self._clock.now())

    def _judged(self, now: datetime) -> tuple[datetime, dict[Figure, int]]:
        """Return the time it is counted by, and what that tells of the clocks: nothing, with a store away."""
        try:
            until = self._check_clocks()
        except NotRebuilt:
            return now, {Figure.NOT_REBUILT: 1}
        except ClockDisbelieved:
            known = retention_clocks.good_times(self._catalogue)
            return min([now, *(each.at for each in known[:1])]), {Figure.CLOCK_DISBELIEVED: 1}
        except DependencyUnavailable:
            return now, {}
        late = max(0, int((now - until).total_seconds()))
        return until, {Figure.CLOCK_DISBELIEVED: 0, Figure.CLOCK_LATE_S: late, Figure.NOT_REBUILT: 0}


def add_figures(
    app: procrastinate.App, tenants: Callable[[], list[TenantId]], tally: Callable[[list[TenantId]], object]
) -> None:
    """Add the job; a database that is away is asked again five minutes later."""

    @app.task(name=RETENTION_TALLY)
    async def count(timestamp: int) -> None:
        """Count what is late, waits or is stuck."""
        try:
            found = await asyncio.to_thread(lambda: tally(tenants()))
        except DependencyUnavailable as error:
            _log.warning("retention was not counted", due_at=timestamp, reason=str(error))
        else:
            _log.debug("retention is counted", due_at=timestamp, found=found)
