"""What goes in the next days, by class; and what another licence would have made of it.

Rules: pure. Nothing that exists is ever kept for shorter: the simulation says what it would be
if these recordings had been made under that licence, to choose one by. Not here: the counts
(`archive.catalogue.forecast`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time

from archive.catalogue.forecast import Kept
from archive.data_key import expiry_day
from archive.model import RetentionClass
from retention.policy import ZONE, retain_until


@dataclass(frozen=True)
class Line:
    """Recordings of one class: all that are kept, those that go until a day, and those a hold keeps."""

    retention_class: RetentionClass
    recordings: int
    size_bytes: int
    going: int
    going_bytes: int
    first: date | None
    held: int


def preview(kept: Iterable[Kept], until: date, licence: RetentionClass | None = None) -> list[Line]:
    """Return a line for each class; with `licence`, as if all had been made under that one."""
    groups: dict[RetentionClass, list[tuple[Kept, date]]] = defaultdict(list)
    for each in kept:
        if licence is None:
            groups[each.retention_class].append((each, each.goes))
        else:
            groups[licence].append((each, _goes(each.ended, licence)))
    return [_line(group, until, dated) for group, dated in sorted(groups.items())]


def _line(group: RetentionClass, until: date, dated: list[tuple[Kept, date]]) -> Line:
    going = [(each, goes) for each, goes in dated if goes <= until and not each.held]
    return Line(
        retention_class=group,
        recordings=sum(each.recordings for each, _ in dated),
        size_bytes=sum(each.size_bytes for each, _ in dated),
        going=sum(each.recordings for each, _ in going),
        going_bytes=sum(each.size_bytes for each, _ in going),
        first=min((goes for _, goes in going), default=None),
        held=sum(each.recordings for each, _ in dated if each.held),
    )


def _goes(ended: date, licence: RetentionClass) -> date:
    """Return the day on which what ended on a day would go."""
    return expiry_day(retain_until(licence, datetime.combine(ended, time(12), ZONE)))
