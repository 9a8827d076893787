"""The one place where a process asks what time it is.

Cores take `now` as an argument; only shells hold a `Clock`. Wall time dates
things, monotonic time measures them, so that a stepped clock never changes the
length of a call.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a shell needs to know of time."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never step, of no particular origin."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251

    def monotonic(self) -> float:
        """Return seconds that never step, of no particular origin."""
        return time.monotonic()
