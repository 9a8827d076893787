"""Sums of a report: of what has a number in every row, and of nothing else."""

from __future__ import annotations

import pytest

from archive.reports.report import Column, Kind, Value, summed

COLUMNS = (
    Column("user", Kind.TEXT),
    Column("evaluations", Kind.COUNT),
    Column("averagePercent", Kind.PERCENT),
)


@pytest.mark.parametrize(
    ("counts", "total"),
    [
        ((1, 2), 3),
        ((), 0),
        ((None, None), None),  # hidden results of few: a sum of 0 would be untrue
        ((4, None), None),  # and a sum of the rest would be read as all of it
    ],
)
def test_a_column_with_a_row_that_tells_nothing_has_no_sum(counts: tuple[Value, ...], total: Value) -> None:
    rows = tuple((f"user{at}", each, 50.0) for at, each in enumerate(counts))
    assert summed(COLUMNS, rows) == (None, total, None)
