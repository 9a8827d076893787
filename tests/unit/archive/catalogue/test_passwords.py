"""Passwords: argon2id, one answer for every mistake, and what is no password at all."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from archive.catalogue import directory, identities, passwords
from archive.catalogue.engine import Catalogue
from archive.catalogue.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from archive.errors import NotFound, Refused
from archive.model import Tenant, User

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    user = directory.add_user(operator, bakery.id, "anna", now=NOW)
    passwords.set_password(operator, bakery.id, "anna", PASSWORD)
    return user


def right(portal: Catalogue, login: str, password: str) -> bool:
    return passwords.verify(portal, identities.find(portal, login), password)


def test_the_right_password_of_a_login_in_any_case_is_right(portal: Catalogue, anna: User) -> None:
    assert right(portal, " Anna@Bakery.example ", PASSWORD)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("anna@bakery.example", PASSWORD + "!"),
        ("anna@bakery.example", ""),
        ("anna@bakery.example", "x" * (PASSWORD_CHARS_MAX + 1)),
        ("anna@bakery.example", PASSWORD + "\0"),
        ("bob@bakery.example", PASSWORD),
        ("anna@florist.example", PASSWORD),
        ("anna", PASSWORD),
        ("", ""),
        ("anna\0@bakery.example", PASSWORD),
    ],
)
def test_any_wrong_combination_is_wrong(
    portal: Catalogue, anna: User, florist: Tenant, login: str, password: str
) -> None:
    assert not right(portal, login, password)


def test_a_stranger_costs_as_many_hashes_and_questions_as_anybody(
    portal: Catalogue, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed, asked = [], []
    real, transaction = passwords._HASHER, portal.transaction

    class Counting:
        def verify(self, password_hash: str, password: str) -> bool:
            computed.append(password_hash)
            return real.verify(password_hash, password)

    def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return transaction(*arguments)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    monkeypatch.setattr(portal, "transaction", counted)
    logins = ("anna@bakery.example", "bob@bakery.example", "anna@nowhere.example", "", "a\0")
    questions = []
    for login in logins:
        before = len(asked)
        assert not right(portal, login, "wrong")
        questions.append(len(asked) - before)
    assert len(computed) == len(logins)
    assert len(set(questions)) == 1


def test_outside_of_tests_a_password_costs_what_rfc_9106_says() -> None:
    """64 MiB and three rounds, the second choice of its section 4; the hash nobody has costs the same."""
    code = "from archive.catalogue import passwords as p; print(p._HASHER.hash('x')); print(p._NOBODYS_HASH)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [line.split("$")[1:4] for line in said.split()] == [["argon2id", "v=19", "m=65536,t=3,p=4"]] * 2


def test_a_password_is_stored_as_argon2id_and_can_be_replaced(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, anna: User, database: Any
) -> None:
    stored = database.connect().execute("SELECT password_hash FROM user_passwords").fetchone()[0]
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    passwords.set_password(operator, bakery.id, "anna", "another horse battery")
    assert not right(portal, "anna@bakery.example", PASSWORD)
    assert right(portal, "anna@bakery.example", "another horse battery")


@pytest.mark.parametrize("length", [PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX])
def test_a_password_may_be_as_short_and_long_as_its_limits(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, anna: User, length: int
) -> None:
    passwords.set_password(operator, bakery.id, "anna", "x" * length)
    assert right(portal, "anna@bakery.example", "x" * length)


@pytest.mark.parametrize("length", [0, PASSWORD_CHARS_MIN - 1, PASSWORD_CHARS_MAX + 1])
def test_a_password_beyond_the_limits_is_refused(
    operator: Catalogue, bakery: Tenant, anna: User, length: int
) -> None:
    with pytest.raises(Refused, match="12 to 256"):
        passwords.set_password(operator, bakery.id, "anna", "x" * length)
    with pytest.raises(Refused, match="12 to 256"):
        passwords.hashed("x" * length)


def test_a_password_needs_a_user(operator: Catalogue, bakery: Tenant) -> None:
    with pytest.raises(NotFound):
        passwords.set_password(operator, bakery.id, "nobody", PASSWORD)


@pytest.mark.parametrize(
    ("password", "guessable"),
    [
        ("aaaaaaaaaaaa", True),
        ("121212121212", True),
        ("anna@Bakery.example", True),
        ("annaannaanna1", True),
        ("correct horse battery", False),
        ("Kaas-op-brood-12", False),
    ],
)
def test_a_pattern_or_ones_own_name_is_guessable(password: str, guessable: bool) -> None:
    assert passwords.is_guessable(password, "anna", "bakery.example", "") == guessable
