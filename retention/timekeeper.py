"""The clock deletions go by: reads the three clocks, and remembers when they were found right.

Time that goes by is measured by the machine's uptime, which setting a clock does not change and
which a program started with a false clock sees as it is. What is remembered stands in the
database, so that it outlives the process.

Rules: blocking. A clock that is not believed is written into the audit log, once for each
new reason. Not here: what is believed (`retention.due_time`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from archive.audit import AuditWriter
from archive.catalogue import retention_clocks
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_clocks import GoodTime
from archive.clock import Clock
from archive.errors import DependencyUnavailable
from archive.store.object import Store
from retention.due_time import Checkpoint, ClockDisbelieved, Readings, agrees, due_time

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UPTIME = Path("/proc/uptime")
ACTOR = "service:worker"

RENEWAL_S = 60.0
"""A recorder writes its good time down once a minute at most, whatever it archives."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class Uptime:
    """How long the machine has been up, and since which start."""

    boot_id: str
    seconds: float


def machine_uptime() -> Uptime:
    """Return the uptime of this machine; raises DependencyUnavailable where it does not tell."""
    try:
        return Uptime(BOOT_ID.read_text().strip(), float(UPTIME.read_text().split()[0]))
    except (OSError, ValueError, IndexError) as error:
        raise DependencyUnavailable("This machine does not tell its uptime: mount /proc.") from error


class LockClock:
    """Asks, before something is locked by it, whether this machine's clock can be believed.

    As `Timekeeper`, but for a recorder: by the time that went by alone, for it reads no audit log.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        node: str,
        uptime: Callable[[], Uptime] = machine_uptime,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._node = node
        self._uptime = uptime

    def check(self) -> None:
        """Raise ClockDisbelieved when nothing may be locked now; raises DependencyUnavailable."""
        up, local = self._uptime(), self._clock.now()
        known = retention_clocks.good_times(self._catalogue)
        try:
            right = agrees(local, _checkpoint(up, known))
        except ClockDisbelieved as error:
            _log.error("ALARM: the clock is not believed, recordings wait", reason=str(error))
            raise
        own = next((each for each in known if each.node == self._node), None)
        if not right:
            return
        if own is None or own.boot_id != up.boot_id or up.seconds - own.uptime_s >= RENEWAL_S:
            retention_clocks.keep(self._catalogue, GoodTime(self._node, local, up.boot_id, up.seconds))


class Timekeeper:
    """Tells the time by which recordings are over."""

    def __init__(  # noqa: PLR0917 - what it stands on, named by its callers
        self,
        catalogue: Catalogue,
        store: Store,
        audit: AuditWriter,
        clock: Clock,
        node: str,
        uptime: Callable[[], Uptime] = machine_uptime,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._audit = audit
        self._clock = clock
        self._node = node
        self._uptime = uptime
        self._alarmed: str | None = None

    def due_time(self) -> datetime:
        """Return the moment up to which recordings are over, and remember that the clocks were right.

        Raises ClockDisbelieved, and DependencyUnavailable when store or database are away.
        """
        up, known = self._uptime(), retention_clocks.good_times(self._catalogue)
        readings = self._readings(up, known)
        try:
            found = due_time(readings)
        except ClockDisbelieved as error:
            self._alarm(error)
            raise
        self._alarmed = None
        good = min(readings.local, readings.store)
        retention_clocks.keep(self._catalogue, GoodTime(self._node, good, up.boot_id, up.seconds))
        return found

    def trust(self) -> datetime:
        """Take this machine's clock as right from now on, as the operator says, and return its time."""
        now, up = self._clock.now(), self._uptime()
        ahead = retention_clocks.newest_entry(self._catalogue)
        ignored = ahead if ahead is not None and ahead > now else None
        for node in {self._node, *(each.node for each in retention_clocks.good_times(self._catalogue))}:
            good = GoodTime(node, now, up.boot_id, up.seconds, ignored)
            retention_clocks.keep(self._catalogue, good)
        return now

    def _readings(self, up: Uptime, known: list[GoodTime]) -> Readings:
        local = self._clock.now()
        newest = self._newest_entry(local, known)
        checkpoint = _checkpoint(up, known)
        if checkpoint is None and newest is not None and newest <= local:
            checkpoint = Checkpoint(newest, None)
        return Readings(local, self._store.clock(), newest, checkpoint)

    def _newest_entry(self, local: datetime, known: list[GoodTime]) -> datetime | None:
        newest = retention_clocks.newest_entry(self._catalogue)
        ignored = max((each.ignored_until for each in known if each.ignored_until is not None), default=None)
        if newest is None or ignored is None or newest > ignored or newest <= local:
            return newest
        return retention_clocks.newest_entry(self._catalogue, at_most=local)

    def _alarm(self, error: ClockDisbelieved) -> None:
        _log.error("ALARM: no clock is believed, nothing is deleted", reason=str(error))
        kind = str(error).partition(" by ")[0]
        if kind == self._alarmed:
            return
        with self._audit.transaction(None) as connection:
            self._audit.append(
                connection,
                tenant_id=None,
                actor=ACTOR,
                action="retention.clock",
                object=f"node:{self._node}",
                result="refused",
                at=self._clock.now(),
                body={"reason": str(error)},
            )
        self._alarmed = kind


def _checkpoint(up: Uptime, known: list[GoodTime]) -> Checkpoint | None:
    """Return the last good time: of this start of the machine if there is one, else of any."""
    of_this_start = [each for each in known if each.boot_id == up.boot_id and each.uptime_s <= up.seconds]
    if of_this_start:
        best = of_this_start[0]
        return Checkpoint(best.at, up.seconds - best.uptime_s)
    return Checkpoint(known[0].at, None) if known else None
