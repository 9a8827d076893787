"""Numbers that are not recorded, through the API; the floor list is shown and stays."""

from __future__ import annotations

from typing import Any

import pytest

from archive.catalogue import do_not_record, exempt_numbers
from archive.errors import Conflict
from archive.numbers import FLOOR


async def test_a_number_goes_on_the_do_not_record_list_and_off_it(office: Any) -> None:
    body = {"numbers": "020 123 4500", "reason": "works council"}
    answer = await office.send("POST", "/v1/do-not-record", body)
    made = await office.told(answer, "DoNotRecordEntry", 201)
    assert (made["numbers"], made["reason"]) == ("+31201234500", "works council")
    location = answer.headers["Location"]
    assert location == f"/v1/do-not-record/{made['id']}"
    assert (await office.read("/v1/do-not-record", "DoNotRecordPage"))["items"] == [made]
    await office.problem(await office.send("POST", "/v1/do-not-record", body), 409)
    assert (await office.send("DELETE", location)).status == 204
    assert (await office.read("/v1/do-not-record", "DoNotRecordPage"))["items"] == []
    await office.problem(await office.send("DELETE", location), 404)
    assert office.events(f"do-not-record:{made['id']}") == [
        ("do-not-record.added", "ok"),
        ("do-not-record.removed", "ok"),
    ]
    assert "201234500" not in str(office.log(f"do-not-record:{made['id']}"))


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/numbers", "/reason"}),
        ({"numbers": "", "reason": " "}, {"/numbers", "/reason"}),
        ({"numbers": ["1"], "reason": "r"}, {"/numbers"}),
        ({"numbers": "nobody", "reason": "r"}, {"/"}),
    ],
)
async def test_what_is_wrong_is_told(office: Any, body: Any, pointers: set[str]) -> None:
    problem = await office.problem(await office.send("POST", "/v1/do-not-record", body), 400)
    assert {each["parameter"] for each in problem["errors"]} == pointers


async def test_the_floor_list_is_shown_first_and_can_not_be_shortened(office: Any) -> None:
    page = await office.read("/v1/exempt-numbers", "ExemptNumberPage")
    floor = [each for each in page["items"] if each["origin"] == "floor"]
    assert [each["number"] for each in floor][: len(FLOOR)] == list(FLOOR)
    assert not any(each["removable"] for each in floor)
    for number in (*FLOOR, "0800-0113", "urn:service:sos"):
        answer = await office.send("DELETE", f"/v1/exempt-numbers/{number}")
        assert "can't be shortened" in (await office.problem(answer, 403))["detail"]
    assert office.events("exempt-number:floor") == [("exempt-number.removed", "refused")] * (len(FLOOR) + 2)
    assert await office.read("/v1/exempt-numbers", "ExemptNumberPage") == page


async def test_a_tenant_adds_exempt_numbers_and_removes_only_its_own(office: Any) -> None:
    answer = await office.send("POST", "/v1/exempt-numbers", {"number": "0900 1234"})
    made = await office.told(answer, "ExemptNumber", 201)
    assert (made["origin"], made["removable"]) == ("tenant", True)
    try:
        theirs = exempt_numbers.add(office.house.operator, None, "116117", now=office.now)
        page = await office.read("/v1/exempt-numbers", "ExemptNumberPage")
        operators = next(each for each in page["items"] if each["origin"] == "operator")
        assert (operators["number"], operators["removable"]) == ("116117", False)
        refused = await office.send("DELETE", f"/v1/exempt-numbers/{theirs.id}")
        assert "operator" in (await office.problem(refused, 403))["detail"]
        assert office.events(f"exempt-number:{theirs.id}") == [("exempt-number.removed", "refused")]
    finally:
        exempt_numbers.remove(office.house.operator, None, "116117")
    assert (await office.send("DELETE", answer.headers["Location"])).status == 204
    await office.problem(await office.send("DELETE", answer.headers["Location"]), 404)
    assert "9001234" not in str(office.log(f"exempt-number:{made['id']}"))


@pytest.mark.parametrize("number", ["112", "0900-0113", "x", "1"])
async def test_what_is_exempt_already_or_no_number_is_not_added(office: Any, number: str) -> None:
    await office.problem(await office.send("POST", "/v1/exempt-numbers", {"number": number}), 400)


async def test_a_number_of_a_person_is_not_made_exempt(office: Any) -> None:
    body = {"number": office.anna.numbers[0]}
    await office.problem(await office.send("POST", "/v1/exempt-numbers", body), 409)
    with pytest.raises(Conflict):
        exempt_numbers.add(office.house.portal, office.tenant.id, body["number"], now=office.now)


async def test_entries_of_another_tenant_are_not_found(office: Any) -> None:
    house = office.house
    entry = do_not_record.add(house.operator, house.tenant_id, "+31201239999", "doctor", now=office.now)
    try:
        for text in (entry.id, "0", "a%00b"):
            assert (await office.send("DELETE", f"/v1/do-not-record/{text}")).status == 404
            assert (await office.send("DELETE", f"/v1/exempt-numbers/{text}")).status == 404
    finally:
        do_not_record.remove(house.operator, house.tenant_id, entry.id)
