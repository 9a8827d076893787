"""Cases over the API: a hold is in force when it is acknowledged, and two people end it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive import jobs
from archive.catalogue import destructions
from archive.errors import CatalogueUnavailable
from archive.model import RecordingState
from playback_portal.app import create_app
from playback_portal.cases import IDS_COUNT_MAX
from tests.unit.playback_portal.administration.conftest import NOTHING

pytestmark = pytest.mark.usefixtures("deferred", "ella")


async def test_one_recording_is_held_at_once_and_the_store_follows(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    recording = office.stored()
    path = f"/v1/recordings/{recording.id}/holds"
    answer = await office.send("POST", path, {"reason": "A claim"}, key="holder")
    case = await office.told(answer, "Case", 201)
    assert (case["state"], case["recordings"], case["heldByStore"]) == ("holding", 1, 0)
    assert answer.headers["Location"] == f"/v1/cases/{case['id']}"
    assert await office.holds(recording)
    assert deferred == [("retention.store_holds", {"tenant_id": office.tenant.id})]
    assert ("recording.held", "ok") in office.events(f"recording:{recording.id}")
    page = await office.read(path, "CasePage", key="holder")
    assert [each["id"] for each in page["items"]] == [case["id"]]
    again = await office.send("POST", path, {"caseId": case["id"]}, key="boss")
    assert (await office.told(again, "Case", 201))["recordings"] == 1


async def test_a_hold_is_acknowledged_although_no_job_can_be_handed_over(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the workers finds it."""

    def away(*arguments: str, **more: str) -> bool:
        raise CatalogueUnavailable("away")

    monkeypatch.setattr(jobs, "defer", away)
    recording = office.stored()
    answer = await office.send("POST", f"/v1/recordings/{recording.id}/holds", {"reason": "x"}, key="boss")
    assert answer.status == 201
    assert await office.holds(recording)


async def test_r2_what_is_being_destroyed_answers_409_and_is_not_held(office: Any) -> None:
    recording = office.stored(state=RecordingState.DELETING)
    path = f"/v1/recordings/{recording.id}/holds"
    problem = await office.problem(await office.send("POST", path, {"reason": "x"}, key="holder"), 409)
    assert "is being destroyed" in problem["detail"]
    assert not await office.holds(recording)
    assert (await office.read("/v1/cases", "CasePage", key="holder"))["items"] == []
    assert ("recording.held", "refused") in office.events(f"recording:{recording.id}")
    body = {"name": "Case", "reason": "x", "recordingIds": [recording.id]}
    case = await office.told(await office.send("POST", "/v1/cases", body, key="holder"), "OpenedCase", 201)
    assert case["added"] == {"held": 0, "beingDestroyed": [recording.id]}


async def test_a_call_nobody_kept_can_be_held_by_nobody(office: Any) -> None:
    for state in (RecordingState.UNKEPT, RecordingState.GRACE):
        recording = office.stored(state=state)
        path = f"/v1/recordings/{recording.id}/holds"
        await office.problem(await office.send("POST", path, {"reason": "x"}, key="holder"), 404)


async def test_a_case_is_opened_with_what_a_search_finds_and_filled_later(office: Any) -> None:
    first, second = office.stored(), office.stored()
    body = {"name": "Jansen / 2026", "reason": "A claim", "search": "q=nothing-has-this"}
    answer = await office.send("POST", "/v1/cases", body, key="ella")
    case = await office.told(answer, "OpenedCase", 201)
    assert case["added"]["held"] == 0
    path = f"/v1/cases/{case['id']}"
    added = await office.send("POST", f"{path}/recordings", {"search": ""}, key="ella")
    assert (await office.told(added, "FilledCase", 201))["added"]["held"] == 2
    page = await office.read(f"{path}/recordings", "CaseRecordingPage", key="boss")
    assert {each["recordingId"] for each in page["items"]} == {first.id, second.id}
    assert (await office.read(path, "Case", key="boss"))["recordings"] == 2
    assert ("case.filled", "ok") in office.events(f"case:{case['id']}")
    refused = await office.send("POST", f"{path}/recordings", {"search": ""}, key="boss")
    await office.problem(refused, 403)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "", "reason": "x"},
        {"name": "x", "reason": "x", "recordingIds": ["../x"]},
        {"name": "x", "reason": "x", "recordingIds": [NOTHING] * (IDS_COUNT_MAX + 1)},
        {"name": "x", "reason": "x", "search": "minDuration=x"},
        {"name": "x", "reason": "x", "more": 1},
    ],
)
async def test_what_is_no_case_is_refused_and_told(office: Any, body: dict[str, Any]) -> None:
    problem = await office.problem(await office.send("POST", "/v1/cases", body, key="holder"), 400)
    assert problem["errors"]


