"""Tenants, peers and API clients by command, each change in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive.catalogue.accounts import authenticate_key
from archive.catalogue.engine import Catalogue


def test_a_tenant_is_added_once_and_listed(run: Callable[..., str], data: Callable[..., Any]) -> None:
    """The domain is its name for every other command."""
    added = data("tenant", "add", "De Warme Bakker", "--domain", "Bakery.Example")
    assert added["domain"] == "bakery.example"
    assert data("tenant", "list") == [added]
    assert "earwitness tenant: " in run("tenant", "add", "Another", "--domain", "bakery.example", code=1)
    assert "De Warme Bakker" in run("tenant", "list")


def test_a_peer_has_addresses_a_tenant_and_a_dialect(
    run: Callable[..., str], data: Callable[..., Any]
) -> None:
    """Without one that matches, nobody's calls are taken."""
    tenant = data("tenant", "add", "Bakery", "--domain", "bakery.example")
    given = ("--address", "192.0.2.0/28", "2001:db8::/64", "--tenant", "bakery.example")
    added = data("peer", "add", "exchange", *given, "--dialect", "broadworks", "--star-codes", "on")
    assert added["addresses"] == ["192.0.2.0/28", "2001:db8::/64"]
    assert (added["tenantId"], added["dialect"], added["starCodes"]) == (tenant["id"], "broadworks", True)
    assert data("peer", "list") == [added]
    assert "not an address" in run("peer", "add", "other", "--address", "example.org", code=1)
    assert "no tenant" in run(
        "peer", "add", "other", "--address", "192.0.2.99", "--tenant", "x.example", code=1
    )
    run("peer", "add", "other", "--address", "192.0.2.99", "--dialect", "unheard-of", code=2)


def test_an_api_key_is_shown_once_and_opens_what_it_may(
    run: Callable[..., str], data: Callable[..., Any], portal: Catalogue
) -> None:
    """Scopes may be given together or one by one."""
    data("tenant", "add", "Bakery", "--domain", "bakery.example")
    scopes = ("--scope", "recordings:read", "--scope", "recordings:play", "sessions:read")
    made = data("api-client", "add", "crm", "--tenant", "bakery.example", *scopes)
    scope = authenticate_key(portal, made["key"])
    assert scope is not None
    assert scope.scopes == {"recordings:read", "recordings:play", "sessions:read"}
    assert set(made) == {"id", "key"}
    run("api-client", "add", "other", "--tenant", "bakery.example", "--scope", "everything", code=1)


def test_every_change_stands_in_the_audit_log_without_names(
    run: Callable[..., str], data: Callable[..., Any], database: Any
) -> None:
    """Who made a customer, a peer or a key can be told later."""
    data("tenant", "add", "Bakery", "--domain", "bakery.example")
    data("peer", "add", "exchange", "--address", "192.0.2.1")
    data("api-client", "add", "crm", "--tenant", "bakery.example", "--scope", "recordings:read")
    rows = database.connect().execute("SELECT to_jsonb(e)::text FROM audit_entries e").fetchall()
    text = " ".join(row[0] for row in rows)
    assert all(action in text for action in ("tenant.added", "peer.added", "api-client.added"))
    assert "Bakery" not in text
    assert len(rows) == 3
    assert data("audit", "verify")[0]["result"] == "intact"


def test_a_tenant_decides_for_all_of_its_people(run: Callable[..., str], data: Callable[..., Any]) -> None:
    """What is not given stays, and without anything the policy is only shown."""
    data("tenant", "add", "Bakery", "--domain", "bakery.example")
    defaults = {"domain": "bakery.example", "keepGraceHours": 0, "aboveCap": "keep"}
    assert data("tenant", "policy", "bakery.example") == defaults
    data("tenant", "policy", "bakery.example", "--keep-grace", "72")
    changed = data("tenant", "policy", "bakery.example", "--above-cap", "90d")
    assert changed == {**defaults, "keepGraceHours": 72, "aboveCap": "90d"}
    assert data("tenant", "policy", "bakery.example") == changed
    assert "0 to 72 hours" in run("tenant", "policy", "bakery.example", "--keep-grace", "73", code=1)
    run("tenant", "policy", "bakery.example", "--above-cap", "never", code=2)


def test_a_key_may_act_as_a_person(
    run: Callable[..., str], data: Callable[..., Any], portal: Catalogue
) -> None:
    """It then may do what both the person and its scopes allow."""
    data("tenant", "add", "Bakery", "--domain", "bakery.example")
    data("tenant", "add", "Florist", "--domain", "florist.example")
    anna = data("user", "add", "anna@bakery.example", "--role", "auditor")
    made = ("api-client", "add", "app", "--tenant", "bakery.example", "--scope", "calls:control", "settings")
    scope = authenticate_key(portal, data(*made, "--user", "anna")["key"])
    assert scope is not None
    assert (scope.actor, scope.scopes) == (f"user:{anna['id']}", {"calls:control", "settings"})
    assert "no user" in run(*made, "--user", "bas", code=1)
    assert "not the domain" in run(*made, "--user", "anna@florist.example", code=1)


def test_a_key_that_a_restore_suspended_opens_again_when_the_operator_says_so(
    run: Callable[..., str], data: Callable[..., Any], database: Any
) -> None:
    data("tenant", "add", "Bakery", "--domain", "bakery.example")
    made = data("api-client", "add", "crm", "--tenant", "bakery.example", "--scope", "recordings:read")
    named = ("api-client", "resume", "crm", "--tenant", "bakery.example")
    assert "not suspended" in run(*named, code=1)
    hashes = "SELECT key_hash FROM api_clients"
    [before] = database.connect().execute(hashes).fetchone()
    database.connect().execute("UPDATE api_clients SET key_hash = 'suspended:' || key_hash")
    assert data(*named)["id"] == made["id"]
    assert database.connect().execute(hashes).fetchone() == (before,)
    run("api-client", "resume", "none", "--tenant", "bakery.example", code=1)
    entries = database.connect().execute(
        "SELECT object FROM audit_entries WHERE action = 'api-client.resumed'"
    )
    assert entries.fetchall() == [(made["id"],)]
