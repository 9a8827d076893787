"""The clock deletions go by: reads the three clocks, and remembers when they were found right.

Time that goes by is measured by the machine's uptime, which setting a clock does not change and
which a program started with a false clock sees as it is. What is remembered stands in the
database, so that it outlives the process. After a start of the machine no more than a bound is
remembered, until the clock is proved: nobody takes a time of others for right that was never more
than said.

By a database that was restored from a backup nothing is judged before the catalogue was built again,
however right the clocks are.

Rules: blocking. A clock that is not believed is written into the audit log, once for each
new reason, and so is one that lets deletions come late. Not here: what is believed
(`retention.due_time`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from archive.audit import AuditWriter
from archive.catalogue import restores, retention_clocks
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_clocks import CLOCK_ACTION, DISBELIEVED, GoodTime
from archive.clock import Clock
from archive.errors import DependencyUnavailable, Refused
from archive.store.object import Store
from retention.due_time import (
    TOLERANCE,
    Checkpoint,
    ClockDisbelieved,
    Judgement,
    NotRebuilt,
    Readings,
    judge,
    judge_lock,
)
from retention.kernel_clock import kernel_clock

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UPTIME = Path("/proc/uptime")
ACTOR = "service:worker"

RENEWAL_S = 60.0
"""A recorder writes its good time down once a minute at most, whatever it archives."""

TRUST_DAYS_MAX = 14
"""How far ahead one operator may say that a clock is right: after a holiday, or a restore of last week's
backup. Who says so without looking loses what is over within that time, and not what is kept for years."""

LATE = timedelta(hours=6)
"""Who knows of it then has time to say that the clock is right: nothing expired is alive a day later."""

_DIGITS = re.compile(r"\d+")
"""By how much a clock is off is another number at each look; it is one reason."""

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


def boot_id() -> str:
    """Return what names this start of the machine; "" where it does not tell."""
    try:
        return machine_uptime().boot_id
    except DependencyUnavailable:
        return ""


class LockClock:
    """Asks, before something is locked by it, whether this machine's clock can be believed.

    As `Timekeeper`, but for a recorder: by the time that went by alone, for it reads no audit log.
    Until a worker has looked once, nothing is known that speaks against a clock.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        node: str,
        uptime: Callable[[], Uptime] = machine_uptime,
        kept_clock: Callable[[], datetime | None] = kernel_clock,
    ) -> None:
        """Remember what it stands on; `kept_clock` tells this machine's time while NTP keeps it."""
        self._catalogue = catalogue
        self._clock = clock
        self._node = node
        self._uptime = uptime
        self._kept_clock = kept_clock

    def check(self) -> None:
        """Raise ClockDisbelieved when nothing may be locked now; raises DependencyUnavailable."""
        up, local = self._uptime(), self._clock.now()
        known = retention_clocks.good_times(self._catalogue)
        proved = _is_proved(local, self._kept_clock)
        try:
            found = judge_lock(local, _checkpoint(up, known), proved=proved)
        except ClockDisbelieved as error:
            _log.error("ALARM: the clock is not believed, recordings wait", reason=str(error))
            raise
        if found is None:
            return
        own = next((each for each in known if each.node == self._node), None)
        if (
            own is None
            or (own.boot_id, own.exact) != (up.boot_id, found.exact)
            or up.seconds - own.uptime_s >= RENEWAL_S
        ):
            retention_clocks.keep(self._catalogue, _good(self._node, found, up))

    def due_times(self) -> tuple[datetime, datetime, bool]:
        """Return this machine's time, up to when by it terms are over, and whether anything confirms it.

        Judged as deletions are, but for the store's clock. Raises ClockDisbelieved, DependencyUnavailable.
        Nothing is remembered of it.
        """
        up, local = self._uptime(), self._clock.now()
        checkpoint = _checkpoint(up, retention_clocks.good_times(self._catalogue))
        proved = _is_proved(local, self._kept_clock)
        found = judge(Readings(local, local, None, checkpoint, proved))
        return local, found.until, checkpoint is not None or proved


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
        kept_clock: Callable[[], datetime | None] = kernel_clock,
    ) -> None:
        """Remember what it stands on; `kept_clock` tells this machine's time while NTP keeps it."""
        self._catalogue = catalogue
        self._store = store
        self._audit = audit
        self._clock = clock
        self._node = node
        self._uptime = uptime
        self._kept_clock = kept_clock
        self._alarmed: set[str] = set()

    def due_time(self) -> datetime:
        """Return the moment up to which recordings are over, and remember what is known of the time now.

        Raises ClockDisbelieved, NotRebuilt when the database was restored and the catalogue not built again
        since, and DependencyUnavailable when store or database are away.
        """
        self._require_rebuilt()
        up, known = self._uptime(), retention_clocks.good_times(self._catalogue)
        readings = self._readings(up, known)
        readings = replace(readings, newest_entry=self._newest_entry(readings.local, known))
        found = self._judged(readings)
        if readings.local - found.until > LATE:
            self._alarm(
                "Deletions come late by the time this machine was off, which nobody measured. When its clock "
                "is right, run `earwitness retention trust-clock`, or have NTP keep it.",
                "failed",
            )
        else:
            self._alarmed.clear()
        retention_clocks.keep(self._catalogue, _good(self._node, found, up))
        return found.until

    def believed_time(self) -> datetime:
        """Return this machine's time when it may date and lock for good what is sealed now.

        Entries of others that are dated ahead do not speak against it: they would keep the log from being
        sealed until somebody looks. Raises ClockDisbelieved, and DependencyUnavailable when store or
        database are away.
        """
        up, known = self._uptime(), retention_clocks.good_times(self._catalogue)
        readings = self._readings(up, known)
        found = self._judged(readings)
        retention_clocks.keep(self._catalogue, _good(self._node, found, up))
        return readings.local

    def _judged(self, readings: Readings) -> Judgement:
        try:
            return judge(readings)
        except ClockDisbelieved as error:
            self._alarm(str(error), DISBELIEVED)
            raise

    def _require_rebuilt(self) -> None:
        made_at = restores.not_rebuilt(self._catalogue)
        if made_at is None:
            return
        error = NotRebuilt(
            f"Nothing is deleted: the database is that of the backup of {made_at:%Y-%m-%d %H:%M} UTC and "
            "knows nothing of what was held since. Run `earwitness storage rebuild-catalogue`."
        )
        _log.error("ALARM: restored and not rebuilt, nothing is deleted", reason=str(error))
        raise error

    def trust(self, witness: Callable[[], datetime] | None = None) -> datetime:
        """Take this machine's clock as right from now on, as the operator says, and return its time.

        One person's word moves the time ahead by TRUST_DAYS_MAX at most. Beyond that a second one says it
        too: `witness` returns the time an authority tells. Raises Refused where there is none, or it says
        otherwise, and DependencyUnavailable.
        """
        now, up = self._clock.now(), self._uptime()
        self._require_bounded(now, up, witness)
        ahead = retention_clocks.newest_entry(self._catalogue)
        ignored = ahead if ahead is not None and ahead > now else None
        for each in retention_clocks.good_times(self._catalogue):
            if each.at > now:
                bound = replace(each, at=now, boot_id=up.boot_id, uptime_s=up.seconds, exact=False)
                retention_clocks.keep(self._catalogue, bound)
        good = GoodTime(self._node, now, up.boot_id, up.seconds, ignored)
        retention_clocks.keep(self._catalogue, good)
        return now

    def _require_bounded(self, now: datetime, up: Uptime, witness: Callable[[], datetime] | None) -> None:
        """Raise Refused for a clock that is further ahead than one person may say is right."""
        last = self._third(up, retention_clocks.good_times(self._catalogue))
        if last is None or now - last.now <= timedelta(days=TRUST_DAYS_MAX):
            return
        further = (
            f"By this machine's clock it is {now:%Y-%m-%d %H:%M} UTC, and the last time that was right is "
            f"{last.now:%Y-%m-%d %H:%M}: more than {TRUST_DAYS_MAX} days before."
        )
        if witness is None:
            raise Refused(
                f"{further} So far it takes a second word: set EARWITNESS_TSA_URL and "
                "EARWITNESS_TSA_CERTIFICATES, and call again."
            )
        told = witness()
        if abs(told - now) > TOLERANCE:
            raise Refused(f"{further} The time-stamping authority says {told:%Y-%m-%d %H:%M}: set the clock.")

    def _readings(self, up: Uptime, known: list[GoodTime]) -> Readings:
        local = self._clock.now()
        proved = _is_proved(local, self._kept_clock)
        return Readings(local, self._store.clock(), None, self._third(up, known), proved)

    def _third(self, up: Uptime, known: list[GoodTime]) -> Checkpoint | None:
        """Return the third clock; None of an archive that is empty and was never looked at."""
        checkpoint = _checkpoint(up, known)
        if checkpoint is not None:
            return checkpoint
        # Nobody knows when this archive had a right clock; its newest recording was made by some.
        newest = retention_clocks.newest_recording(self._catalogue)
        return None if newest is None else Checkpoint(newest, 0.0, exact=False)

    def _newest_entry(self, local: datetime, known: list[GoodTime]) -> datetime | None:
        newest = retention_clocks.newest_entry(self._catalogue)
        ignored = max((each.ignored_until for each in known if each.ignored_until is not None), default=None)
        if newest is None or ignored is None or newest > ignored or newest <= local:
            return newest
        return retention_clocks.newest_entry(self._catalogue, at_most=local)

    def _alarm(self, reason: str, result: str) -> None:
        what = "nothing is deleted" if result == DISBELIEVED else "deletions come late"
        _log.error(f"ALARM: no clock is believed, {what}", reason=reason)
        kind = _DIGITS.sub("", reason.partition(" by ")[0])
        if kind in self._alarmed:
            return
        with self._audit.transaction(None) as connection:
            self._audit.append(
                connection,
                tenant_id=None,
                actor=ACTOR,
                action=CLOCK_ACTION,
                object=f"node:{self._node}",
                result=result,
                at=self._clock.now(),
                body={"reason": reason},
            )
        self._alarmed.add(kind)


def _good(node: str, found: Judgement, up: Uptime) -> GoodTime:
    return GoodTime(node, found.at, up.boot_id, up.seconds, exact=found.exact)


def _is_proved(local: datetime, kept_clock: Callable[[], datetime | None]) -> bool:
    """Return whether NTP keeps this machine's clock, and it is the one that is gone by here."""
    kept = kept_clock()
    return kept is not None and abs(kept - local) <= TOLERANCE


def _checkpoint(up: Uptime, known: list[GoodTime]) -> Checkpoint | None:
    """Return the last time of this start of the machine that was right, else the latest bound of any."""
    of_this_start = [each for each in known if each.boot_id == up.boot_id and each.uptime_s <= up.seconds]
    exact = [each for each in of_this_start if each.exact]
    if exact:
        last = max(exact, key=lambda each: each.uptime_s)
        return Checkpoint(last.at, up.seconds - last.uptime_s, exact=True)
    bounds = [Checkpoint(each.at, up.seconds - each.uptime_s, exact=False) for each in of_this_start]
    bounds += [Checkpoint(each.at, 0.0, exact=False) for each in known]
    return max(bounds, key=lambda each: each.now, default=None)