async def test_later_calls_come_into_a_case_by_rule(office: Any) -> None:
    body = {"name": "Case", "reason": "x"}
    case = await (await office.send("POST", "/v1/cases", body, key="holder")).json()
    rules = f"/v1/cases/{case['id']}/rules"
    told = await office.told(
        await office.send("POST", rules, {"userId": office.anna.id}, key="holder"), "Case", 201
    )
    assert [(rule["userId"], rule["number"]) for rule in told["rules"]] == [(office.anna.id, None)]
    await office.problem(await office.send("POST", rules, {}, key="holder"), 400)
    await office.problem(await office.send("POST", rules, {"userId": NOTHING}, key="holder"), 404)
    assert await office.holds(office.stored(owner=office.anna.id))
    assert not await office.holds(office.stored())
    (rule,) = told["rules"]
    assert (await office.send("DELETE", f"{rules}/{rule['id']}", key="holder")).status == 204
    assert (await office.read(f"/v1/cases/{case['id']}", "Case", key="holder"))["rules"] == []
    assert ("case.rule-ended", "ok") in office.events(f"case:{case['id']}")
    await office.problem(await office.send("DELETE", f"{rules}/{rule['id']}", key="holder"), 404)
    assert not await office.holds(office.stored(owner=office.anna.id)), "and nothing comes by it any more"


async def test_two_people_release_a_case_and_no_key_does(office: Any) -> None:
    recording = office.stored()
    hold = await office.send("POST", f"/v1/recordings/{recording.id}/holds", {"reason": "x"}, key="boss")
    path = f"/v1/cases/{(await hold.json())['id']}"
    for key in ("holder", "boss", "ella"):
        refused = await office.send("POST", f"{path}/releases", {"reason": "x"}, key=key)
        await office.problem(refused, 403)
    asked = await office.as_person("boss", "POST", f"{path}/releases", {"reason": "Settled"})
    assert (await office.told(asked, "Case", 201))["state"] == "release asked"
    await office.problem(await office.as_person("boss", "POST", f"{path}/approvals"), 403)
    assert await office.holds(recording)
    assert (await office.as_person("ella", "DELETE", f"{path}/releases")).status == 204
    await office.problem(await office.as_person("ella", "POST", f"{path}/approvals"), 409)
    await office.as_person("ella", "POST", f"{path}/releases", {"reason": "Settled"})
    granted = await office.told(await office.as_person("boss", "POST", f"{path}/approvals"), "Case", 201)
    assert (granted["state"], granted["releasedBy"]) == ("released", f"user:{office.boss.id}")
    assert await office.holds(recording), "a job lets it go"
    assert office.events(path.replace("/v1/cases/", "case:")) == [
        *[("case.release-asked", "refused")] * 3,
        ("case.release-asked", "ok"),
        ("case.released", "refused"),
        ("case.release-refused", "ok"),
        ("case.released", "refused"),
        ("case.release-asked", "ok"),
        ("case.released", "ok"),
    ]


async def test_a_hold_without_its_audit_entry_is_none(office: Any) -> None:
    """Fail closed: what is not written down is not done."""

    class Away:
        def transaction(self, tenant_id: Any) -> Any:
            raise CatalogueUnavailable("The database is away.")

    recording = office.stored()
    services = dataclasses.replace(office.house.services(), audit=Away())
    headers = {"Authorization": f"Bearer {office.keys['holder']}"}
    async with TestClient(TestServer(create_app(services))) as client:
        path = f"/v1/recordings/{recording.id}/holds"
        answer = await client.post(path, json={"reason": "x"}, headers=headers)
        assert answer.status == 503
    assert not await office.holds(recording)


async def test_a_user_neither_holds_nor_sees_cases(office: Any) -> None:
    recording = office.stored(owner=office.anna.id)
    body = {"reason": "x"}
    refused = await office.send("POST", f"/v1/recordings/{recording.id}/holds", body, key="anna")
    await office.problem(refused, 403)
    await office.problem(await office.send("GET", "/v1/cases", key="anna"), 403)
    for path in (f"/v1/cases/{NOTHING}", f"/v1/recordings/{NOTHING}/holds"):
        await office.problem(await office.send("GET", path, key="holder"), 404)


async def test_a_recording_that_was_not_destroyed_has_no_certificate(office: Any) -> None:
    path = f"/v1/recordings/{office.stored().id}/certificate"
    await office.problem(await office.send("GET", path, key="boss"), 404)
    await office.problem(await office.send("GET", f"{path}?format=pdf", key="boss"), 400)


async def test_a_certificate_is_read_with_its_signature(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word as it was signed; that it verifies is shown where it is made."""
    signed = destructions.Signed(b'{"format": "earwitness certificate of destruction 1"}', b"\x30\x80")
    monkeypatch.setattr(destructions, "certificate_of", lambda *arguments: (None, signed))
    path = f"/v1/recordings/{NOTHING}/certificate"
    answer = await office.send("GET", path, key="boss")
    assert (await answer.read(), answer.content_type) == (signed.statement, "application/json")
    answer = await office.send("GET", f"{path}?format=p7s", key="boss")
    assert (await answer.read(), answer.content_type) == (signed.signature, "application/pkcs7-signature")
    assert answer.headers["Content-Disposition"].endswith('.certificate.p7s"')
    assert office.events(f"recording:{NOTHING}") == [("certificate.viewed", "ok")] * 2
