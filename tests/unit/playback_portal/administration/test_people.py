"""People through the API: added, found, changed by merge patch, with licences and minutes."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from archive.audit import AuditWriter
from archive.catalogue import directory
from archive.catalogue.tables import minute_months
from archive.errors import CatalogueUnavailable
from archive.model import RetentionClass, Role, User


async def test_a_person_is_added_with_all_that_can_be_said(office: Any) -> None:
    body = {
        "login": f"Bert@{office.tenant.domain.upper()}",
        "numbers": ["020 123 4570", "+31201234580-589", "101"],
        "broadworksId": "Bert@bw.example",
        "role": "user",
        "access": "own",
        "site": "Goes",
        "licence": "365d",
        "mode": "on-demand",
        "ownModes": ["always-pause", "on-demand"],
    }
    answer = await office.send("POST", "/v1/users", body)
    made = await office.told(answer, "User", 201)
    assert answer.headers["Location"] == f"/v1/users/{made['id']}"
    assert made == {
        **body,
        "id": made["id"],
        "login": f"bert@{office.tenant.domain}",
        "numbers": ["+31201234570", "+31201234580-+31201234589", "101"],
        "broadworksId": "bert@bw.example",
        "leftAt": None,
    }
    assert await office.read(f"/v1/users/{made['id']}", "User") == made
    (added, viewed) = office.log(f"user:{made['id']}")
    assert (added.action, viewed.action) == ("user.added", "user.viewed")
    assert added.body["set"]["licence"] == "365d"
    assert "1234570" not in str(added.body)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/login"),
        ({"login": "bert", "mode": "sometimes"}, "/mode"),
        ({"login": "bert", "mode": None}, "/mode"),
        ({"login": "bert", "role": "king"}, "/role"),
        ({"login": "bert", "access": {}}, "/access"),
        ({"login": "bert", "licence": []}, "/licence"),
        ({"login": "bert", "numbers": "101"}, "/numbers"),
        ({"login": "bert", "numbers": ["1"] * 201}, "/numbers"),
        ({"login": "bert", "ownModes": ["often"]}, "/ownModes"),
        ({"login": "bert", "site": "x" * 201}, "/site"),
        ({"login": "bert", "shoeSize": 43}, "/shoeSize"),
        ({"login": "bert@elsewhere.example"}, "/"),
        ({"login": "b ert"}, "/"),
        ({"login": "bert", "numbers": ["112"]}, "/"),
        ({"login": "bert", "mode": "always"}, "/"),
    ],
)
async def test_what_is_wrong_is_told_by_its_pointer(office: Any, body: Any, pointer: str) -> None:
    problem = await office.problem(await office.send("POST", "/v1/users", body), 400)
    assert [each["parameter"] for each in problem["errors"]] == [pointer]


async def test_everything_that_is_wrong_is_told_at_once(office: Any) -> None:
    body = {"login": "bert", "mode": "sometimes", "role": "king", "shoeSize": 43}
    problem = await office.problem(await office.send("POST", "/v1/users", body), 400)
    assert {each["parameter"] for each in problem["errors"]} == {"/mode", "/role", "/shoeSize"}


async def test_a_login_or_number_that_is_taken_is_a_conflict(office: Any) -> None:
    for body in ({"login": "anna"}, {"login": "bert", "numbers": ["020-1234567"]}):
        await office.problem(await office.send("POST", "/v1/users", body), 409)
    page = await office.read("/v1/users", "UserPage")
    assert len(page["items"]) == 2


async def test_a_merge_patch_changes_what_it_names_and_null_empties(office: Any) -> None:
    path = f"/v1/users/{office.anna.id}"
    body = {"mode": "always-pause", "ownModes": ["always-pause"], "site": "Goes"}
    changed = await office.told(await office.send("PATCH", path, body), "User", 200)
    assert (changed["mode"], changed["site"], changed["licence"]) == ("always-pause", "Goes", "7y-1000")
    assert changed["numbers"] == ["+31201234567"]
    body = {"mode": "never", "licence": None, "site": None, "numbers": None, "ownModes": None}
    emptied = await office.told(await office.send("PATCH", path, body), "User", 200)
    assert (emptied["licence"], emptied["site"], emptied["numbers"], emptied["ownModes"]) == (
        None,
        None,
        [],
        [],
    )
    first, second = office.log(f"user:{office.anna.id}")
    assert first.body["changed"]["mode"] == {"from": "always", "to": "always-pause"}
    assert first.body["changed"]["site"] == "changed"
    assert second.body["changed"]["numbers"] == "changed"
    assert "201234567" not in f"{first} {second}"


async def test_a_patch_may_say_which_state_it_was_made_for(office: Any) -> None:
    path = f"/v1/users/{office.anna.id}"
    known = (await office.send("GET", path)).headers["ETag"]
    first = await office.send("PATCH", path, {"site": "Goes"}, headers={"If-Match": known})
    assert first.status == 200
    second = await office.send("PATCH", path, {"site": "Epe"}, headers={"If-Match": known})
    await office.problem(second, 412)
    assert (await office.read(path, "User"))["site"] == "Goes"
    again = await office.send("PATCH", path, {"site": "Epe"}, headers={"If-Match": first.headers["ETag"]})
    assert again.status == 200


async def test_nobody_changes_their_own_role(office: Any) -> None:
    path = f"/v1/users/{office.boss.id}"
    problem = await office.problem(await office.send("PATCH", path, {"role": "user"}, key="boss"), 403)
    assert "own role" in problem["detail"]
    assert office.events(f"user:{office.boss.id}") == [("user.changed", "refused")]
    same = await office.send("PATCH", path, {"role": "administrator", "site": "Goes"}, key="boss")
    assert same.status == 200


@pytest.mark.parametrize("key", ["administration", "boss"])
async def test_no_key_makes_or_unmakes_who_decides_for_others_or_hears_all(office: Any, key: str) -> None:
    """Whoever finds a key would else be an auditor of their own making, by a link to their own address."""
    for role in ("administrator", "auditor"):
        answer = await office.send("POST", "/v1/users", {"login": f"new-{role}", "role": role}, key=key)
        assert "No key makes" in (await office.problem(answer, 403))["detail"]
        answer = await office.send("PATCH", f"/v1/users/{office.anna.id}", {"role": role}, key=key)
        assert (await office.problem(answer, 403))["type"] == "urn:earwitness:problem:role-by-key"
        csv = f"login,role\nanna@{office.tenant.domain},{role}\n"
        headers = {"Content-Type": "text/csv"}
        answer = await office.send("POST", "/v1/users/imports", key=key, data=csv, headers=headers)
        (result,) = (await answer.json())["items"]
        assert "No key makes" in result["reason"]
    assert office.events(f"user:{office.anna.id}") == [("user.changed", "refused")] * 2
    chief = directory.add_user(
        office.house.operator, office.tenant.id, "chief", now=office.now, role=Role.ADMINISTRATOR
    )
    answer = await office.send("PATCH", f"/v1/users/{chief.id}", {"role": "user"}, key=key)
    await office.problem(answer, 403)
    assert directory.user_by_id(office.house.portal, office.tenant.id, chief.id).role is Role.ADMINISTRATOR
    assert (await office.send("PATCH", f"/v1/users/{chief.id}", {"site": "Goes"}, key=key)).status == 200


async def test_a_change_whose_entry_can_not_be_written_is_not_made(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object, **named: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    monkeypatch.setattr(AuditWriter, "append", away)
    body = {"login": "bert", "role": "user"}
    await office.problem(await office.send("POST", "/v1/users", body), 503)
    answer = await office.send("PATCH", f"/v1/users/{office.anna.id}", {"site": "Goes"})
    await office.problem(answer, 503)
    found = directory.list_users(office.house.portal, office.tenant.id)
    assert [(each.login, each.site) for each in found] == [("anna", None), ("boss", None)]


async def test_people_are_found_page_by_page_and_by_part_of_a_login(office: Any) -> None:
    for number in range(5):
        directory.add_user(office.house.operator, office.tenant.id, f"k{number}_x", now=office.now)
    found, cursor = [], ""
    while cursor is not None:
        page = await office.read(f"/v1/users?limit=3{cursor and '&cursor=' + cursor}", "UserPage")
        found += [each["login"].partition("@")[0] for each in page["items"]]
        cursor = page["next"]
    assert found == ["anna", "boss", "k0_x", "k1_x", "k2_x", "k3_x", "k4_x"]
    page = await office.read("/v1/users?q=3_X", "UserPage")
    assert [each["login"].partition("@")[0] for each in page["items"]] == ["k3_x"]
    for query in ("limit=0", "cursor=%C3%A9", "shoe=1"):
        await office.problem(await office.send("GET", f"/v1/users?{query}"), 400)


async def test_people_of_another_tenant_and_what_is_no_id_are_not_found(office: Any) -> None:
    stranger = office.house.people["anna"].id
    for text in (stranger, "0", "a%00b", "%27 OR 1=1", "x" * 300):
        for rest in ("", "/licences", "/minutes", "/licence-preview?licence=90d"):
            assert (await office.send("GET", f"/v1/users/{text}{rest}")).status == 404
        assert (await office.send("PATCH", f"/v1/users/{text}", {"mode": "never"})).status == 404


async def test_licences_are_told_with_their_dates(office: Any) -> None:
    path = f"/v1/users/{office.anna.id}"
    assert (await office.send("PATCH", path, {"licence": "90d"})).status == 200
    page = await office.read(f"{path}/licences", "LicencePeriodPage")
    first, second = page["items"]
    assert (first["licence"], second["licence"]) == ("7y-1000", "90d")
    assert first["validUntil"] == second["validFrom"]
    assert second["validUntil"] is None


async def test_a_preview_tells_what_a_licence_would_change(office: Any) -> None:
    path = f"/v1/users/{office.anna.id}"
    told = await office.read(f"{path}/licence-preview?licence=7y-3500", "LicencePreview")
    assert (told["before"], told["after"], told["kept"]) == ("7y-1000", "7y-3500", [])
    assert (told["usedSeconds"], told["capSeconds"], told["aboveCap"]) == (0, 210_000, False)
    none = await office.read(f"{path}/licence-preview?licence=none", "LicencePreview")
    assert (none["after"], none["capSeconds"]) == (None, None)
    assert "needs a licence" in none["obstacle"]
    assert (await office.read(path, "User"))["licence"] == "7y-1000"
    for query in ("", "?licence=5y"):
        await office.problem(await office.send("GET", f"{path}/licence-preview{query}"), 400)


async def test_minutes_are_those_of_a_month_under_the_licence_of_its_end(office: Any) -> None:
    row = {"tenant_id": office.tenant.id, "user_id": office.anna.id}
    with office.house.recorder.transaction(office.tenant.id) as connection:
        for month, booked_s in ((date(2026, 11, 1), 59_999), (date(2026, 10, 1), 60_000)):
            connection.execute(insert(minute_months), {**row, "month": month, "booked_s": booked_s})
    path = f"/v1/users/{office.anna.id}/minutes"
    told = await office.read(path, "Minutes")
    assert (told["month"], told["usedSeconds"], told["capSeconds"]) == ("2026-11", 59_999, 60_000)
    assert (told["percent"], told["aboveCap"], told["licence"]) == (99, "keep", "7y-1000")
    october = await office.read(f"{path}?month=2026-10", "Minutes")
    assert (october["usedSeconds"], october["percent"]) == (60_000, 100)
    earlier = await office.read(f"{path}?month=2025-12", "Minutes")
    assert (earlier["licence"], earlier["capSeconds"], earlier["percent"]) == (None, None, None)
    for wrong in ("2026", "2026-13", "november"):
        await office.problem(await office.send("GET", f"{path}?month={wrong}"), 400)


async def test_the_history_of_licences_is_not_rewritten_by_a_change(office: Any) -> None:
    await office.send("PATCH", f"/v1/users/{office.anna.id}", {"licence": "90d"})
    then = directory.licence_at(
        office.house.portal, office.tenant.id, office.anna.id, office.now - timedelta(days=1)
    )
    assert then is RetentionClass.YEARS_7_1000


async def test_site_name_at_the_exchange_and_modes_of_their_own_are_set_on_the_page(office: Any) -> None:
    path, modes = f"/admin/users/{office.anna.id}", ["on-demand", "always-pause"]
    rest = {"role": "user", "access": "own", "site": " Utrecht ", "broadworks_id": "Anna@BW.example"}
    ticked = [("own_modes", each) for each in ("", *modes)]
    assert (await office.posted("boss", f"{path}/profile", ticked, **rest)).status == 303

    def known() -> User:
        return directory.user_by_id(office.house.portal, office.tenant.id, office.anna.id)

    assert (known().site, known().broadworks_id) == ("Utrecht", "anna@bw.example")
    assert sorted(known().own_modes) == sorted(modes)
    page = await office.opened("boss", path)
    shown = {each.partition('value="')[2].partition('"')[0]: each for each in page.split('name="own_modes"')}
    assert {value for value, each in shown.items() if "checked" in each.partition(">")[0]} == set(modes)
    assert 'value="Utrecht"' in page
    # What the form does not name stays, and no mode ticked is none to choose from.
    await office.posted("boss", f"{path}/profile", access="none")
    assert sorted(known().own_modes) == sorted(modes)
    await office.posted("boss", f"{path}/profile", own_modes="", site="", broadworks_id="")
    assert (known().own_modes, known().site, known().broadworks_id) == ((), None, None)
    assert (await office.posted("boss", f"{path}/profile", own_modes="sometimes")).status == 400
    directory.add_user(
        office.house.operator, office.tenant.id, "bert", now=office.now, broadworks_id="bert@bw.example"
    )
    taken = await office.posted("boss", f"{path}/profile", broadworks_id="BERT@bw.example")
    assert taken.status == 409


def seen_on(page: str) -> str:
    """Return what the form of a person's page says it was made of."""
    (seen,) = re.findall(r'name="seen" value="([^"]*)"', page)
    return str(seen)


