"""The settings are tried on a page: what would be recorded, how long it is kept, and who hears it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from archive.allowance import month_of
from archive.catalogue import directory, do_not_record, policies, teams
from archive.catalogue.directory import Capacity
from archive.catalogue.tables import minute_months
from archive.model import AboveCap, User

PAGE = "/admin/what-if"
OUTSIDE = "+31687654321"


async def told(office: Any, caller: str, callee: str, status: int = 200, who: str = "boss") -> str:
    headers = {**office.signed_in(office.people[who]), "Accept-Language": "en"}
    answer = await office.client.post(PAGE, data={"caller": caller, "callee": callee}, headers=headers)
    text: str = await answer.text()
    assert answer.status == status, text
    return text


async def test_a_call_of_somebody_recorded_tells_mode_term_and_hearers(office: Any, ella: User) -> None:
    operator, tenant = office.house.operator, office.tenant
    team = directory.add_team(operator, tenant.id, "Sales", now=office.now)
    for user, capacity in ((office.anna, Capacity.CONTRIBUTOR), (office.boss, Capacity.LISTENER)):
        teams.enter(operator, tenant.id, team, user.id, capacity, now=office.now)
    for callee in ("anna", "020 1234567"):
        text = await told(office, OUTSIDE, callee)
        assert "This call would be recorded." in text
        assert f'href="/admin/users/{office.anna.id}"' in text
        assert "Always. Recorded from beginning to end." in text
        assert "7 years: a call of today until 22 November 2033" in text
        assert "anna, boss, ella" in text
        assert "anna was found by number." in text
        assert "peer" not in text.partition("<main")[2]
    assert "This call would be recorded." in await told(office, "anna", OUTSIDE, who="ella")


async def test_what_would_not_be_recorded_tells_why(office: Any) -> None:
    operator, tenant = office.house.operator, office.tenant
    assert "This call would not be recorded." in await told(office, OUTSIDE, "+31611111111")
    directory.add_user(operator, tenant.id, "bert", now=office.now, numbers=["+31201234570"])
    assert "bert is not recorded: the mode is Never." in await told(office, OUTSIDE, "bert")
    do_not_record.add(operator, tenant.id, OUTSIDE, "lawyer", now=office.now)
    text = await told(office, OUTSIDE, "anna")
    assert "is on the list of numbers that are not recorded" in text
    text = await told(office, "anna", "112")
    assert "Never recorded: an emergency or help line." in text


async def test_used_up_minutes_are_told_as_the_policy_has_them(office: Any) -> None:
    operator, tenant = office.house.operator, office.tenant
    row = {"tenant_id": tenant.id, "user_id": office.anna.id, "month": month_of(office.now)}
    with operator.transaction(tenant.id) as connection:
        connection.execute(insert(minute_months), {**row, "booked_s": 60_000})
    policies.set_policy(operator, tenant.id, above_cap=AboveCap.DAYS_90)
    text = await told(office, OUTSIDE, "anna")
    assert "The minutes of this month are used up." in text
    assert "90 days: a call of today until" in text
    policies.set_policy(operator, tenant.id, above_cap=AboveCap.STOP)
    assert "the policy is to stop" in await told(office, OUTSIDE, "anna")


async def test_what_is_missing_is_asked_for_and_nothing_of_it_is_written(office: Any) -> None:
    assert "Fill in who calls and who is called." in await told(office, " ", "anna", status=400)
    assert "boss has no number" in await told(office, OUTSIDE, "boss", status=400)
    shown = await office.opened("boss", f"{PAGE}?user={office.anna.id}")
    assert 'value="anna"' in shown
    await office.opened("boss", f"{PAGE}?user=nobody")
    await told(office, OUTSIDE, "anna")
    entries = office.log("what-if")
    assert [(each.action, each.result) for each in entries] == [
        ("what-if.asked", "refused"),
        ("what-if.asked", "refused"),
        ("what-if.viewed", "ok"),
        ("what-if.viewed", "ok"),
        ("what-if.asked", "ok"),
    ]
    assert OUTSIDE not in str([each.body for each in entries])


async def test_the_empty_list_of_recordings_leads_there_whom_it_is_for(office: Any) -> None:
    link = 'class="btn primary" href="/admin/what-if"'
    assert link in await office.opened("boss", "/recordings")
    assert link not in await office.opened("anna", "/recordings")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_is_not_for_everyone(office: Any, method: str) -> None:
    headers = office.signed_in(office.anna)
    answer = await office.client.request(method, PAGE, headers=headers)
    assert answer.status == 403
