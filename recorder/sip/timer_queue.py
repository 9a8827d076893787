"""Many timers at once: setting, cancelling and firing one never looks at the others.

Rules: a key has at most one time; setting it again moves it. A heap orders the
times; entries that were moved or cancelled stay in it until they come up, or until
they outnumber the live ones and are swept in one go, so the cost per timer stays
logarithmic and memory stays bounded.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

STALE_COUNT_MAX = 64  # below this a sweep costs more than the entries it frees


class TimerQueue(Generic[KeyT]):
    """Timers by key, in monotonic seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, KeyT]] = []
        self._serials: dict[KeyT, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._serials)

    def set(self, key: KeyT, at: float) -> None:
        """Let `key` fire at `at`, whatever it was set to before."""
        self._serial += 1
        self._serials[key] = self._serial
        heapq.heappush(self._heap, (at, self._serial, key))
        self._sweep()

    def cancel(self, key: KeyT) -> None:
        """Let `key` not fire; unknown keys are fine."""
        self._serials.pop(key, None)
        self._sweep()

    def next(self) -> float | None:
        """Return when the earliest timer is due, None without timers."""
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> KeyT | None:
        """Take one timer that is due; None when there is no more."""
        at = self.next()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._serials[key]
        return key

    def _is_stale(self, entry: tuple[float, int, KeyT]) -> bool:
        return self._serials.get(entry[2]) != entry[1]

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._serials) + STALE_COUNT_MAX:
            self._heap = [entry for entry in self._heap if not self._is_stale(entry)]
            heapq.heapify(self._heap)
