"""What is remembered is bounded in number and in time."""

from __future__ import annotations

from archive.remembered import Remembered


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_as_many_as_there_is_room_for_are_kept_and_what_was_asked_for_longest_ago_goes() -> None:
    kept: Remembered[str, int] = Remembered(count_max=2, age_s_max=10, monotonic=Clock())
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert (kept.get("a"), kept.get("b")) == (1, 2)
    assert kept.get("a") == 1
    kept.keep("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_what_is_too_old_is_gone_however_often_it_is_asked_for() -> None:
    """Being asked for keeps it from making room, not from growing old."""
    clock = Clock()
    kept: Remembered[str, int] = Remembered(count_max=2, age_s_max=10, monotonic=clock)
    kept.keep("a", 1)
    clock.now_s += 10
    assert kept.get("a") == 1
    clock.now_s += 0.1
    assert kept.get("a") is None
    assert kept.get("never there") is None


def test_keeping_takes_away_what_nobody_will_get_any_more() -> None:
    """The memory of a process does not fill with what is too old."""
    clock = Clock()
    kept: Remembered[int, int] = Remembered(count_max=1000, age_s_max=10, monotonic=clock)
    for each in range(500):
        kept.keep(each, each)
    clock.now_s += 11
    kept.keep(1, 7)
    assert len(kept) == 1
    assert kept.get(1) == 7
