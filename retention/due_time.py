"""The time by which it is judged whether a recording is over: the earliest of three clocks.

This machine's clock, the object store's, and what the clock was when it was last found right,
plus the time that has gone by since (which no change of a clock reaches). When they differ by
more than a minute, or when this machine's clock stands before what the audit log tells of
already, nothing may be deleted.

After a restart of the machine nobody knows how long it was off. A pause of up to
PAUSE_HOURS_MAX is taken as such, and the old time holds until the next look; a longer one
has to be confirmed by the operator, because a clock that is wrong looks the same.

Rules: pure. Not here: where the readings come from (`retention.timekeeper`).
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

_TOLERANCE = timedelta(seconds=CLOCK_DIFFERENCE_S_MAX)


class ClockDisbelieved(DependencyUnavailable):
    """No clock can be believed; nothing is deleted until one is set right or confirmed."""


@dataclass(frozen=True)
class Checkpoint:
    """When the clocks were last found right, and the seconds since, None when nobody measured them."""

    at: datetime
    elapsed_s: float | None


@dataclass(frozen=True)
class Readings:
    """What each clock says; `newest_entry` is the last moment the audit log tells of."""

    local: datetime
    store: datetime
    newest_entry: datetime | None
    checkpoint: Checkpoint | None


def due_time(readings: Readings) -> datetime:
    """Return the moment up to which recordings are over; raises ClockDisbelieved."""
    local, store = readings.local, readings.store
    if abs(local - store) > _TOLERANCE:
        raise _disbelieved(
            f"the clocks of this machine and of the object store differ by {_s(local - store)}"
        )
    if readings.newest_entry is not None and local < readings.newest_entry - _TOLERANCE:
        raise _disbelieved(
            f"the audit log has an entry {_s(readings.newest_entry - local)} ahead of this clock"
        )
    if readings.checkpoint is None:
        return min(local, store)
    return min(local, store, _third(local, readings.checkpoint))


def _third(local: datetime, checkpoint: Checkpoint) -> datetime:
    """Return what the third clock says; raises ClockDisbelieved when this machine's is far from it."""
    if checkpoint.elapsed_s is not None:
        third = checkpoint.at + timedelta(seconds=checkpoint.elapsed_s)
        if abs(local - third) > _TOLERANCE:
            raise _disbelieved(f"this machine's clock moved by {_s(local - third)} that did not go by")
        return third
    if local < checkpoint.at - _TOLERANCE:
        raise _disbelieved(
            f"this machine's clock stands {_s(checkpoint.at - local)} before its last good time"
        )
    if local - checkpoint.at > timedelta(hours=PAUSE_HOURS_MAX):
        raise _disbelieved(f"this machine was off for {_s(local - checkpoint.at)}, or its clock is wrong")
    return checkpoint.at


def agrees(local: datetime, checkpoint: Checkpoint | None) -> bool:
    """Return whether a clock may be remembered as right: within a minute, or nothing speaks against it.

    Raises ClockDisbelieved when it is so far off that nothing may be locked by it.
    """
    if checkpoint is None or checkpoint.elapsed_s is None:
        due_time(Readings(local, local, None, checkpoint))
        return True
    third = checkpoint.at + timedelta(seconds=checkpoint.elapsed_s)
    if abs(local - third) > timedelta(hours=LOCK_HOURS_MAX):
        raise _disbelieved(f"this machine's clock moved by {_s(local - third)} that did not go by")
    return abs(local - third) <= _TOLERANCE


def _s(difference: timedelta) -> str:
    return f"{abs(difference.total_seconds()):.0f} s"


def _disbelieved(what: str) -> ClockDisbelieved:
    return ClockDisbelieved(
        f"Nothing is deleted or locked: {what}. Set the clocks by NTP; when this machine's clock is right, "
        "run `earwitness retention trust-clock`."
    )
