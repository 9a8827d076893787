"""The page of numbers that are not recorded: for everybody and for one person, and what is exempt anyway."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from archive.catalogue import do_not_record, exempt_numbers
from archive.numbers import FLOOR

PAGE = "/admin/do-not-record"
HX = {"HX-Request": "true"}


def listed(office: Any) -> list[Any]:
    return do_not_record.entries(office.house.portal, office.tenant.id)


async def test_a_number_goes_on_the_list_and_off_it_and_the_notice_puts_it_back(office: Any) -> None:
    assert "Er staat geen nummer op de lijst" in await office.opened("boss", PAGE)
    answer = await office.posted("boss", PAGE, numbers="010-7000300", reason="bedrijfsarts", login="")
    assert (answer.status, answer.headers["Location"]) == (303, PAGE)
    (entry,) = listed(office)
    assert (entry.numbers, entry.reason, entry.user_id) == ("+31107000300", "bedrijfsarts", None)
    page = await office.opened("boss", PAGE)
    assert "010 700 03 00" in page.replace("\xa0", " ")
    assert "bedrijfsarts" in page
    headers = {**office.signed_in(office.boss), **HX, "Accept-Language": "en"}
    removed = await office.client.post(f"{PAGE}/{entry.id}/removal", headers=headers)
    assert removed.status == 200
    assert listed(office) == []
    (vals,) = re.findall(r"hx-vals='([^']+)'", await removed.text())
    assert '"numbers": "+31107000300"' in html.unescape(vals)
    form = {"numbers": entry.numbers, "reason": entry.reason, "login": ""}
    back = await office.client.post(PAGE, data=form, headers=headers)
    assert (back.status, [each.numbers for each in listed(office)]) == (200, [entry.numbers])
    again = await office.client.post(PAGE, data=form, headers=headers)
    assert again.status == 409
    assert office.events(f"do-not-record:{entry.id}") == [
        ("do-not-record.added", "ok"),
        ("do-not-record.removed", "ok"),
    ]
    assert "7000300" not in str(office.log(f"do-not-record:{entry.id}"))


async def test_a_number_is_excluded_for_one_person(office: Any) -> None:
    address = f"Anna@{office.tenant.domain}"
    form = {"numbers": "+31107000300-399", "reason": "advocaat"}
    assert (await office.posted("boss", PAGE, login=address, **form)).status == 303
    (entry,) = listed(office)
    assert entry.user_id == office.anna.id
    page = await office.opened("boss", PAGE)
    assert f'href="/admin/users/{office.anna.id}"' in page
    assert office.log(f"do-not-record:{entry.id}")[-1].body["userId"] == office.anna.id
    headers = {**office.signed_in(office.boss), **HX}
    removed = await office.client.post(f"{PAGE}/{entry.id}/removal", headers=headers)
    assert '"login": "anna"' in html.unescape(await removed.text())
    assert (await office.posted("boss", f"{PAGE}/{entry.id}/removal")).status == 404


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({"numbers": "niets", "reason": "x"}, 400, "geen nummer"),
        ({"numbers": "1" * 300, "reason": "x"}, 400, "geen nummer"),
        ({"numbers": "112", "reason": "x"}, 400, "nooit iets bewaard"),
        ({"numbers": "0800 0113", "reason": "x"}, 400, "nooit iets bewaard"),
        ({"numbers": "0107000300", "reason": " "}, 400, "Zeg waarom"),
        ({"numbers": "0107000300", "reason": "om\u202egedraaid"}, 400, "Zeg waarom"),
        ({"numbers": "0107000300", "reason": "x", "login": "niemand"}, 400, "Niemand"),
        ({"numbers": "0107000300", "reason": "x", "login": "anna@elders.example"}, 400, "Niemand"),
        ({}, 400, "geen nummer"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field_and_nothing_is_added(
    office: Any, form: dict[str, str], status: int, told: str
) -> None:
    answer = await office.posted("boss", PAGE, **form)
    page = html.unescape(await answer.text())
    assert answer.status == status, page
    (error,) = re.findall(r'<p class="error"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert told in error
    assert listed(office) == []


async def test_a_number_that_is_there_and_a_list_that_is_full_are_told(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"numbers": "0107000300", "reason": "x"}
    assert (await office.posted("boss", PAGE, **form)).status == 303
    answer = await office.posted("boss", PAGE, **form)
    assert (answer.status, "staat al op deze lijst" in await answer.text()) == (409, True)
    monkeypatch.setattr(do_not_record, "ENTRIES_PER_TENANT_MAX", 1)
    answer = await office.posted("boss", PAGE, numbers="0107000301", reason="x")
    assert (answer.status, "vol" in await answer.text()) == (400, True)


async def test_what_is_exempt_is_shown_and_what_the_tenant_added_alone_has_a_button(office: Any) -> None:
    """The operator's additions and the tenant's own too; of no call with them anything is told."""
    exempt_numbers.add(office.house.operator, office.tenant.id, "0900-1234", now=office.now)
    page = await office.opened("boss", PAGE)
    always = page.partition('id="excluded"')[2]
    for number in FLOOR[:2]:
        assert re.search(rf">{number}</span>", always)
    assert "0900 1234" in always.replace("\xa0", " ")
    assert "urn:service:sos" in always
    shown = always.partition("</section>")[0].partition("<tbody>")[2]
    assert [row.count("<button") for row in shown.split("</tr>") if "<tr>" in row][-1] == 1
    assert shown.count("<button") == 1


async def test_the_list_is_for_administrators(office: Any) -> None:
    await office.opened("anna", PAGE, 403)
    assert (await office.posted("anna", PAGE, numbers="0107000300", reason="x")).status == 403
    assert listed(office) == []


async def test_the_api_knows_whose_an_entry_is(office: Any) -> None:
    body = {"numbers": "0107000300", "reason": "arts", "userId": office.anna.id}
    made = await office.told(await office.send("POST", "/v1/do-not-record", body), "DoNotRecordEntry", 201)
    assert made["userId"] == office.anna.id
    assert (await office.read("/v1/do-not-record", "DoNotRecordPage"))["items"] == [made]
    of_all = {**body, "userId": None}
    told = await office.told(await office.send("POST", "/v1/do-not-record", of_all), "DoNotRecordEntry", 201)
    assert told["userId"] is None
    for nobody in ("x", "00000000-0000-7000-8000-000000000000"):
        wrong = {**body, "numbers": "0107000301", "userId": nobody}
        problem = await office.problem(await office.send("POST", "/v1/do-not-record", wrong), 400)
        assert [each["parameter"] for each in problem["errors"]] == ["/userId"]


async def test_a_number_is_excluded_always_and_recorded_again_by_the_page(office: Any) -> None:
    def added() -> list[Any]:
        return exempt_numbers.entries(office.house.portal, office.tenant.id)

    before = len(added())
    answer = await office.posted("boss", f"{PAGE}/exempt", number="116 117")
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}#excluded")
    (entry,) = [each for each in added() if not each.operators]
    assert entry.number == "116117"
    assert f"/exempt/{entry.id}/removal" in await office.opened("boss", PAGE)
    again = await office.posted("boss", f"{PAGE}/exempt", number="116117")
    assert again.status == 409
    assert "al uitgesloten" in await again.text()
    assert (await office.posted("boss", f"{PAGE}/exempt/{entry.id}/removal")).status == 303
    assert len(added()) == before
    assert [each for each in office.events(f"exempt-number:{entry.id}") if each[1] == "ok"] == [
        ("exempt-number.added", "ok"),
        ("exempt-number.removed", "ok"),
    ]
    assert "116117" not in str(office.log(f"exempt-number:{entry.id}"))


@pytest.mark.parametrize("number", ["112", "+318000113", "", "x", "+31201234500-599", "1" * 300])
async def test_what_is_no_number_to_exclude_is_told(office: Any, number: str) -> None:
    answer = await office.posted("boss", f"{PAGE}/exempt", number=number)
    assert answer.status == 400
    assert 'aria-invalid="true"' in await answer.text()


async def test_what_the_operator_excluded_stays(office: Any) -> None:
    now = office.now
    made = exempt_numbers.add(office.house.operator, None, "116118", now=now)
    try:
        assert f"/exempt/{made.id}/" not in await office.opened("boss", PAGE)
        assert (await office.posted("boss", f"{PAGE}/exempt/{made.id}/removal")).status in {403, 404}
        assert made.id in [each.id for each in exempt_numbers.entries(office.house.portal, office.tenant.id)]
    finally:
        exempt_numbers.remove(office.house.operator, None, made.number)
