"""What dies is started again, later each time, and stopped in the reverse order."""

from __future__ import annotations

import pytest

from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.watch import FIRST_PAUSE_S, PAUSE_S_MAX, STEADY_S, Restarts, Watch


class Sample:
    """A process that lives and dies as told."""

    def __init__(self, name: str, history: list[str]) -> None:
        self.name = name
        self.alive = True
        self.startable = True
        self.history = history

    def start(self) -> None:
        self.history.append(f"start {self.name}")
        if not self.startable:
            raise EmbeddedServiceError("no")
        self.alive = True

    def running(self) -> bool:
        return self.alive

    def stop(self) -> None:
        self.history.append(f"stop {self.name}")

    def bound_log(self) -> None:
        self.history.append(f"bound {self.name}")


class Seconds:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_living_process_is_left_alone_and_its_log_bounded() -> None:
    """The log is looked at on the way."""
    history: list[str] = []
    Watch([Sample("a", history)], Seconds()).check()
    assert history == ["bound a"]


def test_a_dead_process_is_started_after_a_pause_that_doubles() -> None:
    """A role that can't live must not burn a core."""
    history: list[str] = []
    sample, seconds = Sample("a", history), Seconds()
    watch = Watch([sample], seconds)
    pauses = []
    for _ in range(8):
        sample.alive = False
        died = seconds.now
        watch.check()
        while not sample.alive:
            seconds.now += 0.25
            watch.check()
        pauses.append(seconds.now - died)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_steady_run_is_forgiven() -> None:
    """A crash once a day is answered at once."""
    tired = Restarts(PAUSE_S_MAX, started_s=0.0)
    assert tired.died(STEADY_S).due_s == STEADY_S + FIRST_PAUSE_S
    assert tired.died(STEADY_S - 1).due_s == STEADY_S - 1 + PAUSE_S_MAX


def test_a_start_that_fails_is_tried_again_and_the_others_go_on() -> None:
    """The portal is no reason to stop recording."""
    history: list[str] = []
    broken, sound, seconds = Sample("broken", history), Sample("sound", history), Seconds()
    watch = Watch([broken, sound], seconds)
    broken.alive, broken.startable = False, False
    for _ in range(3):
        watch.check()
        seconds.now += FIRST_PAUSE_S
    assert history.count("start broken") == 1
    assert history.count("bound sound") == 3
    broken.startable = True
    seconds.now += PAUSE_S_MAX
    watch.check()
    assert broken.alive


def test_stopping_goes_backwards() -> None:
    """The recorder must be able to write down what it holds before its store goes."""
    history: list[str] = []
    Watch([Sample("database", history), Sample("recorder", history)], Seconds()).stop()
    assert history == ["stop recorder", "stop database"]


def test_a_defect_of_ours_is_not_swallowed() -> None:
    """Only what a service says of itself is an expected failure."""

    class Broken(Sample):
        def start(self) -> None:
            raise TypeError("defect")

    sample, seconds = Broken("a", []), Seconds()
    watch = Watch([sample], seconds)
    sample.alive = False
    watch.check()
    seconds.now += FIRST_PAUSE_S
    with pytest.raises(TypeError):
        watch.check()
