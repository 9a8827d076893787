"""The page of licences: who has which, what a choice would do, and giving it to many."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import insert

from archive.allowance import month_of
from archive.catalogue import directory
from archive.catalogue.tables import minute_months
from archive.model import RecordingMode, RetentionClass, User

PAGE = "/admin/licences"
HX = {"HX-Request": "true"}
YEARS = RetentionClass.YEARS_7_1000


@pytest.fixture
def bert(office: Any) -> User:
    """Somebody without a licence."""
    user: User = directory.add_user(office.house.operator, office.tenant.id, "bert", now=office.now)
    return user


async def swapped(office: Any, path: str, form: list[tuple[str, str]], status: int = 200) -> str:
    headers = {**office.signed_in(office.boss), **HX, "Accept-Language": "en"}
    answer = await office.client.post(path, data=form, headers=headers)
    text: str = await answer.text()
    assert answer.status == status, text
    return text


def given(office: Any, user: User) -> tuple[RetentionClass | None, RecordingMode]:
    now = directory.user_by_id(office.house.portal, office.tenant.id, user.id)
    return now.licence, now.mode


async def test_the_list_tells_licence_mode_minutes_and_when_they_are_used_up(office: Any, bert: User) -> None:
    row = {"tenant_id": office.tenant.id, "user_id": office.anna.id, "month": month_of(office.now)}
    with office.house.operator.transaction(office.tenant.id) as connection:
        connection.execute(insert(minute_months), {**row, "booked_s": 743 * 60})
    text = await office.opened("boss", PAGE, language="en")
    assert "743/1,000" in text
    assert 'value="743" max="1000"' in text
    assert "7 years, 1000 minutes" in text
    # 22 November, 9:30 UTC: 743 minutes in 21 and a half days reach 1000 on the 29th.
    assert "Full on 29 Nov 2026" in text
    assert text.count('name="id"') == 3
    assert bert.id in text
    only = await office.opened("boss", f"{PAGE}?licence=none&q=be", language="en")
    assert bert.id in only
    assert office.anna.id not in only
    assert "Everybody has a licence" not in only
    assert "Nobody has this licence now" in await office.opened("boss", f"{PAGE}?licence=365d", language="en")
    assert "Nobody is called like that" in await office.opened("boss", f"{PAGE}?q=zz", language="en")
    await office.opened("anna", PAGE, status=403)


async def test_what_a_choice_would_do_is_told_with_the_button_that_does_it(office: Any, bert: User) -> None:
    office.stored(owner=office.anna.id)
    both = [("id", office.anna.id), ("id", bert.id)]
    told = await swapped(office, f"{PAGE}/preview", [*both, ("to", "365d"), ("mode", "")])
    assert "From now on 365 days for the calls of 2 users." in told
    assert re.search(r"1 recording that exists keeps its .*\. First deletion on ", told)
    assert "1 user goes from Never to Always." in told
    assert "Change 2 users" in told
    assert given(office, office.anna) == (YEARS, RecordingMode.ALWAYS)
    refused = await swapped(office, f"{PAGE}/preview", [*both, ("to", ""), ("mode", "on-demand")])
    assert "1 of them has no licence" in refused
    assert "<button" not in refused
    same = [("id", office.anna.id), ("to", "7y-1000"), ("mode", "always")]
    assert "they have this already" in await swapped(office, f"{PAGE}/preview", same)
    assert (await swapped(office, f"{PAGE}/preview", both)).strip() == ""
    freed = await swapped(office, f"{PAGE}/preview", [("id", office.anna.id), ("to", "none")])
    assert "no call of 1 user is kept" in freed
    assert "1 user goes from Always to Never." in freed


async def test_many_get_a_licence_and_mode_and_the_log_tells_of_each(office: Any, bert: User) -> None:
    form = [("id", office.anna.id), ("id", bert.id), ("to", "365d"), ("mode", ""), ("shown", "licence=none")]
    text = await swapped(office, PAGE, form)
    assert "2 users are changed." in text
    # The list is that of the filter the page showed: nobody is without a licence but the boss.
    assert bert.id not in text
    assert office.boss.id in text
    assert given(office, office.anna) == (RetentionClass.DAYS_365, RecordingMode.ALWAYS)
    assert given(office, bert) == (RetentionClass.DAYS_365, RecordingMode.ALWAYS)
    (entry,) = [each for each in office.log("licences") if each.action == "licences.assigned"]
    assert entry.body["people"] == 2
    assert entry.body["licence"] == "365d"
    (of_bert,) = office.log(f"user:{bert.id}")
    assert of_bert.action == "user.changed"
    assert of_bert.body["changed"] == {
        "licence": {"from": None, "to": "365d"},
        "mode": {"from": "never", "to": "always"},
    }
    again = await swapped(office, PAGE, form)
    assert "Nothing was different." in again
    assert len(office.log(f"user:{bert.id}")) == 1


async def test_a_change_that_one_of_them_can_not_have_changes_nobody(office: Any, bert: User) -> None:
    both = [("id", office.anna.id), ("id", bert.id)]
    await swapped(office, PAGE, [*both, ("to", ""), ("mode", "on-demand")], status=409)
    assert given(office, office.anna) == (YEARS, RecordingMode.ALWAYS)
    await swapped(office, PAGE, [*both, ("to", ""), ("mode", "")], status=400)
    await swapped(office, PAGE, [*both, ("to", "8y")], status=404)
    await swapped(office, PAGE, [*both, ("to", "90d"), ("mode", "often")], status=404)
    await swapped(office, PAGE, [*both, ("id", "nobody"), ("to", "90d")], status=404)
    many = [("id", str(number)) for number in range(201)]
    await swapped(office, PAGE, [*many, ("to", "90d")], status=409)
    await swapped(office, f"{PAGE}/preview", [*many, ("to", "90d")], status=400)
    assert given(office, office.anna) == (YEARS, RecordingMode.ALWAYS)
    assert office.log(f"user:{bert.id}") == []


async def test_without_scripts_the_form_leads_back_to_the_list(office: Any, bert: User) -> None:
    form = [("id", bert.id), ("to", "90d"), ("mode", "never"), ("shown", "q=b&licence=none&evil=1")]
    answer = await office.posted("boss", PAGE, form)
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?q=b&licence=none")
    assert given(office, bert) == (RetentionClass.DAYS_90, RecordingMode.NEVER)
