"""What was read once and never changes, kept for a short while: so many entries, so many seconds.

Rules: what is kept says nothing of who may have it; that is asked each time, before.
When there is no room, what was asked for longest ago goes first.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by their keys, for a while; safe to share among threads."""

    def __init__(
        self, *, count_max: int, age_s_max: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep at most `count_max` values, each for `age_s_max` seconds; `monotonic` never steps."""
        self._count_max = count_max
        self._age_s_max = age_s_max
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """Return what was kept under `key`, None when there is nothing or it is too old."""
        now = self._monotonic()
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if now - found[0] > self._age_s_max:
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
            return found[1]

    def keep(self, key: K, value: V) -> None:
        """Keep `value` from now on; what is too old goes, and then what was asked for longest ago."""
        now = self._monotonic()
        with self._lock:
            self._kept[key] = (now, value)
            self._kept.move_to_end(key)
            stale = [each for each, (since, _) in self._kept.items() if now - since > self._age_s_max]
            for each in stale:
                del self._kept[each]
            while len(self._kept) > self._count_max:
                self._kept.popitem(last=False)
