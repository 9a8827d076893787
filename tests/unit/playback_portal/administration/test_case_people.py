"""Who is admitted to a case hears what it holds, for the time of the case, and each step stands in the log."""

from __future__ import annotations

from typing import Any

import pytest

from archive.catalogue import case_people, directory
from archive.model import Role
from tests.unit.playback_portal.administration.conftest import NOTHING
from tests.unit.playback_portal.administration.test_case_pages import case_of

pytestmark = pytest.mark.usefixtures("deferred", "ella")


@pytest.fixture(autouse=True)
def guest(office: Any) -> Any:
    """Somebody who hears nothing by themselves."""
    guest = directory.add_user(
        office.house.operator, office.tenant.id, "guest", now=office.now, access="none"
    )
    office.people["guest"] = guest
    return guest


async def case_with(office: Any, *recordings: Any) -> str:
    path = await case_of(office)
    for recording in recordings:
        await office.posted("ella", f"{path}/recordings", recording=recording.id)
    return path.removeprefix("/cases/")


async def status(office: Any, recording: Any, who: str = "guest") -> int:
    answer = await office.as_person(who, "GET", f"/v1/recordings/{recording.id}")
    return int(answer.status)


async def test_an_admitted_person_finds_and_opens_what_the_case_holds_and_nothing_else(
    office: Any, guest: Any
) -> None:
    held, other = office.stored(), office.stored()
    case = await case_with(office, held)
    assert await status(office, held) == 404
    answer = await office.as_person("ella", "POST", f"/v1/cases/{case}/people", {"userId": guest.id})
    told = await office.told(answer, "Case", 201)
    assert [each["userId"] for each in told["people"]] == [guest.id]
    assert [await status(office, each) for each in (held, other)] == [200, 404]
    listed = await (await office.as_person("guest", "GET", "/v1/recordings")).json()
    assert [each["id"] for each in listed["items"]] == [held.id]
    listed = await (await office.as_person("guest", "GET", f"/v1/recordings?case={case}")).json()
    assert [each["id"] for each in listed["items"]] == [held.id]
    assert office.events(f"case:{case}")[-1] == ("case.person-admitted", "ok")
    assert office.log(f"case:{case}")[-1].body["user"] == guest.id
    # What they open stands in the log of the recording, as for everybody.
    assert office.log(f"recording:{held.id}")[-1].actor == f"user:{guest.id}"
    page = await office.opened("guest", f"/recordings?case={case}&sort=-start")
    assert "Zaken die je mag horen" in page
    assert "Zaak: Jansen / 2026" in page
    # The case itself, who is in it and why, is not theirs to see.
    await office.opened("guest", f"/cases/{case}", 403)
    page = await office.opened("guest", f"/recordings/{held.id}")
    assert "Jansen / 2026" not in page


async def test_an_admission_ends_with_the_case_or_when_the_person_is_taken_off(
    office: Any, guest: Any
) -> None:
    held = office.stored()
    case = await case_with(office, held)
    people = f"/v1/cases/{case}/people"
    await office.as_person("ella", "POST", people, {"userId": guest.id})
    assert (await office.as_person("ella", "DELETE", f"{people}/{guest.id}")).status == 204
    assert await status(office, held) == 404
    assert (await office.as_person("ella", "DELETE", f"{people}/{guest.id}")).status == 404
    await office.as_person("ella", "POST", people, {"userId": guest.id})
    assert await status(office, held) == 200
    await office.posted("ella", f"/cases/{case}/release", reason="Geschikt")
    assert await status(office, held) == 200
    assert (await office.posted("boss", f"/cases/{case}/approval")).status == 303
    assert await status(office, held) == 404
    late = await office.as_person("ella", "POST", people, {"userId": guest.id})
    await office.problem(late, 409)
    assert [each for each in office.events(f"case:{case}") if "person" in each[0]] == [
        ("case.person-admitted", "ok"),
        ("case.person-removed", "ok"),
        ("case.person-admitted", "ok"),
        ("case.person-admitted", "refused"),
    ]


async def test_a_recording_that_another_case_goes_on_holding_is_no_longer_heard_by_the_released_one(
    office: Any, guest: Any
) -> None:
    held = office.stored()
    case, other = await case_with(office, held), await case_with(office, held)
    await office.as_person("ella", "POST", f"/v1/cases/{case}/people", {"userId": guest.id})
    await office.posted("ella", f"/cases/{case}/release", reason="Geschikt")
    await office.posted("boss", f"/cases/{case}/approval")
    assert (await office.read(f"/v1/recordings/{held.id}", "Recording", key="holder"))["onHold"]
    assert await status(office, held) == 404
    await office.as_person("ella", "POST", f"/v1/cases/{other}/people", {"userId": guest.id})
    assert await status(office, held) == 200


async def test_nobody_but_an_auditor_who_signed_in_admits(office: Any, guest: Any) -> None:
    """An administrator could otherwise let anybody hear anything: hold it, and admit them."""
    held = office.stored()
    case = await case_with(office, held)
    people, body = f"/v1/cases/{case}/people", {"userId": guest.id}
    await office.problem(await office.as_person("boss", "POST", people, body), 403)
    for key in ("holder", "boss", "ella"):
        await office.problem(await office.send("POST", people, body, key=key), 403)
        await office.problem(await office.send("DELETE", f"{people}/{guest.id}", key=key), 403)
    answer = await office.posted("boss", f"/cases/{case}/people", person="guest")
    assert answer.status == 409
    assert await status(office, held) == 404
    page = await office.opened("boss", f"/cases/{case}")
    assert "Een auditor beslist daarover" in page


