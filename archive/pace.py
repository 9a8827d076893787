"""How fast something may leave: a leaky bucket told by one moment, so that it fits in a row.

`free_at` is the moment up to which everything sent so far would have lasted at the pace.
What is sent may run ahead of it by the burst and no more, whoever asks, however often
and in how many requests at once: until any moment t after the first, at most
`burst_octets + octets_per_s * t` octets have left.

Rules: pure. Who is served later has its place in the queue at once, so that many who ask
together get no more than one who asks patiently.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Pace:
    """So many octets a second, with so many at once after a rest; both above 0."""

    octets_per_s: float
    burst_octets: int


@dataclass(frozen=True)
class Turn:
    """When some octets may leave, and what is to be remembered of it."""

    at: datetime
    free_at: datetime

    def wait_s(self, now: datetime) -> float:
        """Return how long that is from now, 0 for at once."""
        return max(0.0, (self.at - now).total_seconds())


def turn(pace: Pace, free_at: datetime | None, octets: int, now: datetime) -> Turn:
    """Return when `octets`, at most the burst, may leave; raises ValueError for more."""
    if not 0 <= octets <= pace.burst_octets:
        raise ValueError(f"At once leave 0 to {pace.burst_octets} octets, not {octets}.")
    begun = now if free_at is None else max(free_at, now)
    until = begun + timedelta(seconds=octets / pace.octets_per_s)
    return Turn(max(now, until - timedelta(seconds=pace.burst_octets / pace.octets_per_s)), until)
