"""Who hears whom, and what is allowed, changes together with its audit entry or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import directory, policies, rights, teams
from archive.catalogue.directory import Capacity
from archive.errors import CatalogueUnavailable

TEAM, ANNA = "<team>", "<anna>"
API = [
    ("POST", "/v1/teams", {"name": "Second"}),
    ("PATCH", f"/v1/teams/{TEAM}", {"name": "Other", "hearsEarlier": True, "rights": {"share": True}}),
    ("DELETE", f"/v1/teams/{TEAM}", None),
    ("POST", f"/v1/teams/{TEAM}/members", {"userId": ANNA, "as": "listener"}),
    ("DELETE", f"/v1/teams/{TEAM}/members/{ANNA}", None),
    ("PATCH", "/v1/rights", {"teams": {TEAM: {"share": True}}, "people": {ANNA: {"email": True}}}),
    ("PATCH", "/v1/policy", {"purposeRequired": True}),
]
PAGES = [
    ("/admin/teams", {"name": "Second"}),
    (f"/admin/teams/{TEAM}/name", {"name": "Other"}),
    (f"/admin/teams/{TEAM}/rights", {"right": "share", "on": "true"}),
    (f"/admin/teams/{TEAM}/rights", {"right": "earlier", "on": "true"}),
    (f"/admin/teams/{TEAM}/members", {"user": ANNA, "as": "listener"}),
    (f"/admin/teams/{TEAM}/leavers", {"user": ANNA, "as": "contributor"}),
    (f"/admin/teams/{TEAM}/removal", {"typed": "Sales"}),
    ("/admin/policies/purpose", {"on": "true"}),
]


@pytest.fixture
def sales(office: Any) -> str:
    """A team with Anna in it."""
    operator, tenant = office.house.operator, office.tenant
    team_id = directory.add_team(operator, tenant.id, "Sales", now=office.now)
    teams.enter(operator, tenant.id, team_id, office.anna.id, Capacity.CONTRIBUTOR, now=office.now)
    return team_id


@pytest.fixture
def without_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry can be written."""

    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    monkeypatch.setattr(AuditWriter, "append", away)


def as_it_is(office: Any) -> list[Any]:
    where = office.house.operator, office.tenant.id
    every = teams.list_teams(*where)
    members = [each for team in every for each in teams.members_of(*where, team.id, past=True)]
    return [every, members, rights.of_exceptions(*where), policies.policy_of(*where)]


def filled(value: Any, office: Any, team_id: str) -> Any:
    if isinstance(value, dict):
        return {filled(name, office, team_id): filled(each, office, team_id) for name, each in value.items()}
    if isinstance(value, str):
        return value.replace(TEAM, team_id).replace(ANNA, office.anna.id)
    return value


@pytest.mark.parametrize(("method", "path", "body"), API, ids=[f"{each[0]} {each[1]}" for each in API])
@pytest.mark.usefixtures("without_log")
async def test_the_api_changes_nothing_without_the_log(
    office: Any, sales: str, method: str, path: str, body: Any
) -> None:
    before = as_it_is(office)
    answer = await office.send(method, filled(path, office, sales), filled(body, office, sales))
    assert answer.status == 503
    assert as_it_is(office) == before


@pytest.mark.parametrize(("path", "form"), PAGES)
@pytest.mark.usefixtures("without_log")
async def test_pages_change_nothing_without_the_log(
    office: Any, sales: str, path: str, form: dict[str, str]
) -> None:
    before = as_it_is(office)
    sent = filled(form, office, sales)
    answer = await office.send("POST", filled(path, office, sales), data=sent, allow_redirects=False)
    assert answer.status == 503
    assert as_it_is(office) == before


@pytest.mark.parametrize(("method", "path", "body"), API, ids=[f"{each[0]} {each[1]}" for each in API])
async def test_with_the_log_each_has_one_entry(
    office: Any, sales: str, method: str, path: str, body: Any
) -> None:
    before = as_it_is(office)
    answer = await office.send(method, filled(path, office, sales), filled(body, office, sales))
    assert answer.status in {200, 201, 204}
    assert as_it_is(office) != before
    team_id = (await answer.json())["id"] if answer.status == 201 and path == "/v1/teams" else sales
    subject = {"/v1/rights": "rights", "/v1/policy": "policy"}.get(path, f"team:{team_id}")
    assert [result for _, result in office.events(subject)] == ["ok"]


async def test_whoever_is_not_in_a_team_leaves_nothing_behind_by_leaving(office: Any, sales: str) -> None:
    answer = await office.send("DELETE", f"/v1/teams/{sales}/members/{office.boss.id}")
    assert answer.status == 404
    assert office.events(f"team:{sales}") == []
