"""Numbers of a person on their page: one more, one less, and whose it is if not theirs."""

from __future__ import annotations

from typing import Any

import pytest

from archive.catalogue import directory
from archive.model import User

HX = {"HX-Request": "true"}


@pytest.fixture
def bert(office: Any) -> User:
    user: User = directory.add_user(
        office.house.operator, office.tenant.id, "bert", now=office.now, numbers=["+31201234580-589"]
    )
    return user


async def swapped(office: Any, user: User, path: str, number: str, status: int = 200) -> str:
    headers = {**office.signed_in(office.boss), **HX, "Accept-Language": "en"}
    answer = await office.client.post(
        f"/admin/users/{user.id}/{path}", data={"number": number}, headers=headers
    )
    text: str = await answer.text()
    assert answer.status == status, text
    return text


def numbers_of(office: Any, user: User) -> tuple[str, ...]:
    found: tuple[str, ...] = directory.user_by_id(office.house.portal, office.tenant.id, user.id).numbers
    return found


async def test_a_number_and_a_range_are_added_and_taken_away_again(office: Any) -> None:
    anna = office.anna
    text = await swapped(office, anna, "numbers", "020 123 4570")
    assert numbers_of(office, anna) == ("+31201234567", "+31201234570")
    assert f'hx-post="/admin/users/{anna.id}/numbers/removals"' in text
    assert "data-toast" in text
    await swapped(office, anna, "numbers", "+31201234600-619")
    assert "+31201234600-+31201234619" in numbers_of(office, anna)
    text = await swapped(office, anna, "numbers/removals", "+31201234600-+31201234619")
    assert "is free." in text
    await swapped(office, anna, "numbers/removals", "+31201234570")
    assert numbers_of(office, anna) == ("+31201234567",)
    # What is not there is taken away already.
    await swapped(office, anna, "numbers/removals", "+31201234570")
    told = office.log(f"user:{anna.id}")
    assert {each.action for each in told} == {"user.changed"}
    assert told[0].body["changed"] == {"numbers": "changed"}
    assert "1234570" not in str([each.body for each in told])


@pytest.mark.parametrize("number", ["+31201234585", "+31201234570-599", "+31201234580-589"])
async def test_a_number_of_somebody_else_is_told_by_name(office: Any, bert: User, number: str) -> None:
    text = await swapped(office, office.anna, "numbers", number, status=409)
    assert "belongs to bert already." in text
    assert numbers_of(office, office.anna) == ("+31201234567",)
    assert numbers_of(office, bert) == ("+31201234580-+31201234589",)
    assert office.events(f"user:{office.anna.id}") == [("user.changed", "refused")]


async def test_what_is_no_number_or_can_not_be_given_is_told(office: Any) -> None:
    for number in ("", "x", "112", "+31201234599-500"):
        text = await swapped(office, office.anna, "numbers", number, status=400)
        assert 'aria-invalid="true"' in text
    assert "among these numbers already" in await swapped(
        office, office.anna, "numbers", "+31201234560-569", status=409
    )
    answer = await office.posted("boss", f"/admin/users/{office.anna.id}/numbers", number="101")
    assert (answer.status, answer.headers["Location"]) == (303, f"/admin/users/{office.anna.id}")
    assert (await office.posted("boss", f"/admin/users/{office.anna.id}/numbers", number="x")).status == 400
