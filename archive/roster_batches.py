"""Rows of a roster in batches: rows that touch each other stand in one, so that each can be tried alone.

What becomes of a row depends on rows before it where both name the same person, or numbers or a
name at the exchange that both have, get or give away. Everything else may be tried in several
short transactions, which keep nobody waiting, and ends as it would in one.

Rules: pure. Rather one row too many in a batch than one too few. Not here: trying
(`playback_portal.imports`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from archive.catalogue.snapshot import NumberRange
from archive.errors import Refused
from archive.model import User
from archive.roster import RosterRow, fields_of_row


def batches(rows: Sequence[RosterRow], people: Mapping[str, User], rows_max: int) -> list[list[int]]:
    """Return the places of rows in batches, each in the order of the file.

    `people` are those who are there already, by LOGIN@DOMAIN. A batch has at most `rows_max` rows,
    more only where so many touch each other.
    """
    found: list[list[int]] = []
    for group in _touching(rows, people):
        if not found or len(found[-1]) + len(group) > rows_max:
            found.append([])
        found[-1] += group
    return [sorted(batch) for batch in found]


def _touching(rows: Sequence[RosterRow], people: Mapping[str, User]) -> Iterable[list[int]]:
    """Return groups of places that touch each other, by the first place of each."""
    parents = list(range(len(rows)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    def join(one: int, other: int) -> None:
        first, second = sorted((root(one), root(other)))
        parents[second] = first

    names: dict[tuple[str, str], int] = {}
    spans: list[tuple[int, str, str, int]] = []
    for place, row in enumerate(rows):
        known = people.get(row.login)
        for name in _names(row, known):
            join(place, names.setdefault(name, place))
        spans += [(len(each.first), each.first, each.last, place) for each in _numbers(row, known)]
    spans.sort()
    reached = (0, "", -1)
    for length, first, last, place in spans:
        if length == reached[0] and first <= reached[1]:
            join(place, reached[2])
            reached = (length, max(last, reached[1]), place)
        else:
            reached = (length, last, place)
    groups: dict[int, list[int]] = {}
    for place in range(len(rows)):
        groups.setdefault(root(place), []).append(place)
    return groups.values()


def _names(row: RosterRow, known: User | None) -> Iterator[tuple[str, str]]:
    yield "login", row.login
    for name in (row.cells.get("broadworks-id"), None if known is None else known.broadworks_id):
        if name:
            yield "exchange", name.strip().lower()


def _numbers(row: RosterRow, known: User | None) -> Iterator[NumberRange]:
    """Yield what somebody has and gets; what can't be read is refused, and touches nobody."""
    try:
        wanted = fields_of_row(row).get("numbers", ())
        yield from [NumberRange.parse(each) for each in wanted]
    except Refused:
        pass
    for each in () if known is None else known.numbers:
        yield NumberRange.held(each)
