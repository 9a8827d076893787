"""Teams and their members by command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ANNA = "anna@bakery.example"


@pytest.fixture(autouse=True)
def tenant(run: Callable[..., str]) -> None:
    run("tenant", "add", "Bakery", "--domain", "bakery.example")


def test_a_team_has_listeners_and_contributors(run: Callable[..., str], data: Callable[..., Any]) -> None:
    """Listeners hear what contributors record."""
    run("user", "add", ANNA)
    assert data("team", "add", "sales", "--tenant", "bakery.example")["name"] == "sales"
    assert data("team", "member", "sales", ANNA, "--as", "contributor")["as"] == "contributor"
    run("team", "member", "sales", ANNA, "--as", "boss", code=2)


@pytest.mark.parametrize(("user", "reason"), [("anna", "is not LOGIN@DOMAIN"), (ANNA, "There is no")])
def test_what_is_refused_is_said_in_one_line(run: Callable[..., str], user: str, reason: str) -> None:
    """With what to do about it."""
    assert reason in run("team", "member", "sales", user, "--as", "listener", code=1)
