"""Batches of a roster: rows that touch each other stay together, in the order of the file."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from archive.catalogue.snapshot import NumberRange
from archive.model import TenantId, User, UserId
from archive.roster import RosterRow
from archive.roster_batches import batches

PEOPLE = {
    f"{name}@x.example": User(UserId(name), TenantId("t"), name, numbers=numbers, broadworks_id=exchange)
    for name, numbers, exchange in (
        ("anna", ("+31201234500-+31201234509",), "anna@bw"),
        ("ben", ("101",), None),
    )
}
ROWS = st.builds(
    lambda login, number, exchange: RosterRow(
        2,
        f"{login}@x.example",
        {name: cell for name, cell in (("number", number), ("broadworks-id", exchange)) if cell},
    ),
    st.sampled_from(["anna", "ben", "carl", "dora", "eve", "finn", "gina"]),
    st.sampled_from(["", "101", "102 103", "020-1234505", "+31201234508-+31201234512", "x", "104-106"]),
    st.sampled_from(["", "", "", "Anna@BW", "eve@bw"]),
)


def rows_of(*lines: tuple[str, str]) -> list[RosterRow]:
    return [RosterRow(2, f"{login}@x.example", {"number": number}) for login, number in lines]


def test_rows_of_their_own_fill_batches_in_the_order_of_the_file() -> None:
    rows = rows_of(("carl", "201"), ("dora", "202"), ("eve", "203"), ("finn", "204"), ("gina", "205"))
    assert batches(rows, PEOPLE, 2) == [[0, 1], [2, 3], [4]]
    assert batches([], PEOPLE, 2) == []


def test_who_gives_a_number_away_stands_with_who_gets_it_however_many_rows_lie_between() -> None:
    rows = rows_of(("ben", "300"), ("carl", "201"), ("dora", "202"), ("eve", "101"), ("anna", "400"))
    assert batches(rows, PEOPLE, 2) == [[0, 3], [1, 2], [4]]
    inside = rows_of(("carl", "020-1234505"), ("dora", "202"), ("anna", "303"))
    assert batches(inside, PEOPLE, 1) == [[0, 2], [1]]


def touch(one: RosterRow, other: RosterRow) -> bool:
    """Whether two rows name one person, or share a number or a name at the exchange, by asking each pair."""
    if one.login == other.login:
        return True

    def names(row: RosterRow) -> set[str]:
        known = PEOPLE.get(row.login)
        return {row.cells.get("broadworks-id", "").lower(), (known and known.broadworks_id) or ""} - {""}

    def spans(row: RosterRow) -> list[NumberRange]:
        known, typed = PEOPLE.get(row.login), row.cells.get("number", "").split()
        given = [] if typed == ["x"] else typed
        return [NumberRange.parse(each) for each in (*given, *(known.numbers if known else ()))]

    return bool(names(one) & names(other)) or any(
        len(a.first) == len(b.first) and a.first <= b.last and b.first <= a.last
        for a in spans(one)
        for b in spans(other)
    )


@given(st.lists(ROWS, max_size=12), st.integers(1, 4))
def test_no_two_rows_that_touch_each_other_are_in_two_batches(rows: list[RosterRow], rows_max: int) -> None:
    made = batches(rows, PEOPLE, rows_max)
    assert sorted(place for batch in made for place in batch) == list(range(len(rows)))
    assert all(batch == sorted(batch) for batch in made)
    where = {place: number for number, batch in enumerate(made) for place in batch}
    for one, other in combinations(range(len(rows)), 2):
        assert where[one] == where[other] or not touch(rows[one], rows[other])
