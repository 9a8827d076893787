"""Few rows in which every two values of different factors meet: pairwise testing, seeded.

Greedy: of some shuffled candidates, each built around a pair that is still missing, the
one that brings most missing pairs becomes the next row. The same factors and seed give
the same rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations, product
from random import Random

Value = Hashable
Row = dict[str, Value]
Pair = tuple[str, Value, str, Value]

CANDIDATES_COUNT = 12
"""More find hardly shorter tables; measured on the factors of the pages."""


def every(factors: Mapping[str, Sequence[Value]]) -> list[Row]:
    """Return all combinations."""
    return [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]


def pairs_of(row: Mapping[str, Value]) -> set[Pair]:
    """Return the pairs of values that meet in a row."""
    return {(one, row[one], other, row[other]) for one, other in combinations(row, 2)}


def pairwise(factors: Mapping[str, Sequence[Value]], seed: int = 1) -> list[Row]:
    """Return rows in which every pair of values of two factors meets at least once."""
    random = Random(seed)
    missing = {
        (one, value, other, others_value)
        for one, other in combinations(factors, 2)
        for value, others_value in product(factors[one], factors[other])
    }
    rows: list[Row] = []
    # Sorted, for the order of a set is not the same in two processes.
    for around in sorted(missing, key=repr):
        if around not in missing:
            continue
        candidates = [_built(around, factors, missing, random) for _ in range(CANDIDATES_COUNT)]
        best = max(candidates, key=lambda row: len(pairs_of(row) & missing))
        missing -= pairs_of(best)
        rows.append(best)
    return rows


def _built(around: Pair, factors: Mapping[str, Sequence[Value]], missing: set[Pair], random: Random) -> Row:
    """Return a row with the given pair, each further value chosen for the pairs it still brings."""
    one, value, other, others_value = around
    chosen: Row = {one: value, other: others_value}
    rest = [name for name in factors if name not in chosen]
    random.shuffle(rest)
    for name in rest:
        values = list(factors[name])
        random.shuffle(values)

        def gain(value: Value, name: str = name) -> int:
            row = {
                each: value if each == name else chosen[each]
                for each in factors
                if each in chosen or each == name
            }
            return len(pairs_of(row) & missing)

        chosen[name] = max(values, key=gain)
    return {name: chosen[name] for name in factors}
