"""Samples are drawn fairly, the same again by the same seed, and by nobody's choice."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.model import RecordingId, UserId
from archive.sample import PER_PERSON_MAX, draw

CALLS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3).map(UserId),
    st.lists(st.integers(0, 500).map(lambda number: RecordingId(f"call-{number}")), max_size=12, unique=True),
    max_size=5,
)
LAWS = settings(max_examples=50, deadline=None)


@LAWS
@given(CALLS, st.integers(1, PER_PERSON_MAX))
def test_of_each_person_as_many_as_are_wanted_or_there_are(
    calls: dict[UserId, list[RecordingId]], wanted: int
) -> None:
    drawn = draw("seed", calls, wanted)
    assert {person: len(found) for person, found in drawn.items()} == {
        person: min(wanted, len(found)) for person, found in calls.items()
    }
    assert all(set(found) <= set(calls[person]) for person, found in drawn.items())


@LAWS
@given(CALLS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_same_seed_draws_the_same_whatever_the_order(
    calls: dict[UserId, list[RecordingId]], wanted: int, chance: random.Random
) -> None:
    turned = {person: chance.sample(found, len(found)) for person, found in reversed(calls.items())}
    assert draw("seed", turned, wanted) == draw("seed", calls, wanted)


@LAWS
@given(CALLS, st.integers(1, 5))
def test_a_call_that_goes_changes_nothing_of_the_order_of_the_others(
    calls: dict[UserId, list[RecordingId]], wanted: int
) -> None:
    for person, found in draw("seed", calls, PER_PERSON_MAX).items():
        if found:
            fewer = {**calls, person: [call for call in calls[person] if call != found[0]]}
            assert draw("seed", fewer, wanted)[person] == found[1 : wanted + 1]


@pytest.mark.parametrize("wanted", [1, 3])
def test_every_call_is_as_likely_as_any_other(wanted: int) -> None:
    """Over many seeds each of ten calls is drawn about as often: chi squared with nine degrees of freedom."""
    calls, rounds = [RecordingId(f"call-{number}") for number in range(10)], 3000
    drawn = Counter(
        call
        for seed in range(rounds)
        for call in draw(f"{seed:032x}", {UserId("anna"): calls}, wanted)[UserId("anna")]
    )
    expected = rounds * wanted / 10
    assert sum((drawn[call] - expected) ** 2 / expected for call in calls) < 27.9  # one in a thousand
