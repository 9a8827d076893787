"""A file of people through the API: a result per row, and an audit entry per person."""

from __future__ import annotations

import io
from typing import Any

import pytest

from archive.catalogue import directory
from playback_portal import imports

CSV = {"Content-Type": "text/csv"}


async def send(office: Any, text: str | bytes, **options: Any) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return await office.send("POST", "/v1/users/imports", data=data, headers=CSV, **options)


async def test_each_row_is_added_changed_or_refused_with_its_reason(office: Any) -> None:
    domain = office.tenant.domain
    answer = await send(
        office,
        "\ufefflogin,number,licence,mode,own-modes\r\n"
        f"Bert@{domain},020-1234570 101,90d,always-pause,always-pause on-demand\r\n"
        f"carl@{domain},,,sometimes,\r\n"
        f"dora@elsewhere.example,,,,\r\n"
        f"anna,,90d,,\r\n"
        f"anna@{domain},,365d,,none\r\n"
        f"bert@{domain},,,never,,one too many\r\n",
    )
    page = await office.told(answer, "ImportResultPage", 200)
    assert [each["result"] for each in page["items"]] == [
        "added",
        "refused",
        "refused",
        "refused",
        "changed",
        "refused",
    ]
    assert [each["line"] for each in page["items"]] == [2, 3, 4, 5, 6, 7]
    reasons = [each["reason"] for each in page["items"]]
    for reason, part in zip(
        reasons, (None, "sometimes", domain, "LOGIN@DOMAIN", None, "heading"), strict=True
    ):
        assert reason is None if part is None else part in reason
    anna, bert, _ = directory.list_users(office.house.portal, office.tenant.id)
    assert (str(bert.mode), [str(each) for each in bert.own_modes]) == (
        "always-pause",
        ["always-pause", "on-demand"],
    )
    assert str(anna.licence) == "365d"
    assert office.events(f"user:{bert.id}") == [("user.added", "ok")]
    assert office.log(f"user:{anna.id}")[0].body["changed"]["licence"] == {"from": "7y-1000", "to": "365d"}
    assert office.log("users")[-1].body["rows"] == {"added": 1, "changed": 1, "refused": 4}


async def test_an_administrator_does_not_change_their_own_role_by_a_file_either(office: Any) -> None:
    answer = await send(office, f"login,role\nboss@{office.tenant.domain},user\n", key="boss")
    (result,) = (await office.told(answer, "ImportResultPage", 200))["items"]
    assert "own role" in result["reason"]


@pytest.mark.parametrize(
    "content", [b"", b"name,age\nx,1\n", b"\xff\xfe", b'login\n"anna', b"login\n" + b"a\n" * 2001]
)
async def test_what_is_no_file_of_people_is_a_fault_of_the_request(office: Any, content: bytes) -> None:
    problem = await office.problem(await send(office, content), 400)
    assert problem["errors"][0]["parameter"] == "/"


async def test_a_file_at_the_limit_is_read(office: Any) -> None:
    page = await office.told(
        await send(office, "login\n" + "a\n" * imports.ROWS_MAX), "ImportResultPage", 200
    )
    assert len(page["items"]) == imports.ROWS_MAX


async def test_another_media_type_or_a_file_too_large_is_refused(office: Any) -> None:
    await office.problem(await office.send("POST", "/v1/users/imports", {"login": "bert"}), 415)
    large = io.BytesIO(b"login\n" + b"x" * 1_100_000)
    answer = await office.send("POST", "/v1/users/imports", data=large, headers=CSV)
    await office.problem(answer, 413)
