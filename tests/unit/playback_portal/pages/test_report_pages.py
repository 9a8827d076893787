"""Reports and reports by mail as pages: what may be chosen, what is shown, and what is had mailed to oneself."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.catalogue import accounts, audit_entries, directory, identities, report_subscriptions, teams
from archive.catalogue.identities import Account
from archive.catalogue.report_subscriptions import Wanted
from archive.post import NoPost
from archive.reports.period import Frequency
from archive.reports.report import Name
from playback_portal.app import create_app
from playback_portal.pages.reports import usual_periods
from tests.unit.playback_portal.conftest import NOW

NOVEMBER = "from=2026-11-01&to=2026-11-22"
ENDING = re.compile(r'action="(/reports/mails/[^"]+/end)"')
WEEKLY = {"report": "usage", "frequency": "weekly"}


async def page_of(api: Any, path: str, headers: Any = None, status: int = 200) -> str:
    sent = headers or {"Authorization": f"Bearer {api.house.keys['all']}"}
    answer = await api.client.get(path, headers={"Accept-Language": "en", **sent})
    assert answer.status == status, await answer.text()
    return html.unescape(await answer.text())


async def posted(api: Any, path: str, headers: dict[str, str], **fields: str) -> Any:
    sent = {"Accept-Language": "en", **headers}
    return await api.client.post(path, data=fields, headers=sent, allow_redirects=False)


@pytest.fixture
def bert(house: Any) -> Iterator[dict[str, str]]:
    """Somebody who signed in and whose address is proved; afterwards they get nothing by mail."""
    person = house.people["bert"]
    account = Account(house.tenant_id, person.id)
    with house.portal.transaction(house.tenant_id) as connection:
        identities.set_email(connection, account, "bert.reports@bakery.example")
        identities.prove_email(connection, account, now=NOW)
    yield house.signed_in(person)
    scope = accounts.scope_of_user(house.portal, house.tenant_id, person.id)
    with house.portal.transaction(house.tenant_id) as connection:
        for each in report_subscriptions.of_person(connection, scope):
            report_subscriptions.end(connection, scope, each.id)


@pytest.mark.parametrize("name", list(Name))
async def test_each_report_has_a_page_with_its_table_and_its_files(api: Any, name: Name) -> None:
    text = await page_of(api, f"/reports/{name}?{NOVEMBER}")
    for form in ("csv", "xlsx", "pdf"):
        assert re.search(rf'href="/v1/reports/{name}\?[^"]*format={form}', text), form
    assert ('id="figures"' in text) != ("No data in this period" in text)
    assert "As of 22 Nov 2026" in text


async def test_the_page_has_the_numbers_of_the_api(api: Any, insert: Any) -> None:
    insert(api.house.tenant_id, -600, owner=api.house.people["bert"].id)
    told = await (await api.get(f"/v1/reports/usage?{NOVEMBER}&by=day")).json()
    text = await page_of(api, f"/reports/usage?{NOVEMBER}&by=day")
    cells = re.findall(r"<tr>(.*?)</tr>", text.partition("<tbody>")[2].partition("</tbody>")[0], re.DOTALL)
    shown = [[int(value) for value in re.findall(r'data-value="(\d+)"', cell)] for cell in cells]
    keys = [column["key"] for column in told["columns"][1:]]
    assert told["totals"]["recordings"] > 0
    assert shown == [[row[key] for key in keys] for row in told["rows"]]


@pytest.mark.parametrize(
    "days", ["from=2026-02-31", "from=x", "from=2026-11-02&to=2026-11-01", "to=1999-01-01"]
)
async def test_days_that_are_no_period_become_this_month_and_the_page_says_so(api: Any, days: str) -> None:
    text = await page_of(api, f"/reports/usage?{days}")
    assert "These days are no period" in text
    assert "1 November 2026 to 22 November 2026" in text


async def test_a_report_or_team_that_is_not_there_is_not_found(api: Any) -> None:
    await page_of(api, "/reports/everything", status=404)
    nothing = "01990000-0000-7000-8000-000000000000"
    await page_of(api, f"/reports/usage?team={nothing}", status=404)
    await page_of(api, f"/reports/usage?team={nothing}", api.house.signed_in(api.house.people["anna"]), 404)


async def test_who_sees_their_own_numbers_alone_is_offered_no_report_of_everybody(api: Any) -> None:
    own = await page_of(api, "/reports", api.house.signed_in(api.house.people["anna"]))
    assert "/reports/completeness" not in own
    assert "/reports/completeness" in await page_of(api, "/reports")


def test_usual_periods_end_with_today_and_the_month_before_is_whole() -> None:
    periods = {text: (str(each.first), str(each.last)) for text, each in usual_periods(date(2026, 3, 1))}
    assert periods == {
        "This month": ("2026-03-01", "2026-03-01"),
        "Last month": ("2026-02-01", "2026-02-28"),
        "Last 7 days": ("2026-02-23", "2026-03-01"),
        "This year": ("2026-01-01", "2026-03-01"),
    }


async def test_a_report_is_had_mailed_and_stopped(api: Any, bert: dict[str, str]) -> None:
    assert "No report comes by mail" in await page_of(api, "/reports/mails", bert)
    answer = await posted(api, "/reports/mails", bert, **WEEKLY, team="")
    assert (answer.status, answer.headers["Location"]) == (303, "/reports/mails?done=set")
    text = await page_of(api, "/reports/mails?done=set", bert)
    assert "The first one comes once its period is over" in text
    assert "Every Monday, of the week before" in text
    assert "Paused:" not in text
    [ending] = ENDING.findall(text)
    answer = await posted(api, ending, bert)
    assert (answer.status, answer.headers["Location"]) == (303, "/reports/mails?done=ended")
    assert "This report comes no more" in await page_of(api, "/reports/mails?done=ended", bert)
    assert (await posted(api, ending, bert)).status == 404
    assert "No report comes by mail" in await page_of(api, "/reports/mails", bert)
    entries = audit_entries.of_tenant(api.house.portal, api.house.tenant_id)
    done = [each for each in entries if each.action in {"report-mail.set", "report-mail.ended"}]
    assert [(each.action, each.result) for each in done[-2:]] == [
        ("report-mail.set", "ok"),
        ("report-mail.ended", "ok"),
    ]
    assert done[-2].body is not None
    assert (done[-2].body["report"], done[-2].body["frequency"]) == ("usage", "weekly")


async def test_a_report_one_sees_no_longer_says_why_it_does_not_come(api: Any, bert: dict[str, str]) -> None:
    """Of the whole organisation, for who is no auditor now; and of a team whose manager one was."""
    house = api.house
    scope = accounts.scope_of_user(house.portal, house.tenant_id, house.people["bert"].id)
    team_id = directory.add_team(house.portal, house.tenant_id, "Had been Bert's", now=NOW)
    then = dataclasses.replace(scope, managed_team_ids=frozenset({team_id}))
    of_team, whole = Wanted(Name.USAGE, Frequency.DAILY, team_id), Wanted(Name.COMPLETENESS, Frequency.WEEKLY)
    with house.portal.transaction(house.tenant_id) as connection:
        for wanted in (of_team, whole):
            report_subscriptions.set_one(connection, then, wanted, now=NOW)
    text = await page_of(api, "/reports/mails", bert)
    teams.remove(house.portal, house.tenant_id, team_id)
    assert "Paused: this report is of the whole organisation, and you don't see that." in text
    assert "Paused: you don't see the numbers of this team any more." in text
    assert "Had been Bert's" not in text
    assert text.count("A team you don't see") == 1
    assert len(ENDING.findall(text)) == 2


async def test_mail_me_weekly_keeps_the_hour_and_the_form_chosen_before(
    api: Any, bert: dict[str, str]
) -> None:
    await posted(api, "/reports/mails", bert, **WEEKLY, hour="9", form="pdf")
    await posted(api, "/reports/mails", bert, **WEEKLY, team="")
    [line] = re.findall(r"<tbody>(.*?)</tbody>", await page_of(api, "/reports/mails", bert), re.DOTALL)
    assert "09:00" in line
    assert "PDF" in line
    await posted(api, "/reports/mails", bert, **WEEKLY, form="csv", hour="9")
    assert "CSV" in await page_of(api, "/reports/mails", bert)


async def test_what_is_of_the_whole_organisation_is_mailed_of_no_team_and_shown_whatever_team_was_chosen(
    api: Any, house: Any
) -> None:
    """Who chose a team and then this report sees it; a subscription that never came would be a promise."""
    account = Account(house.tenant_id, house.people["ada"].id)
    with house.portal.transaction(house.tenant_id) as connection:
        identities.set_email(connection, account, "ada.reports@bakery.example")
        identities.prove_email(connection, account, now=NOW)
    ada = house.signed_in(house.people["ada"])
    team_id = directory.add_team(house.portal, house.tenant_id, "Whole or not", now=NOW)
    shown = await page_of(api, f"/reports/completeness?{NOVEMBER}&team={team_id}", ada)
    assert "Whole or not" not in shown
    whole = {**WEEKLY, "report": "completeness", "hour": "11", "form": "pdf", "team": team_id}
    answer = await posted(api, "/reports/mails", ada, **whole)
    text = html.unescape(await answer.text())
    assert answer.status == 400
    assert "Choose no team." in text
    for value in ("completeness", team_id, "11", "pdf"):
        assert f'<option value="{value}" selected>' in text
    gone = await posted(api, "/reports/mails", ada, **{**WEEKLY, "team": house.tenant_id})
    assert gone.status == 400
    assert "Choose from the lists" in await gone.text()
    teams.remove(house.portal, house.tenant_id, team_id)
    assert "No report comes by mail" in await page_of(api, "/reports/mails", ada)


@pytest.mark.parametrize(
    "wrong",
    [
        {"report": "everything"},
        {"frequency": "hourly"},
        {"hour": "24"},
        {"hour": "x"},
        {"form": "exe"},
        {"team": "x"},
        {"report": "completeness"},
    ],
)
async def test_what_stands_in_no_list_is_not_mailed(
    api: Any, bert: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = await posted(api, "/reports/mails", bert, **{**WEEKLY, **wrong})
    assert answer.status == 400
    assert "No report comes by mail" in await page_of(api, "/reports/mails", bert)


async def test_nothing_is_promised_without_a_proved_address_or_a_mail_server(
    api: Any, bert: dict[str, str]
) -> None:
    anna = api.house.signed_in(api.house.people["anna"])
    answer = await posted(api, "/reports/mails", anna, **WEEKLY)
    assert answer.status == 409
    assert "There is no address of yours that you proved" in await answer.text()
    async with TestClient(TestServer(create_app(api.house.services(post=NoPost())))) as client:
        headers = {"Accept-Language": "en", **bert}
        answer = await client.post("/reports/mails", data=WEEKLY, headers=headers, allow_redirects=False)
        assert answer.status == 409
        assert "No mail is sent from here" in await answer.text()
    assert "No report comes by mail" in await page_of(api, "/reports/mails", bert)


async def test_one_ends_ones_own_mails_alone_and_a_program_has_none(api: Any, bert: dict[str, str]) -> None:
    await posted(api, "/reports/mails", bert, **WEEKLY)
    [ending] = ENDING.findall(await page_of(api, "/reports/mails", bert))
    assert (await posted(api, ending, api.house.signed_in(api.house.people["anna"]))).status == 404
    program = {"Authorization": f"Bearer {api.house.keys['all']}"}
    assert (await posted(api, ending, program)).status == 403
    assert (await posted(api, "/reports/mails", program, **WEEKLY)).status == 409
    assert ENDING.findall(await page_of(api, "/reports/mails", bert)) == [ending]
