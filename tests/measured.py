"""What was measured, as a row of a table: times, processor time, ratios to the baseline of the same run, the aim.

For the programs in `tests/benchmarks` that ask the same thing many times. Machines differ
and are shared: the baseline was asked in the same minute, and the processor time of those
who answer says what remains when they have the machine for themselves.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import psutil

WARM_UP_ROUNDS = 3
NAME_WIDTH = 20
HEADS = ("asked", "p50 ms", "p95 ms", "max ms", "CPU ms", "p50 ratio", "p95 ratio", "aim p95")
WIDTHS = (7, 9, 9, 9, 8, 11, 11, 8)

Processes = Callable[[], Iterable[psutil.Process]]


@dataclass(frozen=True)
class Measured:
    """How long each round took, and the mean processor time of those who answered."""

    took_ms: list[float]
    cpu_ms: float

    def percentile(self, share: float) -> float:
        """Return the time that `share` of all rounds do not exceed."""
        return sorted(self.took_ms)[min(len(self.took_ms) - 1, int(len(self.took_ms) * share))]


class Rounds:
    """Counts rounds: `with rounds.each():` around each of them; what warms up is not counted."""

    def __init__(self, processes: Processes) -> None:
        """Take what gives the processes that answer."""
        self._processes = processes
        self._took_ms: list[float] = []
        self._began_cpu_s: dict[int, float] = {}
        self._left_out = WARM_UP_ROUNDS

    @contextlib.contextmanager
    def each(self) -> Iterator[None]:
        """Measure what happens within."""
        if self._left_out == 0 and not self._took_ms:
            self._began_cpu_s = self._cpu_s()
        began = time.perf_counter()
        yield
        if self._left_out:
            self._left_out -= 1
        else:
            self._took_ms.append((time.perf_counter() - began) * 1000)

    def measured(self) -> Measured:
        """Return what was measured."""
        # One that ended meanwhile is left out: what it used before would count against the others.
        used_s = sum(now_s - self._began_cpu_s.get(pid, 0.0) for pid, now_s in self._cpu_s().items())
        return Measured(self._took_ms, used_s * 1000 / len(self._took_ms))

    def _cpu_s(self) -> dict[int, float]:
        """Return the processor time of each process by its id, in seconds."""
        found = {}
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        return found


def measure(
    ask: Callable[[random.Random], object], rounds: int, processes: Processes, seed: int = 4
) -> Measured:
    """Ask again and again, each time something else of the dice."""
    dice, counted = random.Random(seed), Rounds(processes)
    for _ in range(WARM_UP_ROUNDS + rounds):
        with counted.each():
            ask(dice)
    return counted.measured()


def show_heads() -> None:
    """Print the names of the columns."""
    print(
        f"{'':{NAME_WIDTH}}" + "".join(f"{head:>{width}}" for head, width in zip(HEADS, WIDTHS, strict=True))
    )


def show(name: str, found: Measured, base: Measured, aim_ms: float | None, remark: str = "") -> bool:
    """Print a row, with ratios to the baseline, p50 to p50 and p95 to p95; return whether its aim is met."""
    p50, p95 = found.percentile(0.5), found.percentile(0.95)
    ratios = (p50 / base.percentile(0.5), p95 / base.percentile(0.95))
    aim = "" if aim_ms is None else f"{aim_ms:8.0f} {'met' if p95 <= aim_ms else 'MISSED'}"
    print(f"{name:{NAME_WIDTH}}{len(found.took_ms):7}{p50:9.1f}{p95:9.1f}{max(found.took_ms):9.1f}", end="")
    print(f"{found.cpu_ms:8.1f}{ratios[0]:11.2f}{ratios[1]:11.2f}{aim}{remark}", flush=True)
    return aim_ms is None or p95 <= aim_ms
