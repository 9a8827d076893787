"""Numbers that are not recorded, by command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archive.cli.main import main

OF_BAKERY = ("--tenant", "bakery.example")


@pytest.fixture(autouse=True)
def tenant(run: Callable[..., str]) -> None:
    run("tenant", "add", "Bakery", "--domain", "bakery.example")


def test_a_number_is_put_on_the_do_not_record_list_and_taken_off(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    """With the reason that will stand at each call."""
    added = data("do-not-record", "add", "020 123 4567", "--reason", "works council", *OF_BAKERY)
    assert (added["numbers"], added["reason"]) == ("+31201234567", "works council")
    assert data("do-not-record", "list", *OF_BAKERY) == [added]
    run("do-not-record", "remove", added["id"], *OF_BAKERY)
    assert data("do-not-record", "list", *OF_BAKERY) == []
    assert "no such entry" in run("do-not-record", "remove", added["id"], *OF_BAKERY, code=1)


def test_a_number_is_excluded_for_one_person(run: Callable[..., str], data: Callable[..., Any]) -> None:
    """The list says whose it is; who is not there has none."""
    run("user", "add", "anna@bakery.example")
    command = ("do-not-record", "add", "0107000000", "--reason", "doctor", *OF_BAKERY)
    added = data(*command, "--user", "Anna")
    assert added["user"] == "Anna"
    assert [each["user"] for each in data("do-not-record", "list", *OF_BAKERY)] == ["anna"]
    assert "no user" in run(*command, "--user", "nobody", code=1)


def test_the_floor_list_is_shown_and_nobody_removes_of_it(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    """Not even the operator."""
    floor = data("exempt", "list")
    assert [each["number"] for each in floor][:2] == ["112", "113"]
    assert {each["origin"] for each in floor} == {"floor"}
    assert "can't be shortened" in run("exempt", "remove", "112", code=1)
    assert data("exempt", "list") == floor


def test_the_operator_adds_for_all_and_a_tenant_for_itself(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    """The list of a tenant shows both."""
    for_all = data("exempt", "add", "116117")
    own = data("exempt", "add", "0900-1234", *OF_BAKERY)
    assert (for_all["origin"], own["origin"]) == ("operator", "tenant")
    numbers = [each["number"] for each in data("exempt", "list", *OF_BAKERY)]
    assert numbers[-2:] == ["116117", own["number"]]
    assert own["number"] not in [each["number"] for each in data("exempt", "list")]
    assert "operator" in run("exempt", "remove", "116117", *OF_BAKERY, code=1)
    run("exempt", "remove", "0900 1234", *OF_BAKERY)
    run("exempt", "remove", "116117")
    assert "floor list already" in run("exempt", "add", "0800-0113", code=1)


def test_every_change_stands_in_the_audit_log_without_numbers(
    run: Callable[..., str], data: Callable[..., Any], database: Any
) -> None:
    """Who made a number unrecorded can be told later."""
    entry = data("do-not-record", "add", "+31201234567", "--reason", "works council", *OF_BAKERY)
    run("do-not-record", "remove", entry["id"], *OF_BAKERY)
    run("exempt", "add", "116117")
    run("exempt", "remove", "116117")
    rows = database.connect().execute("SELECT to_jsonb(e)::text FROM audit_entries e").fetchall()
    text = " ".join(row[0] for row in rows)
    wanted = ("do-not-record.added", "do-not-record.removed", "exempt-number.added", "exempt-number.removed")
    assert all(action in text for action in wanted)
    assert not any(number in text for number in ("201234567", "116117", "works council"))


@pytest.mark.parametrize("verb", ["do-not-record", "exempt"])
@pytest.mark.parametrize("action", ["add", "list", "remove"])
def test_every_action_helps_with_an_example(
    verb: str, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As every command does."""
    assert main([verb, action, "--help"]) == 0
    assert f"example: earwitness {verb} {action}" in " ".join(capsys.readouterr().out.split())
