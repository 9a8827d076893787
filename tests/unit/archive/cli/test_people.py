"""People by command, one by one and from a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import audit_entries, directory, identities, passwords
from archive.catalogue.engine import Catalogue
from archive.cli import people

ANNA = "anna@bakery.example"


@pytest.fixture(autouse=True)
def tenant(run: Callable[..., str]) -> None:
    run("tenant", "add", "Bakery", "--domain", "bakery.example")


def test_a_person_is_added_changed_and_listed(data: Callable[..., Any]) -> None:
    """What is not given when changing stays."""
    fields = (
        "--number",
        "+31201234567",
        "+31201234570-579",
        "--licence",
        "90d",
        "--mode",
        "always",
        "--site",
        "Goes",
    )
    added = data("user", "add", ANNA, *fields, "--broadworks-id", "anna.b")
    assert (added["login"], added["mode"], added["licence"], added["site"]) == (ANNA, "always", "90d", "Goes")
    assert len(added["numbers"]) == 2
    changed = data("user", "set", ANNA, "--mode", "never", "--licence", "none")
    assert (changed["mode"], changed["licence"], changed["numbers"]) == ("never", None, added["numbers"])
    assert data("user", "list") == data("user", "list", "--tenant", "bakery.example") == [changed]


def test_a_role_that_a_command_gives_stands_in_the_log_and_one_that_stays_does_not(
    run: Callable[..., str], portal: Catalogue, tmp_path: Path
) -> None:
    """By a role given alone nobody is a second person; a file of every night, which gives none, is no help."""
    run("user", "add", ANNA)
    account = identities.find(portal, ANNA)
    assert account is not None

    def told() -> list[str]:
        return [each.action for each in audit_entries.of_object(portal, account.tenant_id, account.user_id)]

    run("user", "set", ANNA, "--site", "Goes", "--role", "user")
    assert told() == ["user.added", "user.changed"]
    run("user", "set", ANNA, "--role", "auditor")
    assert told()[2:] == ["user.changed", "user.role-given"]
    file = tmp_path / "people.csv"
    file.write_text(f"login,role\n{ANNA},auditor\n{ANNA},administrator\n")
    run("user", "import", str(file))
    assert told()[4:] == ["user.changed", "user.changed", "user.role-given"]


def test_a_password_is_read_from_standard_input(
    run: Callable[..., str], portal: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments stand in the process list."""

    def say(text: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    say(b"correct horse battery\n")
    run("user", "add", ANNA, "--password-stdin")
    assert passwords.verify(portal, identities.find(portal, ANNA), "correct horse battery")
    say(b"x" * (people.PASSWORD_SIZE_BYTES_MAX + 1))
    assert "too long" in run("user", "set", ANNA, "--password-stdin", code=1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("user", "add", "anna"), "is not LOGIN@DOMAIN"),
        (("user", "add", "anna@other.example"), "no tenant"),
        (("user", "add", ANNA, "--number", "112"), "never recorded"),
        (("user", "add", ANNA, "--mode", "always"), "needs a licence"),
        (("user", "set", ANNA), "no user"),
        (("user", "licences", "anna"), "is not LOGIN@DOMAIN"),
        (("user", "minutes", ANNA), "no user"),
    ],
)
def test_what_is_refused_is_said_in_one_line(
    run: Callable[..., str], arguments: tuple[str, ...], reason: str
) -> None:
    """With what to do about it."""
    assert reason in run(*arguments, code=1)


def test_a_file_adds_and_changes_with_a_result_per_row(data: Callable[..., Any], tmp_path: Path) -> None:
    """One wrong row does not stop the others, and the exit code tells of it."""
    file = tmp_path / "people.csv"
    file.write_text(
        "login,number,licence,mode,own-modes\n"
        f"{ANNA},+31201234567 +31201234568,90d,always,always always-pause\n"
        "bas@bakery.example,,,sometimes,\n"
        "cees@bakery.example,,,never,,one too many\n"
        f"{ANNA},,365d,,none\n",
        encoding="utf-8-sig",
    )
    results = data("user", "import", str(file), code=1)
    assert [each["result"] for each in results] == ["added", "refused", "refused", "changed"]
    assert "heading" in results[2]["reason"]
    assert "sometimes" in results[1]["reason"]
    (anna,) = data("user", "list")
    assert (anna["licence"], anna["mode"], len(anna["numbers"])) == ("365d", "always", 2)
    assert anna["ownModes"] == []


