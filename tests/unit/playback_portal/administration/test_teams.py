"""Teams and rights over the API and on pages: what administrators do there, and what the log tells of it."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest

from archive.access import Right
from archive.catalogue import accounts, directory, rights, teams
from archive.catalogue.directory import Capacity
from archive.model import Role

HX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>\"'\u202e=1+1"


@pytest.fixture
def sales(office: Any) -> str:
    return directory.add_team(office.house.operator, office.tenant.id, "Sales", now=office.now)


async def page_of(office: Any, path: str, status: int = 200, **options: Any) -> str:
    answer = await office.send("GET", path, key="boss", **options)
    text = await answer.text()
    assert answer.status == status, text
    assert "style=" not in text
    assert not re.search(r"<script(?![^>]* src=)|\son[a-z]+=", text)
    return text


async def posted(office: Any, path: str, status: int = 303, **form: str) -> Any:
    answer = await office.send("POST", path, key="boss", data=form, allow_redirects=False)
    assert answer.status == status, await answer.text()
    return answer


async def swapped(office: Any, path: str, **form: str) -> str:
    answer = await office.send("POST", path, key="boss", data=form, headers=HX)
    assert answer.status == 200, await answer.text()
    return await answer.text()


async def test_a_team_is_added_read_changed_and_removed(office: Any) -> None:
    made = await office.told(await office.send("POST", "/v1/teams", {"name": " Sales "}), "Team", 201)
    nothing = dict.fromkeys(Right, False)
    assert made == {
        "id": made["id"],
        "name": "Sales",
        "hearsEarlier": False,
        "rights": nothing,
        "listeners": 0,
        "contributors": 0,
    }
    path = f"/v1/teams/{made['id']}"
    assert await office.read(path, "Team") == made
    patch = {"hearsEarlier": True, "rights": {"share": True, "email": True}}
    changed = await office.told(await office.send("PATCH", path, patch), "Team", 200)
    assert changed == {**made, "hearsEarlier": True, "rights": {**nothing, "share": True, "email": True}}
    less = await office.told(
        await office.send("PATCH", path, {"rights": {"email": None}, "name": "Verkoop"}), "Team", 200
    )
    assert less == {**changed, "name": "Verkoop", "rights": {**nothing, "share": True}}
    assert [each["name"] for each in (await office.read("/v1/teams", "TeamPage"))["items"]] == ["Verkoop"]
    assert (await office.send("DELETE", path)).status == 204
    await office.problem(await office.send("GET", path), 404)
    assert office.events(f"team:{made['id']}") == [
        ("team.added", "ok"),
        ("team.viewed", "ok"),
        ("team.changed", "ok"),
        ("team.changed", "ok"),
        ("team.removed", "ok"),
    ]
    told = office.log(f"team:{made['id']}")[3].body["changed"]
    assert told["name"] == "changed"
    assert told["rights"]["to"] == {**nothing, "share": True}


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("POST", "/v1/teams", {}, "/name"),
        ("POST", "/v1/teams", {"name": "x" * 201}, "/name"),
        ("PATCH", "/v1/teams/{id}", {"rights": {"listen": True}}, "/rights"),
        ("PATCH", "/v1/teams/{id}", {"rights": {"share": "yes"}}, "/rights"),
        ("PATCH", "/v1/teams/{id}", {"hearsEarlier": 1}, "/hearsEarlier"),
        ("POST", "/v1/teams/{id}/members", {"userId": "x", "as": "listener"}, "/userId"),
        ("POST", "/v1/teams/{id}/members", {"userId": "{id}", "as": "listener"}, "/userId"),
        ("POST", "/v1/teams/{id}/members", {"userId": "{anna}", "as": "owner"}, "/as"),
        ("PATCH", "/v1/rights", {"teams": {"x": {"share": True}}}, "/teams/x"),
        ("PATCH", "/v1/rights", {"people": {"{id}": {"share": True}}}, "/people/{id}"),
        ("PATCH", "/v1/rights", {"people": {str(n): {} for n in range(201)}}, "/people"),
    ],
)
async def test_what_is_wrong_is_told_and_changes_nothing(
    office: Any, sales: str, method: str, path: str, body: Any, pointer: str
) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {filled(name): filled(each) for name, each in value.items()}
        text = str(value).replace("{id}", sales).replace("{anna}", office.anna.id)
        return text if isinstance(value, str) else value

    problem = await office.problem(await office.send(method, filled(path), filled(body)), 400)
    assert [each["parameter"] for each in problem["errors"]] == [filled(pointer)]
    (team,) = teams.list_teams(office.house.portal, office.tenant.id)
    assert (team.rights, team.hears_earlier, team.listeners) == (frozenset(), False, 0)


async def test_members_come_and_go_and_their_times_stay(office: Any, sales: str) -> None:
    path = f"/v1/teams/{sales}/members"
    before = office.now - timedelta(days=2)
    teams.enter(
        office.house.operator, office.tenant.id, sales, office.anna.id, Capacity.CONTRIBUTOR, now=before
    )
    body = {"userId": office.boss.id, "as": "listener"}
    await office.told(await office.send("POST", path, body), "Membership", 201)
    await office.told(await office.send("POST", path, body), "Membership", 201)
    inside = (await office.read(path, "MembershipPage"))["items"]
    assert [(each["login"], each["as"], each["until"]) for each in inside] == [
        ("boss", "listener", None),
        ("anna", "contributor", None),
    ]
    scope = accounts.scope_of_user(office.house.portal, office.tenant.id, office.boss.id)
    assert scope.heard_user_ids == {office.anna.id}
    assert (await office.send("DELETE", f"{path}/{office.anna.id}?as=listener")).status == 404
    assert (await office.send("DELETE", f"{path}/{office.anna.id}")).status == 204
    assert (await office.send("DELETE", f"{path}/{office.anna.id}")).status == 404
    past = (await office.read(f"{path}?past=1", "MembershipPage"))["items"]
    (left,) = [each for each in past if each["until"] is not None]
    assert (left["login"], left["until"]) == ("anna", "2026-11-22T09:30:00.123Z")
    hearers = await office.read(f"/v1/users/{office.anna.id}/access", "HearerPage")
    assert [(each["name"], each["reason"], each["until"]) for each in hearers["items"]] == [
        ("anna", "own", None),
        ("boss", "team", "2026-11-22T09:30:00.123Z"),
    ]
    # Who comes and goes within a moment leaves no period.
    assert (await office.send("DELETE", f"{path}/{office.boss.id}")).status == 204
    members = teams.members_of(office.house.portal, office.tenant.id, sales, past=True)
    assert [each.login for each in members] == ["anna"]


async def test_the_matrix_shows_and_switches_teams_and_people(office: Any, sales: str) -> None:
    patch = {
        "teams": {sales: {"share": True}},
        "people": {office.anna.id: {"download": True, "email": False}},
    }
    matrix = await office.told(await office.send("PATCH", "/v1/rights", patch), "Rights", 200)
    assert matrix["teams"][0]["rights"] == {**dict.fromkeys(Right, False), "share": True}
    (anna,) = matrix["people"]
    assert anna["rights"] == {"download": True, "email": False, "share": None, "evaluate": None}
    assert office.log("rights")[-1].body["people"] == {office.anna.id: {"download": True, "email": False}}
    patch = {"people": {office.anna.id: {"download": None, "email": None}}}
    matrix = await office.told(await office.send("PATCH", "/v1/rights", patch), "Rights", 200)
    assert matrix["people"] == []
    assert await office.read("/v1/rights", "Rights") == matrix


async def test_teams_and_people_of_another_tenant_are_not_there(office: Any, house: Any) -> None:
    theirs = directory.add_team(
        house.operator, house.stranger_id, f"Theirs {office.tenant.id}", now=office.now
    )
    person = house.people["anna"].id
    for method, path in (
        ("GET", f"/v1/teams/{theirs}"),
        ("PATCH", f"/v1/teams/{theirs}"),
        ("DELETE", f"/v1/teams/{theirs}"),
        ("GET", f"/v1/teams/{theirs}/members"),
        ("DELETE", f"/v1/teams/{theirs}/members/{office.anna.id}"),
        ("GET", f"/v1/users/{person}/access"),
    ):
        await office.problem(await office.send(method, path, {} if method == "PATCH" else None), 404)
    for path in (f"/admin/teams/{theirs}", f"/admin/users/{person}", f"/admin/teams/{theirs}/candidates?q=a"):
        await page_of(office, path, 404)
    for path, form in (
        (f"/admin/teams/{theirs}/name", {"name": "x"}),
        (f"/admin/teams/{theirs}/rights", {"right": "share", "on": "true"}),
        (f"/admin/teams/{theirs}/members", {"user": office.anna.id, "as": "listener"}),
        (f"/admin/teams/{theirs}/removal", {"typed": "Theirs"}),
        (f"/admin/users/{person}/rights", {"right": "share", "on": "true"}),
        (f"/admin/users/{person}/profile", {"access": "none"}),
    ):
        await posted(office, path, 404, **form)


async def test_a_team_is_made_by_typing_its_name(office: Any) -> None:
    assert "There are no teams yet" in await page_of(
        office, "/admin/teams", headers={"Accept-Language": "en"}
    )
    assert "autofocus" in await page_of(office, "/admin/teams/new")
    answer = await posted(office, "/admin/teams", name=HOSTILE.replace("\u202e", ""))
    text = await page_of(office, answer.headers["Location"])
    assert html.escape(HOSTILE.replace("\u202e", ""), quote=False)[:20] in text
    again = await posted(office, "/admin/teams", 409, name=HOSTILE.replace("\u202e", ""))
    assert 'aria-invalid="true"' in await again.text()
    await posted(office, "/admin/teams", 400, name=HOSTILE)
    await posted(office, "/admin/teams", 400, name="")
    assert [result for _, result in office.events("team")] == ["refused", "refused", "refused"]


async def test_somebody_is_put_in_by_typing_and_taken_out_again(office: Any, sales: str) -> None:
    path = f"/admin/teams/{sales}"
    found = await page_of(office, f"{path}/candidates?q=ann", headers=HX)
    assert found.count(f'value="{office.anna.id}"') == 3
    assert "<html" not in found
    text = await swapped(office, f"{path}/members", user=office.anna.id, **{"as": "listener"})
    assert f'"/admin/users/{office.anna.id}"' in text
    assert f'hx-post="{path}/leavers"' in text
    assert "data-toast" in text
    assert (await page_of(office, f"{path}/candidates?q=ann", headers=HX)).count("badge outline") == 1
    assert "anna" in await page_of(office, f"{path}/candidates?q=ann")
    text = await swapped(office, f"{path}/leavers", user=office.anna.id, **{"as": "listener"})
    assert "data-toast" in text
    assert f'"/admin/users/{office.anna.id}"' not in text
    for wrong in ({"user": "x", "as": "listener"}, {"user": office.anna.id, "as": "x"}, {}):
        await posted(office, f"{path}/members", 404, **wrong)
    told = [entry for entry in office.log(f"team:{sales}") if entry.action.startswith("team.member")]
    assert [(entry.action, entry.result, entry.body["as"]) for entry in told] == [
        ("team.member-set", "ok", "listener"),
        ("team.member-removed", "ok", "listener"),
    ]


async def test_a_right_of_a_team_is_switched_and_undone(office: Any, sales: str) -> None:
    path = f"/admin/teams/{sales}/rights"
    on = await swapped(office, path, right="download", on="true")
    assert 'aria-checked="true"' in on
    assert '"on": "false"' in html.unescape(on)
    assert Right.DOWNLOAD in teams.team_of(office.house.portal, office.tenant.id, sales).rights
    assert 'aria-checked="false"' in await swapped(office, path, right="download", on="false")
    await swapped(office, path, right="earlier", on="true")
    team = teams.team_of(office.house.portal, office.tenant.id, sales)
    assert (team.rights, team.hears_earlier) == (frozenset(), True)
    await posted(office, path, 404, right="listen", on="true")
    await posted(office, path, right="share", on="true")
    assert office.log(f"team:{sales}")[0].body["changed"] == {"download": {"to": True}}


async def test_a_person_gets_a_setting_of_their_own_and_follows_the_team_again(
    office: Any, sales: str
) -> None:
    path = f"/admin/users/{office.anna.id}/rights"
    own = await swapped(office, path, right="share", on="true", at="right-share")
    assert 'class="switch"' in own
    assert '"on": "follow"' in html.unescape(own)
    assert f'"/admin/users/{office.anna.id}"' in await page_of(office, "/admin/rights")
    followed = await swapped(office, path, right="share", on="follow", at="right-share")
    assert 'class="switch inherit"' in followed
    assert rights.of_exceptions(office.house.portal, office.tenant.id) == []
    for wrong in (
        {"right": "x", "on": "true"},
        {"right": "share", "on": "x"},
        {"at": "<x>", "right": "share"},
    ):
        await posted(office, path, 404, **wrong)


async def test_the_page_of_a_person_says_who_hears_them(office: Any, sales: str) -> None:
    for user, capacity in ((office.anna, Capacity.CONTRIBUTOR), (office.boss, Capacity.MANAGER)):
        teams.enter(office.house.operator, office.tenant.id, sales, user.id, capacity, now=office.now)
    text = await page_of(office, f"/admin/users/{office.anna.id}", headers={"Accept-Language": "en"})
    assert "2 can hear the recordings of anna." in text
    assert "Team leader of team" in text
    assert "from 22 November 2026" in text
    assert "Sales" in await page_of(office, "/admin/users?q=ann", headers=HX)
    assert "Nobody is called like that</h2>" in await page_of(
        office, "/admin/users?q=zz", headers={"Accept-Language": "en"}
    )


async def test_people_are_added_and_changed_but_nobody_changes_their_own_role(office: Any) -> None:
    made = await posted(
        office, "/admin/users", login="bram", numbers="+31201239999", role="user", access="none"
    )
    bram = made.headers["Location"].rpartition("/")[2]
    await posted(office, "/admin/users", 409, login="bram")
    await posted(office, "/admin/users", 400, login="br am")
    await posted(office, "/admin/users", 400, login="x", role="king")
    await posted(office, f"/admin/users/{bram}/profile", role="user", access="own", numbers="")
    user = directory.user_by_id(office.house.portal, office.tenant.id, bram)
    assert (user.role, user.access, user.numbers) == (Role.USER, "own", ())
    # The keys of these tests make no auditor, on pages no more than elsewhere.
    await posted(office, f"/admin/users/{bram}/profile", 403, role="auditor")
    await posted(office, "/admin/users", 403, login="otto", role="auditor")
    await posted(office, f"/admin/users/{office.boss.id}/profile", 403, role="auditor")
    assert office.events(f"user:{office.boss.id}")[-1] == ("user.changed", "refused")
    assert "bram" in await page_of(office, "/admin/users")


async def test_a_team_is_removed_only_when_its_name_is_typed(office: Any, sales: str) -> None:
    await posted(office, f"/admin/teams/{sales}/removal", typed="sales")
    assert teams.list_teams(office.house.portal, office.tenant.id)
    await posted(office, f"/admin/teams/{sales}/name", name="Care")
    await posted(office, f"/admin/teams/{sales}/removal", typed="Care")
    assert not teams.list_teams(office.house.portal, office.tenant.id)
    assert office.events(f"team:{sales}") == [
        ("team.removed", "refused"),
        ("team.changed", "ok"),
        ("team.removed", "ok"),
    ]


async def test_a_purpose_is_asked_by_a_switch(office: Any) -> None:
    assert 'aria-checked="true"' in await swapped(office, "/admin/policies/purpose", on="true")
    assert (await office.read("/v1/policy", "Policy"))["purposeRequired"] is True
    assert 'aria-checked="true"' in await page_of(office, "/admin/policies")
    assert office.log("policy")[0].body["changed"] == {"purposeRequired": {"to": True}}
