"""Keeps a set of children alive: one that dies is started again, later each time.

The order of the set is the order of starting; stopping goes backwards.

Not here: what is watched, and signals (`supervisor`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from archive.embedded.errors import EmbeddedServiceError

log = structlog.get_logger()

FIRST_PAUSE_S = 0.5
PAUSE_S_MAX = 30.0  # long enough not to burn a core, short enough that phones are not down for minutes
STEADY_S = 60.0  # who ran so long begins with the first pause again


class Watched(Protocol):
    """Something with a process of its own."""

    @property
    def name(self) -> str:
        """Return the name for messages."""

    def start(self) -> object:
        """Start it and return when its process runs; raises EmbeddedServiceError."""

    def running(self) -> bool:
        """Tell whether its process is alive."""

    def stop(self) -> None:
        """End it in order."""

    def bound_log(self) -> None:
        """Keep its log within its limit."""


@dataclass(frozen=True)
class Restarts:
    """How long to wait before the next start: doubling, forgiven after a steady run."""

    pause_s: float = FIRST_PAUSE_S
    started_s: float = 0.0
    due_s: float | None = None

    def started(self, now: float) -> Restarts:
        """Note a start at `now`."""
        return Restarts(self.pause_s, now, None)

    def died(self, now: float) -> Restarts:
        """Note a death at `now` and plan the next start."""
        pause_s = FIRST_PAUSE_S if now - self.started_s >= STEADY_S else self.pause_s
        return Restarts(min(pause_s * 2, PAUSE_S_MAX), self.started_s, now + pause_s)


class Watch:
    """Watches children in the order given; `monotonic` returns seconds that never step."""

    def __init__(self, watched: Sequence[Watched], monotonic: Callable[[], float]) -> None:
        self._watched = tuple(watched)
        self._monotonic = monotonic
        self._restarts = {each.name: Restarts().started(monotonic()) for each in self._watched}

    def check(self) -> None:
        """Look once: plan the start of what died, start what is due."""
        for each in self._watched:
            if each.running():
                each.bound_log()
                continue
            now = self._monotonic()
            state = self._restarts[each.name]
            if state.due_s is None:
                state = state.died(now)
                log.warning(
                    "a process died and is started again",
                    process=each.name,
                    in_s=round((state.due_s or now) - now, 1),
                )
            elif now >= state.due_s:
                state = self._start(each, state)
            self._restarts[each.name] = state

    def _start(self, each: Watched, state: Restarts) -> Restarts:
        try:
            each.start()
        except EmbeddedServiceError as error:
            log.error("a process can't be started", process=each.name, reason=str(error))  # noqa: TRY400
            return state.died(self._monotonic())
        return state.started(self._monotonic())

    def stop(self) -> None:
        """Stop everything, the last started first."""
        for each in reversed(self._watched):
            each.stop()
