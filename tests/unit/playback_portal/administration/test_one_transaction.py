"""Who hears whom, what is allowed and what is exempt changes together with its audit entry or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import (
    brandings,
    directory,
    evaluation_results,
    exempt_numbers,
    policies,
    rights,
    teams,
)
from archive.catalogue.brandings import Look
from archive.catalogue.directory import Capacity
from archive.errors import CatalogueUnavailable

TEAM, ANNA, EXEMPT = "<team>", "<anna>", "<exempt>"
API = [
    ("POST", "/v1/teams", {"name": "Second"}),
    ("PATCH", f"/v1/teams/{TEAM}", {"name": "Other", "hearsEarlier": True, "rights": {"share": True}}),
    ("DELETE", f"/v1/teams/{TEAM}", None),
    ("POST", f"/v1/teams/{TEAM}/members", {"userId": ANNA, "as": "listener"}),
    ("DELETE", f"/v1/teams/{TEAM}/members/{ANNA}", None),
    ("PATCH", "/v1/rights", {"teams": {TEAM: {"share": True}}, "people": {ANNA: {"email": True}}}),
    ("PATCH", "/v1/policy", {"purposeRequired": True}),
    ("POST", "/v1/exempt-numbers", {"number": "+31201119999"}),
    ("DELETE", f"/v1/exempt-numbers/{EXEMPT}", None),
    ("PUT", "/v1/branding", {"name": "Molen", "accentLight": "#0a4f8a"}),
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
    ("/admin/do-not-record/exempt", {"number": "+31201119999"}),
    (f"/admin/do-not-record/exempt/{EXEMPT}/removal", {}),
    ("/evaluations/policy", {"hides": "true"}),
    ("/admin/policies/branding", {"name": "Molen"}),
    ("/admin/policies/branding/reset", {}),
    ("/admin/policies/branding/discarded", {}),
]


@pytest.fixture
def sales(office: Any) -> str:
    """A team with Anna in it, a number that is exempt, and a look of the organisation's own with a draft."""
    operator, tenant = office.house.operator, office.tenant
    with office.house.portal.transaction(tenant.id) as connection:
        brandings.put_shown(connection, Look(tenant.id, "", "Before"), "user:boss", now=office.now)
        brandings.put_draft(connection, Look(tenant.id, "", "Drafted"), "user:boss", now=office.now)
    exempt_numbers.add(operator, tenant.id, "+31201118888", now=office.now)
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
    exempt = exempt_numbers.entries(*where)
    hides = evaluation_results.hides_few(office.house.portal, AccessScope(where[1], "test"))
    looks = [brandings.look_of(office.house.portal, office.tenant.id, draft=draft) for draft in (False, True)]
    return [every, members, rights.of_exceptions(*where), policies.policy_of(*where), exempt, hides, looks]


def exempted(office: Any) -> str:
    """Return the id of the number that is exempt."""
    own = exempt_numbers.entries(office.house.operator, office.tenant.id)
    return next(each.id for each in own if each.number == "+31201118888")


def filled(value: Any, office: Any, team_id: str) -> Any:
    if isinstance(value, dict):
        return {filled(name, office, team_id): filled(each, office, team_id) for name, each in value.items()}
    if isinstance(value, str):
        exempt = exempted(office) if EXEMPT in value else ""
        return value.replace(TEAM, team_id).replace(ANNA, office.anna.id).replace(EXEMPT, exempt)
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
    before, exempt = as_it_is(office), exempted(office)
    answer = await office.send(method, filled(path, office, sales), filled(body, office, sales))
    assert answer.status in {200, 201, 204}
    assert as_it_is(office) != before
    made = (await answer.json())["id"] if answer.status == 201 and "members" not in path else ""
    named = {"/v1/rights": "rights", "/v1/policy": "policy", "/v1/branding": "branding"}
    subject = named.get(path, f"team:{made or sales}")
    if "exempt" in path:
        subject = f"exempt-number:{made or exempt}"
    assert [result for _, result in office.events(subject)] == ["ok"]


async def test_whoever_is_not_in_a_team_leaves_nothing_behind_by_leaving(office: Any, sales: str) -> None:
    answer = await office.send("DELETE", f"/v1/teams/{sales}/members/{office.boss.id}")
    assert answer.status == 404
    assert office.events(f"team:{sales}") == []
