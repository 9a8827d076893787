"""The table that spares most combinations leaves no pair out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser.pairwise import every, pairs_of, pairwise

FACTORS = st.dictionaries(
    st.sampled_from(["route", "language", "theme", "width", "state"]),
    st.integers(1, 5).map(lambda count: [f"v{number}" for number in range(count)]),
    min_size=2,
)


@settings(max_examples=60, deadline=None)
@given(FACTORS, st.integers(0, 9))
def test_every_pair_meets(factors: dict[str, list[str]], seed: int) -> None:
    """Whatever the factors, the rows hold each pair that all combinations hold, and are no more than these."""
    rows = pairwise(factors, seed)
    wanted = set().union(*map(pairs_of, every(factors)))
    assert set().union(*map(pairs_of, rows)) == wanted
    assert len(rows) <= len(every(factors))
    assert rows == pairwise(factors, seed)


def test_it_is_short() -> None:
    """Forty pages in two languages, themes and widths take two visits each instead of eight."""
    factors = {
        "scene": list(range(40)),
        "language": ["nl", "en"],
        "theme": ["light", "dark"],
        "width": [1280, 360],
    }
    assert len(pairwise(factors)) == 80
