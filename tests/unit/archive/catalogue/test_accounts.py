"""Who is asking: a person or an API key becomes a scope, and nothing else is learned."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, update

from archive.access import AccessScope, Scope
from archive.catalogue import accounts, directory
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import users
from archive.errors import Conflict, NotFound, Refused
from archive.model import Role, Tenant, User, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(operator, bakery.id, "anna", now=NOW, role=Role.AUDITOR)


def test_a_listener_hears_the_contributors_of_their_teams_and_no_one_else(
    operator: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    users = {
        login: directory.add_user(operator, bakery.id, login, now=NOW)
        for login in ("lead", "anna", "bob", "carol")
    }
    teams = {name: directory.add_team(operator, bakery.id, name, now=NOW) for name in ("Sales", "Care")}
    for team, login, capacity in (
        ("Sales", "lead", Capacity.LISTENER),
        ("Sales", "anna", Capacity.CONTRIBUTOR),
        ("Sales", "bob", Capacity.LISTENER),
        ("Care", "lead", Capacity.CONTRIBUTOR),
        ("Care", "carol", Capacity.CONTRIBUTOR),
    ):
        directory.set_team_member(operator, bakery.id, team, login, capacity, now=NOW)
    scope = accounts.scope_of_user(portal, bakery.id, users["lead"].id)
    assert scope.team_ids == {teams["Sales"]}
    assert scope.heard_user_ids == {users["anna"].id}
    assert accounts.scope_of_user(portal, bakery.id, users["anna"].id).heard_user_ids == frozenset()


def test_a_user_who_is_gone_has_no_scope(
    portal: Catalogue, bakery: Tenant, florist: Tenant, anna: User
) -> None:
    for tenant_id, user_id in ((bakery.id, UserId("nobody")), (florist.id, anna.id)):
        with pytest.raises(NotFound):
            accounts.scope_of_user(portal, tenant_id, user_id)


def test_the_key_of_somebody_who_left_or_is_gone_is_no_key(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, anna: User
) -> None:
    """Also of one who leaves at this moment, before their keys are taken away."""
    made = accounts.add_api_client(
        operator, bakery.id, "crm", [Scope.RECORDINGS_READ], now=NOW, user_id=anna.id
    )
    assert accounts.authenticate_key(portal, made.key) is not None
    with operator.transaction(bakery.id) as connection:
        connection.execute(update(users).where(users.c.id == anna.id).values(left_at=NOW))
    assert accounts.authenticate_key(portal, made.key) is None


def test_an_api_key_gives_its_scopes_and_is_stored_as_a_hash(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, database: Any
) -> None:
    made = accounts.add_api_client(
        operator, bakery.id, "crm", [Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY], now=NOW
    )
    assert accounts.authenticate_key(portal, made.key) == AccessScope(
        bakery.id, f"api-client:{made.id}", scopes=frozenset({Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY})
    )
    row = database.connect().execute("SELECT key_hash, api_clients::text FROM api_clients").fetchone()
    assert row[0] == hashlib.sha256(made.key.encode()).hexdigest()
    assert made.key.rpartition("_")[2] not in row[1]


def test_a_key_opens_its_own_tenant_only(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    made = accounts.add_api_client(operator, bakery.id, "crm", [Scope.RECORDINGS_READ], now=NOW)
    assert accounts.authenticate_key(portal, made.key.replace(bakery.id, florist.id)) is None
    for wrong in (
        "",
        made.key[:-1],
        made.key + "A",
        made.key.replace("ew_", "ew-"),
        f"ew_{bakery.id}_" + "A" * 43,
    ):
        assert accounts.authenticate_key(portal, wrong) is None


def test_scopes_are_from_the_list_and_names_are_taken_once(operator: Catalogue, bakery: Tenant) -> None:
    for wrong in ([], ["recordings:delete"], ["recordings:read", ""]):
        with pytest.raises(Refused, match="recordings:read"):
            accounts.add_api_client(operator, bakery.id, "crm", wrong, now=NOW)
    for name in ("", "a\0", "x" * 201):
        with pytest.raises(Refused, match="printable"):
            accounts.add_api_client(operator, bakery.id, name, [Scope.RECORDINGS_READ], now=NOW)
    accounts.add_api_client(operator, bakery.id, "x" * 200, [Scope.RECORDINGS_READ], now=NOW)
    with pytest.raises(Conflict):
        accounts.add_api_client(operator, bakery.id, "x" * 200, [Scope.RECORDINGS_READ], now=NOW)


def test_a_key_of_a_person_acts_as_that_person_within_its_scopes(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, anna: User
) -> None:
    directory.add_team(operator, bakery.id, "Sales", now=NOW)
    directory.set_team_member(operator, bakery.id, "Sales", "anna", Capacity.LISTENER, now=NOW)
    made = accounts.add_api_client(
        operator, bakery.id, "app", [Scope.CALLS_READ, Scope.SETTINGS], now=NOW, user_id=anna.id
    )
    signed_in = accounts.scope_of_user(portal, bakery.id, anna.id)
    scope = accounts.authenticate_key(portal, made.key)
    assert scope == dataclasses.replace(signed_in, scopes=frozenset({Scope.CALLS_READ, Scope.SETTINGS}))
    assert scope.actor == f"user:{anna.id}"
    assert scope.team_ids


def test_a_right_taken_from_a_person_is_taken_from_their_key_too(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, anna: User
) -> None:
    made = accounts.add_api_client(operator, bakery.id, "app", [Scope.SETTINGS], now=NOW, user_id=anna.id)
    directory.set_user(operator, bakery.id, "anna", now=NOW, role=Role.USER)
    scope = accounts.authenticate_key(portal, made.key)
    assert scope is not None
    assert scope.role is Role.USER
    with portal.transaction(bakery.id) as connection:
        connection.execute(delete(users).where(users.c.id == anna.id))
    assert accounts.authenticate_key(portal, made.key) is None


def test_a_key_is_of_nobody_in_another_tenant(
    operator: Catalogue, bakery: Tenant, florist: Tenant, anna: User
) -> None:
    for tenant, user_id in ((florist, anna.id), (bakery, UserId("nobody"))):
        with pytest.raises(NotFound):
            accounts.add_api_client(operator, tenant.id, "app", [Scope.SETTINGS], now=NOW, user_id=user_id)