def test_a_person_may_be_given_modes_to_choose_from(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    """And the choice may be taken back with the word none."""
    added = data("user", "add", ANNA, "--own-mode", "on-demand", "always", "--own-mode", "always-pause")
    assert added["ownModes"] == ["always", "always-pause", "on-demand"]
    assert data("user", "set", ANNA, "--site", "Goes")["ownModes"] == added["ownModes"]
    assert data("user", "set", ANNA, "--own-mode", "none")["ownModes"] == []
    run("user", "set", ANNA, "--own-mode", "sometimes", code=2)


def test_licences_are_shown_with_their_dates(data: Callable[..., Any]) -> None:
    """The one in force has no end yet."""
    data("user", "add", ANNA, "--licence", "90d")
    data("user", "set", ANNA, "--licence", "7y-1000")
    first, second = data("user", "licences", ANNA)
    assert (first["licence"], second["licence"]) == ("90d", "7y-1000")
    assert (first["validUntil"], second["validUntil"]) == (second["validFrom"], None)


def test_a_preview_tells_what_a_licence_would_change_and_changes_nothing(data: Callable[..., Any]) -> None:
    """Recordings that exist keep their class; the preview counts them."""
    data("user", "add", ANNA, "--licence", "90d", "--mode", "always")
    told = data("user", "licence-preview", ANNA, "7y-1000")
    assert (told["before"], told["after"], told["kept"]) == ("90d", "7y-1000", [])
    assert (told["usedSeconds"], told["capSeconds"], told["aboveCap"]) == (0, 60_000, False)
    assert "needs a licence" in data("user", "licence-preview", ANNA, "none")["obstacle"]
    assert data("user", "list")[0]["licence"] == "90d"


def test_minutes_are_told_by_month_with_what_the_licence_allows(
    run: Callable[..., str], data: Callable[..., Any], database: Any
) -> None:
    """In seconds, as they are booked."""
    user = data("user", "add", ANNA, "--licence", "7y-3500", "--mode", "always")
    database.connect().execute(
        "INSERT INTO minute_months (tenant_id, user_id, month, booked_s)"
        " SELECT tenant_id, id, '2026-11-01', 168000 FROM users WHERE id = %s",
        (user["id"],),
    ).connection.commit()
    used = data("user", "minutes", ANNA, "--month", "2026-11")
    assert (used["month"], used["usedSeconds"], used["capSeconds"], used["percent"]) == (
        "2026-11",
        168_000,
        210_000,
        80,
    )
    assert data("user", "minutes", ANNA, "--month", "2026-10")["usedSeconds"] == 0
    run("user", "minutes", ANNA, "--month", "november", code=2)


def test_a_file_of_something_else_is_refused_before_anything_is_done(
    run: Callable[..., str], tmp_path: Path
) -> None:
    """Unknown columns, bytes that are no text, and no file at all."""
    file = tmp_path / "people.csv"
    for content in (b"name,age\nx,1\n", b"\xff\xfe\x00", b""):
        file.write_bytes(content)
        assert str(file) in run("user", "import", str(file), code=1)
    assert "can't be read" in run("user", "import", str(tmp_path / "missing.csv"), code=1)


def test_a_file_at_the_limit_is_taken_and_above_it_refused(
    run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong file is noticed before it filled the directory."""
    monkeypatch.setattr(people, "IMPORT_ROWS_MAX", 2)
    file = tmp_path / "people.csv"
    file.write_text("login\n" + "".join(f"user{n}@bakery.example\n" for n in range(2)))
    run("user", "import", str(file))
    file.write_text("login\n" + "".join(f"user{n}@bakery.example\n" for n in range(3)))
    assert "more than 2 rows" in run("user", "import", str(file), code=1)


def test_somebody_leaves_and_is_back_with_what_is_still_free(
    data: Callable[..., Any], run: Callable[..., str], operator: Catalogue
) -> None:
    numbers = ("--number", "+31201234567", "+31201234568")
    data("user", "add", ANNA, *numbers, "--licence", "90d", "--mode", "always", "--role", "auditor")
    left = data("user", "leave", ANNA)
    assert (left["here"], left["licence"], left["numbers"]) == (
        False,
        "90d",
        ["+31201234567", "+31201234568"],
    )
    [row] = data("user", "list")
    assert (row["licence"], row["mode"], row["numbers"]) == (None, "never", [])
    assert "left already" in run("user", "leave", ANNA, code=1)
    data("user", "add", "bert@bakery.example", "--number", "+31201234568")
    back = data("user", "return", ANNA)
    assert (back["here"], back["numbers"], back["numbersTaken"]) == (
        True,
        ["+31201234567"],
        ["+31201234568"],
    )
    [row] = [each for each in data("user", "list") if each["login"] == ANNA]
    # Who heard everything comes back as a user: that takes two people.
    assert (row["role"], row["licence"], row["mode"]) == ("user", "90d", "always")
    tenant = directory.tenant_by_domain(operator, "bakery.example")
    entries = audit_entries.of_object(operator, tenant.id, f"user:{row['id']}")
    assert [each.action for each in entries] == ["user.left", "user.returned"]
