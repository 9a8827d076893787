"""The time by which it is judged whether a recording is over: the earliest of three clocks.

This machine's clock, the object store's, and what the clock was when it was last found right,
plus the time that has gone by since (which no change of a clock reaches). When they differ by
more than a minute, or when this machine's clock stands before what the audit log tells of
already, nothing may be deleted.

After a restart of the machine nobody knows how long it was off. A pause of up to
PAUSE_HOURS_MAX is taken as such, but only the time that was measured counts: the third clock
runs behind by the pause, and what is over goes later by it. It is exact again when this
machine's clock is proved right: by NTP, as the kernel tells, or by the operator. A longer
pause has to be confirmed by the operator, because a clock that is wrong looks the same.

A clock that is within the minute and not proved moves the third one by no more than DRIFT_PPM_MAX
of the time that was measured, however often somebody looks: set ahead a little between any two
looks, it would walk away from what was right.

Rules: pure. What proves a clock may move it back as well: that deletes nothing early. Not
here: where the readings come from (`retention.timekeeper`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from archive.errors import DependencyUnavailable
from archive.store.clock_guard import CLOCK_DIFFERENCE_S_MAX

PAUSE_HOURS_MAX = 72
"""A long weekend without power; a clock that lost its battery is off by years."""

LOCK_HOURS_MAX = 24
"""How wrong a clock may be and still lock: a host that finds the time after its start must not keep
recordings waiting for a person, and a term that is a day off is none that is lost."""

DRIFT_PPM_MAX = 200
"""17 s a day: more than a machine's oscillator is off, and nothing that adds up to a day within ten years."""

TOLERANCE = timedelta(seconds=CLOCK_DIFFERENCE_S_MAX)


class ClockDisbelieved(DependencyUnavailable):
    """No clock can be believed; nothing is deleted until one is set right or confirmed."""


class NotRebuilt(ClockDisbelieved):
    """The database is that of a backup, and does not know yet what was held or kept for longer since."""


@dataclass(frozen=True)
class Checkpoint:
    """What is known of the time: it was `at`, and `elapsed_s` have gone by since.

    Not `exact` when more may have gone by, because the machine was off: then it is a bound.
    """

    at: datetime
    elapsed_s: float
    exact: bool

    @property
    def now(self) -> datetime:
        """What the third clock says."""
        return self.at + timedelta(seconds=self.elapsed_s)


@dataclass(frozen=True)
class Readings:
    """What each clock says.

    `newest_entry` is the last moment the audit log tells of; `proved` says that NTP keeps
    this machine's clock.
    """

    local: datetime
    store: datetime
    newest_entry: datetime | None
    checkpoint: Checkpoint | None
    proved: bool = False


@dataclass(frozen=True)
class Judgement:
    """Up to when recordings are over, and what is known of the time from now on."""

    until: datetime
    at: datetime
    exact: bool


def judge(readings: Readings) -> Judgement:
    """Return the moment up to which recordings are over; raises ClockDisbelieved."""
    local, store = readings.local, readings.store
    if abs(local - store) > TOLERANCE:
        raise _disbelieved(
            f"the clocks of this machine and of the object store differ by {_s(local - store)}"
        )
    newest = readings.newest_entry
    if newest is not None and local < newest - TOLERANCE and not readings.proved:
        raise _disbelieved(f"the audit log has an entry {_s(newest - local)} ahead of this clock")
    here = min(local, store)
    if readings.checkpoint is None:
        return Judgement(here, here, exact=True)
    if _is_exact(local, readings.checkpoint, proved=readings.proved):
        close = abs(local - readings.checkpoint.now) <= TOLERANCE
        until = min(here, readings.checkpoint.now) if close else here
        return Judgement(until, _anchor(here, readings.checkpoint, proved=readings.proved), exact=True)
    third = readings.checkpoint.now
    return Judgement(min(here, third), third, exact=False)


def _anchor(here: datetime, checkpoint: Checkpoint, *, proved: bool) -> datetime:
    """Return what to remember of a time that was found right."""
    if proved or not checkpoint.exact:
        return here
    drift = timedelta(seconds=checkpoint.elapsed_s * DRIFT_PPM_MAX / 1_000_000)
    return min(max(here, checkpoint.now - drift), checkpoint.now + drift)


def _is_exact(local: datetime, checkpoint: Checkpoint, *, proved: bool) -> bool:
    """Return whether this machine's clock is right; False: only bounded. Raises ClockDisbelieved."""
    ahead = local - checkpoint.now
    if abs(ahead) <= TOLERANCE:
        return True
    if proved and ahead <= timedelta(hours=PAUSE_HOURS_MAX):
        return True
    if ahead < -TOLERANCE and not checkpoint.exact:
        raise _disbelieved(f"this machine's clock stands {_s(ahead)} before its last good time")
    if checkpoint.exact:
        raise _disbelieved(f"this machine's clock moved by {_s(ahead)} that did not go by")
    if ahead > timedelta(hours=PAUSE_HOURS_MAX):
        raise _disbelieved(f"this machine was off for {_s(ahead)}, or its clock is wrong")
    return False


def judge_lock(local: datetime, checkpoint: Checkpoint | None, *, proved: bool) -> Judgement | None:
    """Return what a clock that may lock tells of the time; None when nothing may be remembered of it.

    Raises ClockDisbelieved when it is so far off that nothing may be locked by it.
    """
    if checkpoint is None:
        return Judgement(local, local, exact=True) if proved else None
    try:
        return judge(Readings(local, local, None, checkpoint, proved))
    except ClockDisbelieved:
        if abs(local - checkpoint.now) > timedelta(hours=LOCK_HOURS_MAX):
            raise
        return None


def _s(difference: timedelta) -> str:
    return f"{abs(difference.total_seconds()):.0f} s"


def _disbelieved(what: str) -> ClockDisbelieved:
    return ClockDisbelieved(
        f"Nothing is deleted or locked: {what}. Set the clocks by NTP; when this machine's clock is right, "
        "run `earwitness retention trust-clock`."
    )
