"""Many timers, each at its own cost only."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sip.timer_queue import STALE_COUNT_MAX, TimerQueue


def test_timers_fire_in_order_and_only_when_due() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for name, at in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        queue.set(name, at)
    assert queue.next() == 1.0
    assert queue.pop(0.5) is None
    assert [queue.pop(2.0), queue.pop(2.0), queue.pop(2.0)] == ["a", "b", None]
    assert len(queue) == 1


def test_setting_again_moves_and_cancelling_removes() -> None:
    queue: TimerQueue[str] = TimerQueue()
    queue.set("a", 1.0)
    queue.set("b", 2.0)
    queue.set("a", 5.0)
    queue.cancel("b")
    queue.cancel("never set")
    assert queue.next() == 5.0
    assert queue.pop(4.9) is None
    assert queue.pop(5.0) == "a"
    assert queue.next() is None


def test_stale_count_max_bounds_what_moved_timers_leave_behind() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for at in range(10 * STALE_COUNT_MAX):
        queue.set("refreshed again and again", float(at))
    assert len(queue._heap) <= STALE_COUNT_MAX + 2
    assert queue.next() == 10.0 * STALE_COUNT_MAX - 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.floats(0, 100))), max_size=200))
def test_it_behaves_as_a_dictionary_of_times_would(steps: list[tuple[int, float | None]]) -> None:
    queue: TimerQueue[int] = TimerQueue()
    expected: dict[int, float] = {}
    for key, at in steps:
        if at is None:
            queue.cancel(key)
            expected.pop(key, None)
        else:
            queue.set(key, at)
            expected[key] = at
    assert queue.next() == min(expected.values(), default=None)
    fired = []
    while (key := queue.pop(50.0)) is not None:
        fired.append(key)
    assert sorted(fired) == sorted(key for key, at in expected.items() if at <= 50.0)
    assert [expected[key] for key in fired] == sorted(expected[key] for key in fired)
