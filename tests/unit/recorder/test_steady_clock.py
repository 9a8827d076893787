"""A recorder's time runs evenly whatever its machine's clock is set to, and every packet stands by it."""

from __future__ import annotations

import numpy as np
import pytest

from recorder.steady_clock import DOUBT_NS, READING_NS_MAX, STEP_NS_MIN, SteadyClock

S = 1_000_000_000
START_NS = 1_795_000_000 * S
YEARS_8_NS = 8 * 365 * 86400 * S


class Machine:
    """A machine whose clock can be set; `slow_ns` goes by while a clock is read."""

    def __init__(self) -> None:
        self.monotonic_ns = 5 * S
        self.set_ns = START_NS
        self.slow_ns = 0
        self.interrupted = 0
        self.steady = SteadyClock(None, self.wall, self.monotonic)

    def wall(self) -> int:
        self.monotonic_ns += self.slow_ns
        wall_ns = self.monotonic_ns + self.set_ns
        if self.interrupted:
            self.interrupted -= 1
            self.monotonic_ns += S // 100
        return wall_ns

    def monotonic(self) -> int:
        return self.monotonic_ns

    def arrivals(self, *stamps_ns: int) -> list[int]:
        return self.steady.arrivals(np.array(stamps_ns, np.int64)).tolist()  # type: ignore[no-any-return]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("step_ns", [YEARS_8_NS, -YEARS_8_NS, 60 * S, -3600 * S])
def test_time_goes_on_evenly_and_how_far_the_clock_was_set_is_known(machine: Machine, step_ns: int) -> None:
    before = machine.steady.wall_ns()
    machine.set_ns += step_ns
    machine.monotonic_ns += 2 * S
    assert machine.steady.wall_ns() == before + 2 * S
    assert machine.steady.ahead_ns() == step_ns
    assert machine.steady.read() == (7.0, before + 2 * S)


@pytest.mark.parametrize("step_ns", [STEP_NS_MIN - 1, 1 - STEP_NS_MIN, STEP_NS_MIN, -STEP_NS_MIN])
def test_what_lies_between_two_readings_is_no_step(machine: Machine, step_ns: int) -> None:
    machine.set_ns += step_ns
    assert machine.steady.ahead_ns() == (step_ns if abs(step_ns) >= STEP_NS_MIN else 0)


@pytest.mark.parametrize("slow_ns", [READING_NS_MAX, READING_NS_MAX + 1])
def test_a_reading_that_was_interrupted_says_nothing(machine: Machine, slow_ns: int) -> None:
    machine.set_ns += 60 * S
    machine.slow_ns = slow_ns
    assert bool(machine.steady.ahead_ns()) == (slow_ns == READING_NS_MAX)


@pytest.mark.parametrize("step_ns", [YEARS_8_NS, -YEARS_8_NS, 2 * S, -2 * S])
def test_packets_stand_evenly_also_those_that_waited_while_the_clock_was_set(
    machine: Machine, step_ns: int
) -> None:
    """Two were stamped before, two after; all were read after."""
    early = machine.wall() + 0
    machine.monotonic_ns += S // 10
    machine.set_ns += step_ns
    late = machine.wall()
    machine.monotonic_ns += S // 10
    expected = [5 * S + START_NS + at * S // 10 for at in (0, 0, 1, 1)]
    assert machine.arrivals(early, early, late, late) == expected
    machine.monotonic_ns += DOUBT_NS
    assert machine.arrivals(machine.wall()) == [machine.steady.wall_ns()]
    machine.monotonic_ns += S
    assert machine.arrivals(machine.wall(), machine.wall() - S) == [
        machine.steady.wall_ns(),
        machine.steady.wall_ns() - S,
    ]


@pytest.mark.parametrize("steps_s", [(8 * 365 * 86400, -3600), (-3600, 3600), (40, -70), (-40, -20, 300)])
@pytest.mark.parametrize("apart_s", [1, 9])
def test_packets_that_waited_through_many_steps_stand_evenly(
    machine: Machine, steps_s: tuple[int, ...], apart_s: int
) -> None:
    """Each was stamped by another setting, and all are read after the last, as a call's first ones are."""
    stamps, expected = [machine.wall()], [machine.steady.wall_ns()]
    for step_s in steps_s:
        machine.monotonic_ns += apart_s * S
        stamps.append(machine.wall())
        expected.append(machine.steady.wall_ns())
        machine.steady.ahead_ns()
        machine.monotonic_ns += S // 10
        machine.set_ns += step_s * S
        machine.steady.ahead_ns()
        machine.monotonic_ns += S // 10
        stamps.append(machine.wall())
        expected.append(machine.steady.wall_ns())
    machine.monotonic_ns += 2 * S
    assert machine.arrivals(*stamps) == expected


@pytest.mark.parametrize("step_s", [-40, 40])
def test_no_packet_comes_from_days_to_come(machine: Machine, step_s: int) -> None:
    """It waited for longer than the clock was set by: read by the new setting it would come later than now."""
    machine.steady.ahead_ns()
    early, expected = machine.wall(), machine.steady.wall_ns()
    machine.monotonic_ns += S // 10
    machine.steady.ahead_ns()
    machine.set_ns += step_s * S
    machine.steady.ahead_ns()
    machine.monotonic_ns += 30 * S
    assert machine.arrivals(early) == [expected]


def test_a_process_that_begins_after_a_step_reads_no_stamp_by_what_was_before(machine: Machine) -> None:
    machine.set_ns += 3600 * S
    machine.monotonic_ns += S
    stamp, expected = machine.wall(), machine.steady.wall_ns()
    machine.monotonic_ns += S
    other = SteadyClock(machine.steady.origin_ns, machine.wall, machine.monotonic)
    assert other.arrivals(np.array([stamp], np.int64)).tolist() == [expected]


def test_an_interrupted_reading_is_taken_again(machine: Machine) -> None:
    """Packets that were stamped since the step would stand wrong by all of it."""
    machine.monotonic_ns += S
    machine.set_ns += 3600 * S
    stamp, expected = machine.wall(), machine.steady.wall_ns()
    machine.interrupted = 1
    assert machine.arrivals(stamp) == [expected]


def test_a_clock_that_begins_while_its_process_waits_finds_no_step(machine: Machine) -> None:
    """Else each start on a busy machine would alarm."""
    machine.interrupted = 1
    begun = SteadyClock(None, machine.wall, machine.monotonic)
    assert (begun.wall_ns(), begun.ahead_ns()) == (machine.wall(), 0)


def test_without_a_step_stamps_are_taken_as_they_are(machine: Machine) -> None:
    assert machine.arrivals(START_NS, START_NS + 7) == [START_NS, START_NS + 7]


def test_processes_that_share_an_origin_tell_the_same_time_though_one_began_after_a_step(
    machine: Machine,
) -> None:
    machine.set_ns += YEARS_8_NS
    other = SteadyClock(machine.steady.origin_ns, machine.wall, machine.monotonic)
    assert other.wall_ns() == machine.steady.wall_ns()
    assert other.ahead_ns() == YEARS_8_NS
