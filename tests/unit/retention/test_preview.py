"""What goes in the next days is counted by class, and simulated for another licence."""

from __future__ import annotations

from datetime import date
from typing import Any

from archive.catalogue.engine import Catalogue
from archive.catalogue.forecast import Kept, kept
from archive.model import RetentionClass, Tenant
from retention.preview import Line, preview
from tests.unit.retention.ageing import Ageing

SHORT, LONG = RetentionClass.DAYS_90, RetentionClass.YEARS_7_1000
ENDED = date(2026, 11, 22)
KEPT = [
    Kept(ENDED, date(2027, 2, 20), SHORT, held=False, recordings=3, size_bytes=300),
    Kept(ENDED, date(2027, 2, 20), SHORT, held=True, recordings=1, size_bytes=100),
    Kept(ENDED, date(2033, 11, 22), LONG, held=False, recordings=5, size_bytes=500),
]


def test_each_class_has_a_line_and_what_is_held_does_not_go() -> None:
    long, short = preview(KEPT, date(2027, 2, 20))
    assert long == Line(LONG, 5, 500, 0, 0, None, 0)
    assert short == Line(SHORT, 4, 400, 3, 300, date(2027, 2, 20), 1)
    assert preview(KEPT, date(2027, 2, 19))[1].going == 0


def test_another_licence_is_simulated_and_a_hold_keeps_all_the_same() -> None:
    (line,) = preview(KEPT, date(2027, 11, 22), RetentionClass.DAYS_365)
    assert line == Line(RetentionClass.DAYS_365, 9, 900, 8, 800, date(2027, 11, 22), 1)
    assert preview([], ENDED) == []


def test_the_counts_are_those_of_the_archive(
    ageing: Ageing, database: Any, operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    archived = ageing.archive(bakery), ageing.archive(bakery)
    ageing.archive(florist)
    size_bytes = sum(item.ciphertext_bytes for item in archived[0].objects)
    (found,) = kept(operator, bakery.id)
    assert found == Kept(ENDED, date(2027, 2, 20), SHORT, False, 2, 2 * size_bytes)
    database.connect().execute(
        "UPDATE recordings SET on_hold = true WHERE id = %s", (archived[0].recording.id,)
    )
    assert [(each.held, each.recordings) for each in kept(operator, bakery.id)] == [(False, 1), (True, 1)]
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    assert [each.held for each in kept(operator, bakery.id)] == [True]
