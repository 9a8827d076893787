"""Numbers of entries whose bodies are gone, as runs, compared with those that are named."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.erased_bodies import Numbers, numbers_of
from archive.errors import VerificationFailed

ENTRIES = st.sets(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 30)))


@settings(deadline=None)
@given(gone=ENTRIES, told=ENTRIES, shuffled=st.randoms(use_true_random=False))
def test_the_first_entry_that_is_gone_and_not_named_is_found(
    gone: set[tuple[str, int]], told: set[tuple[str, int]], shuffled: Random
) -> None:
    """In whatever order they were added."""
    mixed = sorted(told)
    shuffled.shuffle(mixed)
    assert Numbers(sorted(gone)).beyond(Numbers(mixed)) == min(gone - told, default=None)
    assert len(Numbers(mixed)) == len(told)


def test_what_is_named_is_read_back_as_it_was_written() -> None:
    numbers = Numbers([("a", 1), ("a", 2), ("a", 5), ("b", 9)])
    assert numbers.body() == {"count": 4, "entries": {"a": [[1, 2], [5, 5]], "b": [[9, 9]]}}
    assert numbers_of(numbers.body()).merged() == numbers.merged()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"count": 1},
        {"count": 1, "entries": {}},
        {"count": 2, "entries": {"a": [[1, 1]]}},
        {"count": 1, "entries": {"a": [[2, 1]]}},
        {"count": 1, "entries": {"a": [[0, 0]]}},
        {"count": 1, "entries": {"a": [["1", "1"]]}},
        {"count": 1, "entries": {"a": [1, 1]}},
        {"count": 1, "entries": [["a", 1, 1]]},
    ],
)
def test_a_body_that_names_nothing_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(VerificationFailed, match="does not name them"):
        numbers_of(body)
