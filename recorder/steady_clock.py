"""Time that runs evenly while calls run, whatever somebody sets this machine's clock to meanwhile.

It begins at this machine's clock and goes on by the monotonic one. All processes of a recorder share its
origin: signalling makes it, capture processes are given it. How far the machine's clock was set ahead
since (or back, below zero) is `ahead_ns`: a new call is dated by the clock as it is set then, and measured
by this one.

The kernel stamps packets with the machine's clock, and may stamp those that wait in a socket before it
is set and those behind them after. Each stamp is read with the latest setting that puts it within the time
in which that setting was in force.

Rules: the clocks are arguments. Not here: whether a clock is believed (`retention.timekeeper`), and what
becomes of a call whose clock was wrong (`recorder.dating`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog

from recorder.rtp.batch import Nanoseconds

STEP_NS_MIN = 10_000_000
"""Less is what lies between two readings of a busy machine, and no packet stands wrong for it."""

READING_NS_MAX = 1_000_000
"""A reading of both clocks that took longer was interrupted, and says nothing."""

READINGS_COUNT_MAX = 3

DOUBT_NS = 60 * 1_000_000_000
"""How long after a step packets may still wait that were stamped before: a socket holds 50 s of audio."""

_NEVER = -(2**63)

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Setting:
    """How far the machine's clock was ahead, and within what steady times it may have stamped so."""

    ahead_ns: int
    since_ns: int
    until_ns: int

    def read(self, stamps_ns: Nanoseconds) -> Nanoseconds:
        """Return the steady times of stamps, _NEVER where they are none of this setting."""
        read_ns = stamps_ns - self.ahead_ns
        is_within = (read_ns >= self.since_ns - STEP_NS_MIN) & (read_ns <= self.until_ns + STEP_NS_MIN)
        return np.where(is_within, read_ns, _NEVER)


class SteadyClock:
    """The time of one recorder, in nanoseconds since 1970."""

    def __init__(
        self,
        origin_ns: int | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Count from `origin_ns`, the time at which the monotonic clock was 0; None begins at the clock."""
        self._clock_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self.origin_ns = origin_ns or 0
        self._former: list[_Setting] = []
        ahead_ns, self._read_ns = self._reading() or (wall_ns() - self.wall_ns(), self.wall_ns())
        if origin_ns is None:
            self.origin_ns, ahead_ns = ahead_ns, 0
            self._read_ns += self.origin_ns
        # Who is given an origin began after it: what was set before is no step.
        self._ahead_ns = ahead_ns if abs(ahead_ns) >= STEP_NS_MIN else 0
        self._since_ns = 0

    def wall_ns(self) -> int:
        """Return the steady time."""
        return self._monotonic_ns() + self.origin_ns

    def read(self) -> tuple[float, int]:
        """Return the monotonic time in seconds, and the steady time of the same instant."""
        monotonic_ns = self._monotonic_ns()
        return monotonic_ns / 1e9, monotonic_ns + self.origin_ns

    def ahead_ns(self) -> int:
        """Return how far the machine's clock is ahead of the steady time; 0 when nobody set it."""
        read = self._reading()
        if read is None:
            return self._ahead_ns
        ahead_ns, now_ns = read
        if abs(ahead_ns - self._ahead_ns) >= STEP_NS_MIN:
            step_s = (ahead_ns - self._ahead_ns) / 1e9
            _log.warning("ALARM: this machine's clock was set while it recorded", by_s=round(step_s, 3))
            self._former.append(_Setting(self._ahead_ns, self._since_ns, now_ns))
            self._ahead_ns, self._since_ns = ahead_ns, self._read_ns
        self._read_ns = now_ns
        return self._ahead_ns

    def _reading(self) -> tuple[int, int] | None:
        """Return how far the clock is ahead, and the steady time then; None when it can't be read at once."""
        for _ in range(READINGS_COUNT_MAX):
            before_ns = self._monotonic_ns()
            clock_ns = self._clock_ns()
            took_ns = self._monotonic_ns() - before_ns
            if took_ns <= READING_NS_MAX:
                now_ns = before_ns + took_ns // 2 + self.origin_ns
                return clock_ns - now_ns, now_ns
        return None

    def arrivals(self, stamps_ns: Nanoseconds) -> Nanoseconds:
        """Return the steady times of packets that the kernel stamped by the machine's clock."""
        ahead_ns = self.ahead_ns()
        if not self._former:
            return stamps_ns if ahead_ns == 0 else stamps_ns - ahead_ns
        now_ns = self.wall_ns()
        self._former = [each for each in self._former if now_ns - each.until_ns <= DOUBT_NS]
        found = _Setting(ahead_ns, self._since_ns, now_ns).read(stamps_ns)
        for each in self._former:
            found = np.maximum(found, each.read(stamps_ns))
        return np.where(found == _NEVER, np.minimum(stamps_ns - ahead_ns, now_ns), found)
