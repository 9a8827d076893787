"""`tenant grounds`: why a customer records, shown and written down; without it a user is not recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MILL = ("tenant", "add", "Mill", "--domain", "mill.example", "--grounds", "none")
ADD = ("user", "add", "anna@mill.example", "--licence", "90d", "--mode", "always")
WORDS = (
    "--purpose", "Orders", "--purpose", "Training", "--legal-basis", "contract",
    "--notice-nl", "Wij nemen op.", "--notice-en", "We record.", "--told-by", "announcement", "contract",
)  # fmt: skip


def test_recording_is_switched_on_once_it_is_written_down(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    run(*MILL)
    assert "purpose, legal basis and notice text are missing" in run(*ADD, code=1)
    assert data("tenant", "grounds", "mill.example")["legalBasis"] == ""
    made = data("tenant", "grounds", "mill.example", *WORDS)
    assert made["purposes"] == "Orders; Training"
    assert made["registeredBy"].startswith("operator:")
    assert (made["toldBy"], made["standard"]) == ("announcement contract", False)
    assert data("tenant", "grounds", "mill.example") == made
    assert data(*ADD)["mode"] == "always"


def test_a_customer_that_says_nothing_begins_with_the_text_of_the_provider(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    run("tenant", "add", "Bakery", "--domain", "bakery.example")
    assert data("tenant", "grounds", "bakery.example")["standard"] is True
    assert data("user", "add", "anna@bakery.example", *ADD[3:])["mode"] == "always"


def test_half_a_version_is_refused(run: Callable[..., str]) -> None:
    run(*MILL)
    assert "--legal-basis" in run("tenant", "grounds", "mill.example", "--purpose", "Orders", code=1)
    half = run("tenant", "grounds", "mill.example", "--legal-basis", "consent", code=1)
    assert "purposes, notice_nl, notice_en, told_by" in half