async def test_people_are_admitted_and_taken_off_on_the_page(office: Any, guest: Any) -> None:
    held = office.stored()
    case = await case_with(office, held)
    answer = await office.posted("ella", f"/cases/{case}/people", person="nobody")
    assert (answer.status, "Niemand heeft deze inlognaam" in await answer.text()) == (409, True)
    assert (await office.posted("ella", f"/cases/{case}/people", person="Guest")).status == 303
    assert await status(office, held) == 200
    page = await office.opened("ella", f"/cases/{case}")
    assert f"/people/{guest.id}/removal" in page
    assert (await office.posted("ella", f"/cases/{case}/people/{guest.id}/removal")).status == 303
    assert await status(office, held) == 404
    assert (await office.posted("ella", f"/cases/{case}/people/{guest.id}/removal")).status == 409


async def test_who_is_admitted_while_a_search_is_held_hears_it_at_once(office: Any, guest: Any) -> None:
    held = office.stored()
    form = {"search": "sort=-start", "name": "Alles", "reason": "Claim", "hears": guest.id}
    assert "guest" in await office.opened("ella", "/holds/new?search=sort%3D-start")
    assert (await office.posted("ella", "/holds", **form)).status == 303
    assert await status(office, held) == 200


async def test_the_page_of_a_recording_tells_that_somebody_hears_it_by_a_case(
    office: Any, guest: Any
) -> None:
    held = office.stored()
    case = await case_with(office, held)
    await office.as_person("ella", "POST", f"/v1/cases/{case}/people", {"userId": guest.id})
    page = await office.opened("ella", f"/recordings/{held.id}/access")
    assert "Toegelaten tot een zaak" in page
    assert "guest" in page


async def test_a_case_admits_so_many_people_and_no_more(
    office: Any, guest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_people, "PEOPLE_COUNT_MAX", 1)
    case = await case_with(office, office.stored())
    people = f"/v1/cases/{case}/people"
    another = directory.add_user(
        office.house.operator, office.tenant.id, "another", now=office.now, role=Role.ADMINISTRATOR
    )
    assert (await office.as_person("ella", "POST", people, {"userId": guest.id})).status == 201
    assert (await office.as_person("ella", "POST", people, {"userId": guest.id})).status == 201
    await office.problem(await office.as_person("ella", "POST", people, {"userId": another.id}), 403)
    for body, refused in (({"userId": NOTHING}, 404), ({}, 400), ({"userId": 1}, 400)):
        await office.problem(await office.as_person("ella", "POST", people, body), refused)


async def test_later_calls_of_a_person_come_into_a_case_by_their_sign_in_name(office: Any) -> None:
    case = await case_with(office)
    assert (await office.posted("ella", f"/cases/{case}/rules", number="anna")).status == 303
    held = office.stored(owner=office.anna.id)
    assert (await office.read(f"/v1/recordings/{held.id}", "Recording", key="holder"))["onHold"]
    page = await office.opened("ella", f"/cases/{case}")
    assert "<span>anna</span>" in page
    # An auditor sees whom the call was with.
    assert f'href="/recordings/{held.id}"' in page
    assert "Jansen, M." in page


async def test_who_hears_a_person_names_those_whom_a_case_admits(office: Any, guest: Any) -> None:
    """Only while the case holds something of that person, and only as long as they are admitted."""
    held, of_nobody = office.stored(owner=office.anna.id), office.stored()
    case = await case_with(office, of_nobody)
    people = f"/v1/cases/{case}/people"
    await office.as_person("ella", "POST", people, {"userId": guest.id})

    async def named() -> list[str]:
        page = await office.read(f"/v1/users/{office.anna.id}/access", "HearerPage")
        return [each["name"] for each in page["items"] if each["reason"] == "case"]

    assert await named() == []
    await office.posted("ella", f"/cases/{case}/recordings", recording=held.id)
    assert await status(office, held) == 200
    assert await named() == ["guest"]
    shown = await office.opened("boss", f"/admin/users/{office.anna.id}", language="en")
    row = shown.partition(">guest</a>")[2].partition("</tr>")[0]
    assert "Admitted to a case" in row
    assert "what the case holds" in row
    await office.as_person("ella", "DELETE", f"{people}/{guest.id}")
    assert await named() == []
    assert await status(office, held) == 404


@pytest.mark.parametrize("rule", ["anna", "+31687654321"])
async def test_who_would_hear_a_call_names_those_whom_a_case_admits_that_takes_it_in(
    office: Any, guest: Any, rule: str
) -> None:
    case = await case_with(office)
    await office.as_person("ella", "POST", f"/v1/cases/{case}/people", {"userId": guest.id})

    async def told(caller: str) -> str:
        headers = {**office.signed_in(office.people["boss"]), "Accept-Language": "en"}
        form = {"caller": caller, "callee": "anna"}
        answer = await office.client.post("/admin/what-if", data=form, headers=headers)
        text = await answer.text()
        return text.partition("Who can hear it")[2].partition("</dd>")[0]

    assert "guest" not in await told("+31687654321")
    assert (await office.posted("ella", f"/cases/{case}/rules", number=rule)).status == 303
    assert "guest" in await told("06-87654321")
    assert ("guest" in await told("+31611111111")) == (rule == "anna")
