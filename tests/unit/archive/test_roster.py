"""A roster: what a file of people says, row by row."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive import roster
from archive.catalogue.directory import UserFields
from archive.errors import ArchiveError, CatalogueUnavailable, Conflict, Refused
from archive.model import RecordingMode, RetentionClass, Role
from archive.roster import RosterRow

ROWS_MAX = 10


def rows_of(text: str) -> list[RosterRow]:
    return list(roster.read(io.StringIO(text, newline=""), rows_max=ROWS_MAX))


def kept(into: list[tuple[str, UserFields]]) -> Callable[[str, UserFields], str]:
    def store(login: str, fields: UserFields) -> str:
        into.append((login, fields))
        return roster.ADDED

    return store


def test_each_column_says_something_of_a_person() -> None:
    stored: list[tuple[str, UserFields]] = []
    heading = ",".join(roster.COLUMNS)
    line = "Anna@Bakery.Example,101  102,anna@bw,auditor,own,Goes,7y-1000,on-demand,always on-demand always"
    (result,) = roster.enter(rows_of(f"{heading}\r\n{line}\r\n"), kept(stored))
    assert (result.line, result.login, result.result, result.reason) == (
        2,
        "anna@bakery.example",
        "added",
        "",
    )
    assert stored == [
        (
            "anna@bakery.example",
            {
                "numbers": ["101", "102"],
                "own_modes": (RecordingMode.ALWAYS, RecordingMode.ON_DEMAND),
                "broadworks_id": "anna@bw",
                "site": "Goes",
                "access": "own",
                "role": Role.AUDITOR,
                "mode": RecordingMode.ON_DEMAND,
                "licence": RetentionClass.YEARS_7_1000,
            },
        )
    ]


def test_an_empty_cell_changes_nothing_and_none_is_said_by_its_word() -> None:
    stored: list[tuple[str, UserFields]] = []
    roster.enter(rows_of("login,site,licence,own-modes\na@b,,,\nc@d,,none,none\n"), kept(stored))
    assert stored == [("a@b", {}), ("c@d", {"licence": None, "own_modes": ()})]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("a@b,sometimes,,", "sometimes"),
        ("a@b,,king,", "king"),
        ("a@b,,,none always", "none"),
        ("a@b,,,,too many", "more cells"),
    ],
)
def test_a_row_that_is_wrong_is_refused_and_the_next_one_read(cells: str, reason: str) -> None:
    stored: list[tuple[str, UserFields]] = []
    results = roster.enter(rows_of(f"login,mode,role,own-modes\n{cells}\nc@d,,,\n"), kept(stored))
    assert [each.result for each in results] == ["refused", "added"]
    assert reason in results[0].reason
    assert [login for login, _ in stored] == ["c@d"]


@pytest.mark.parametrize("error", [Conflict("The number is taken."), Refused("It needs a licence.")])
def test_what_the_catalogue_refuses_is_the_reason_of_the_row(error: ArchiveError) -> None:
    def store(login: str, fields: UserFields) -> bool:
        raise error

    (result,) = roster.enter(rows_of("login\na@b\n"), store)
    assert (result.result, result.reason) == ("refused", str(error))


def test_a_database_that_is_away_ends_the_file() -> None:
    def store(login: str, fields: UserFields) -> bool:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    with pytest.raises(CatalogueUnavailable):
        roster.enter(rows_of("login\na@b\nc@d\n"), store)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no heading"),
        ("name,age\nx,1\n", "age, name"),
        ('login\n"a', "CSV"),
        ("login,licence,mode,licence\na@b,90d,,none\n", "twice: licence"),
        ("login\n" + "a@b\n" * (ROWS_MAX + 1), f"more than {ROWS_MAX}"),
    ],
)
def test_what_is_no_roster_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        rows_of(text)


def test_a_roster_at_its_limit_is_read() -> None:
    assert len(rows_of("login\n" + "a@b\n" * ROWS_MAX)) == ROWS_MAX


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("login,mode\n\r\"'\0é x-")), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """With or without a heading that is ours."""
    for content in (text, f"login,mode\n{text}"):
        try:
            results = roster.enter(rows_of(content), kept([]))
        except Refused:
            continue
        assert {each.result for each in results} <= set(roster.RESULTS)