async def test_a_page_of_before_writes_over_nothing_that_somebody_else_changed_meanwhile(office: Any) -> None:
    """Saved last, it would take a role away that two people gave, and a site that was corrected."""
    path = f"/admin/users/{office.anna.id}"
    form = {"role": "user", "access": "own", "site": "Goes", "broadworks_id": ""}
    opened = await office.opened("boss", path)
    seen = seen_on(opened)
    assert re.search(r'name="number"[^>]*value=""|value=""[^>]*name="number"', opened)
    directory.set_user(
        office.house.operator, office.tenant.id, "anna", now=office.now, role=Role.AUDITOR, site="Veere"
    )
    late = await office.posted("boss", f"{path}/profile", seen=seen, **form)
    page = html.unescape(await late.text())
    assert late.status == 409
    assert "intussen" in page
    assert 'value="Veere"' in page
    user = directory.user_by_id(office.house.portal, office.tenant.id, office.anna.id)
    assert (user.role, user.site) == (Role.AUDITOR, "Veere")
    assert office.events(f"user:{office.anna.id}")[-2:] == [
        ("user.viewed", "ok"),
        ("user.changed", "refused"),
    ]
    # Another's change of what the form does not hold is no reason.
    again = seen_on(page)
    directory.set_user(office.house.operator, office.tenant.id, "anna", now=office.now, numbers=["101"])
    kept = {**form, "role": "auditor"}
    assert (await office.posted("boss", f"{path}/profile", seen=again, **kept)).status == 303


async def test_after_a_fault_the_form_holds_what_was_typed_and_says_what_is_wrong(office: Any) -> None:
    path = f"/admin/users/{office.anna.id}"
    directory.add_user(
        office.house.operator, office.tenant.id, "bert", now=office.now, broadworks_id="bert@bw.example"
    )
    form = {"role": "user", "access": "none", "site": "Veere", "broadworks_id": "bert@bw.example"}
    ticked = [("own_modes", each) for each in ("", "on-demand")]
    taken = await office.posted("boss", f"{path}/profile", ticked, **form)
    page = await taken.text()
    assert 'value="Veere"' in page
    assert 'value="bert@bw.example"' in page
    assert re.search(r'value="on-demand"[^>]*checked|checked[^>]*value="on-demand"', page)
    form = {"role": "auditor", "access": "own", "site": "", "broadworks_id": ""}
    assert (await office.posted("boss", f"{path}/profile", **form)).status == 303
    twice = await office.posted("boss", f"{path}/profile", **form)
    assert twice.status == 409
    assert "wacht al op een tweede persoon" in await twice.text()
