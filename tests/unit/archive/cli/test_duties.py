"""`duty`: which law obliges a tenant to keep, who registered it and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from archive.access import AccessScope
from archive.approval import Event
from archive.catalogue import approved, directory, legal_duties, proposals, worm_proofs
from archive.catalogue.directory import tenant_by_domain
from archive.catalogue.engine import Catalogue
from archive.catalogue.worm_proofs import WormProof
from archive.errors import Refused
from archive.model import Role

OF_BAKERY = ("--tenant", "bakery.example")
LAW = "Wft 4:14, MiFID II art. 16(7)"
WHY = ("--reason", "the licence was given back")


@pytest.fixture(autouse=True)
def tenant(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "S3_ENDPOINT": "http://127.0.0.1:9",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
    }.items():
        monkeypatch.setenv(f"EARWITNESS_{name}", value)
    run("tenant", "add", "Bakery", "--domain", "bakery.example")


@pytest.fixture
def approve(operator: Catalogue, portal: Catalogue) -> Callable[[str], None]:
    """Approve a proposal as an auditor of the bakery, who signed in, does in the portal."""
    tenant_id = tenant_by_domain(operator, "bakery.example").id
    ella = directory.add_user(operator, tenant_id, "ella", now=datetime.now(UTC), role=Role.AUDITOR)

    def decide(proposal_id: str) -> None:
        scope = AccessScope(tenant_id, f"user:{ella.id}", Role.AUDITOR, ella.id)
        now = datetime.now(UTC)
        with portal.transaction(tenant_id) as connection:
            decided = proposals.decide(connection, scope, proposal_id, Event.APPROVE, now=now)
            effect = approved.carry_out(connection, decided, now=now)
        assert (effect.action, effect.object) == ("duty.ended", decided.subject)
        assert effect.told["law"] == LAW

    return decide


def test_a_duty_is_registered_by_one_and_ended_by_two(
    data: Callable[..., Any], run: Callable[..., str], approve: Callable[[str], None]
) -> None:
    """It counts at once, and on until somebody of the customer approves its end; it stays in the list."""
    added = data("duty", "add", "--law", LAW, *OF_BAKERY)
    assert (added["law"], added["classes"]) == (LAW, ["7y-1000", "7y-3500"])
    assert added["registeredBy"].startswith("operator:")
    proposed = data("duty", "end", added["id"], *WHY, *OF_BAKERY)
    assert (proposed["state"], proposed["law"]) == ("waiting", LAW)
    (listed,) = data("duty", "list", *OF_BAKERY)
    assert listed["endedAt"] is None
    assert "proposed already" in run("duty", "end", added["id"], *WHY, *OF_BAKERY, code=1)
    approve(proposed["id"])
    (listed,) = data("duty", "list", *OF_BAKERY)
    assert (listed["id"], listed["law"]) == (added["id"], LAW)
    assert listed["endedAt"] is not None
    assert "no such duty in force" in run("duty", "end", added["id"], *WHY, *OF_BAKERY, code=1)


def test_the_end_of_a_duty_has_a_reason(data: Callable[..., Any], run: Callable[..., str]) -> None:
    added = data("duty", "add", "--law", LAW, *OF_BAKERY)
    assert "Say why" in run("duty", "end", added["id"], "--reason", " ", *OF_BAKERY, code=1)


def test_nobody_ends_a_duty_alone_whatever_program_they_use(
    data: Callable[..., Any], operator: Catalogue, portal: Catalogue, approve: Callable[[str], None]
) -> None:
    """The database refuses it: to the operator always, to the portal until it was approved."""
    first, second = (data("duty", "add", "--law", LAW, *OF_BAKERY)["id"] for _ in range(2))
    tenant_id, now = tenant_by_domain(operator, "bakery.example").id, datetime.now(UTC)
    proposed = data("duty", "end", first, *WHY, *OF_BAKERY)
    for catalogue in (operator, portal):
        with pytest.raises(Refused), catalogue.transaction(tenant_id) as connection:
            legal_duties.end(connection, tenant_id, first, "operator:0", now)
    approve(proposed["id"])
    with pytest.raises(Refused), portal.transaction(tenant_id) as connection:
        legal_duties.end(connection, tenant_id, second, "operator:0", now)


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


def test_registering_and_proposing_the_end_stand_in_the_audit_log_of_the_tenant(
    data: Callable[..., Any], database: Any
) -> None:
    added = data("duty", "add", "--law", LAW, *OF_BAKERY)
    proposed = data("duty", "end", added["id"], *WHY, *OF_BAKERY)
    rows = database.connect().execute(
        "SELECT action, object, tenant_id IS NOT NULL FROM audit_entries"
        " WHERE action LIKE 'duty.%' OR action LIKE 'proposal.%' ORDER BY at"
    )
    assert rows.fetchall() == [
        ("duty.registered", f"duty:{added['id']}", True),
        ("proposal.made", f"proposal:{proposed['id']}", True),
    ]
