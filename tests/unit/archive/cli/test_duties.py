"""`duty`: which law obliges a tenant to keep, who registered it and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from archive.catalogue import worm_proofs
from archive.catalogue.engine import Catalogue
from archive.catalogue.worm_proofs import WormProof

OF_BAKERY = ("--tenant", "bakery.example")
LAW = "Wft 4:14, MiFID II art. 16(7)"


@pytest.fixture(autouse=True)
def tenant(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "S3_ENDPOINT": "http://127.0.0.1:9",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
    }.items():
        monkeypatch.setenv(f"EARWITNESS_{name}", value)
    run("tenant", "add", "Bakery", "--domain", "bakery.example")


def test_a_duty_is_registered_for_the_classes_of_seven_years_and_ended(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    """It stays in the list when it ended, with both dates and who registered it."""
    added = data("duty", "add", "--law", LAW, *OF_BAKERY)
    assert (added["law"], added["classes"]) == (LAW, ["7y-1000", "7y-3500"])
    assert added["registeredBy"].startswith("operator:")
    run("duty", "end", added["id"], *OF_BAKERY)
    (listed,) = data("duty", "list", *OF_BAKERY)
    assert (listed["id"], listed["law"]) == (added["id"], LAW)
    assert listed["endedAt"] is not None
    assert "no such duty in force" in run("duty", "end", added["id"], *OF_BAKERY, code=1)


def test_a_duty_names_its_law_and_may_be_about_one_class(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    assert "Name the law" in run("duty", "add", "--law", "  ", *OF_BAKERY, code=1)
    assert data("duty", "add", "--law", LAW, "--licence", "365d", *OF_BAKERY)["classes"] == ["365d"]


def test_it_says_what_lock_follows_from_it_on_this_bucket(
    data: Callable[..., Any], operator: Catalogue
) -> None:
    """A bucket nobody proved gets no lock that can't be taken back, whatever the law says."""
    assert data("duty", "add", "--law", LAW, *OF_BAKERY)["lock"].startswith("GOVERNANCE until")
    with operator.transaction() as connection:
        worm_proofs.keep(connection, WormProof("localhost/earwitness", datetime.now(UTC), True, "no", ()))
    assert data("duty", "add", "--law", LAW, *OF_BAKERY)["lock"].startswith("COMPLIANCE")


def test_registering_and_ending_stand_in_the_audit_log_of_the_tenant(
    run: Callable[..., str], data: Callable[..., Any], database: Any
) -> None:
    added = data("duty", "add", "--law", LAW, *OF_BAKERY)
    run("duty", "end", added["id"], *OF_BAKERY)
    rows = database.connect().execute(
        "SELECT action, object, tenant_id IS NOT NULL FROM audit_entries WHERE action LIKE 'duty.%' ORDER BY at"
    )
    assert rows.fetchall() == [
        ("duty.registered", f"duty:{added['id']}", True),
        ("duty.ended", f"duty:{added['id']}", True),
    ]
