"""Requests of data subjects over the API: every step, who may take it, and what the log says of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from archive import jobs
from archive.access import Scope
from archive.catalogue import accounts, exports
from archive.data_subject import Kept
from archive.errors import CatalogueUnavailable
from archive.model import Layout, Party
from tests.unit.playback_portal.administration.conftest import NOTHING

PATH = "/v1/data-subject-requests"
pytestmark = pytest.mark.usefixtures("deferred", "ella")

MINE = "+31687654321"


@pytest.fixture(autouse=True)
def keys(office: Any) -> None:
    """A key that handles requests, and one that reads everything as well."""
    operator, tenant = office.house.operator, office.tenant
    for name, scopes in (
        ("desk", (Scope.DATA_SUBJECTS,)),
        ("finder", (Scope.DATA_SUBJECTS, Scope.RECORDINGS_READ)),
    ):
        office.keys[name] = accounts.add_api_client(operator, tenant.id, name, scopes, now=office.now).key


async def taken_in(office: Any, *, key: str = "desk", **changes: Any) -> Any:
    body = {"kind": "access", "name": "A. Jansen", "contact": "Kerkstraat 1, Goes", **changes}
    answer = await office.send("POST", PATH, body, key=key)
    return await office.told(answer, "DataSubjectRequest", 201)


async def step(
    office: Any, made: Any, path: str, body: Any, *, key: str = "finder", status: int = 201
) -> Any:
    schemas = {"searches": "DataSubjectSearch", "choices": "Choice"}
    answer = await office.send("POST", f"{PATH}/{made['id']}/{path}", body, key=key)
    schema = "Problem" if status >= 400 else schemas.get(path, "WholeDataSubjectRequest")
    return await office.told(answer, schema, status)


async def test_a_request_goes_all_its_steps_and_the_log_tells_each_without_a_name_or_number(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    stereo = office.stored(Party("a", MINE, "Jansen"), Party("b", "+31201234567"), sound=True)
    mixed = office.stored(
        Party("mixed", MINE),
        Party("mixed", "+31201234567"),
        layout=Layout.MIXED,
        channels=("mixed",),
        sound=True,
    )
    made = await taken_in(office)
    assert (made["state"], made["daysLeft"] >= 27) == ("taken in", True)
    await step(office, made, "identifications", {"how": "called back", "note": f"on {MINE}"})
    await step(office, made, "extensions", {"reason": "Three thousand calls"})
    found = await step(office, made, "searches", {"by": "number", "text": "06-87 65 43 21"})
    assert (found["value"], found["found"]) == (MINE, 2)
    listed = await office.read(f"{PATH}/{made['id']}/calls", "DataSubjectCallPage", key="finder")
    told = {each["recordingId"]: each for each in listed["items"]}
    assert told[stereo.id]["kept"] == [{"channel": "a", "fromMs": 0, "toMs": stereo.duration_ms}]
    assert (told[mixed.id]["separable"], told[mixed.id]["inseparable"]) == (False, "mixed")
    assert await step(office, made, "choices", {"treatment": "muted"}) == {"recordings": 1}
    left = {"recordingIds": [mixed.id], "treatment": "left out", "reason": "They object."}
    assert await step(office, made, "choices", left) == {"recordings": 1}
    headers = office.signed_in(office.people["ella"])
    asked = await office.client.post(f"{PATH}/{made['id']}/exports", headers=headers)
    export = await office.told(asked, "Export", 202)
    assert asked.headers["Location"] == f"/v1/exports/{export['id']}"
    assert export["recordingIds"] == [stereo.id]
    assert deferred[-1] == (jobs.EXPORT, {"tenant_id": office.tenant.id, "export_id": export["id"]})
    kept = exports.get(office.house.portal, office.tenant.id, export["id"])
    assert (kept.request_id, kept.kept) == (made["id"], {stereo.id: (Kept(0, 0, None),)})
    partly = {"outcome": "partly", "ground": "rights-of-others", "text": "One call has the voice of another."}
    answered = await step(office, made, "answers", partly)
    assert answered["answer"]["article"] == "GDPR 15(4)"
    assert answered["daysLeft"] is None
    closed = await step(office, made, "closures", None)
    assert closed["state"] == "closed"
    await step(office, made, "extensions", {"reason": "x"}, status=409)
    history = await office.read(f"{PATH}/{made['id']}/history", "AuditEntryPage", key="desk")
    steps = ["taken-in", "identified", "extended", "searched", "chosen", "export-asked", "answered", "closed"]
    actions = [each["action"].removeprefix("data-subject.") for each in history["items"]]
    assert [each for each in dict.fromkeys(actions) if each in steps] == steps
    entries = json.dumps([entry.body for entry in office.log(f"data-subject-request:{made['id']}")])
    assert not [secret for secret in ("Jansen", "Kerkstraat", "687654321", "voice") if secret in entries]


async def test_before_identification_nothing_is_looked_for(office: Any) -> None:
    made = await taken_in(office)
    problem = await step(office, made, "searches", {"by": "number", "text": MINE}, status=409)
    assert "identified" in problem["detail"]
    await step(office, made, "answers", {"outcome": "granted", "text": "x"}, status=409)
    refused = {"outcome": "refused", "ground": "not-identified", "text": "We do not know who you are."}
    assert (await step(office, made, "answers", refused))["state"] == "answered"


async def test_who_reads_not_everything_looks_for_nobody_and_a_key_takes_nothing_out(office: Any) -> None:
    made = await taken_in(office)
    await step(office, made, "identifications", {"how": "account"}, key="desk")
    await step(office, made, "searches", {"by": "number", "text": MINE}, key="desk", status=403)
    await office.problem(await office.send("GET", f"{PATH}/{made['id']}/calls", key="desk"), 403)
    seen = await office.read(f"{PATH}/{made['id']}", "WholeDataSubjectRequest", key="desk")
    assert (seen["searches"], seen["absence"]) == ([], None)
    for who, key in ((None, "finder"), ("boss", None)):
        headers = {} if who is None else office.signed_in(office.people[who])
        if key is not None:
            headers = {"Authorization": f"Bearer {office.keys[key]}"}
        answer = await office.client.post(f"{PATH}/{made['id']}/exports", headers=headers)
        await office.problem(answer, 403)
    user = await office.client.get(PATH, headers=office.signed_in(office.people["anna"]))
    await office.problem(user, 403)


async def test_what_a_step_needs_is_told_field_by_field(office: Any) -> None:
    problem = await office.problem(
        await office.send("POST", PATH, {"kind": "x", "receivedOn": "y"}, key="desk"), 400
    )
    assert {each["parameter"] for each in problem["errors"]} == {"/kind", "/name", "/contact", "/receivedOn"}
    future = (office.now + timedelta(days=3)).date().isoformat()
    body = {"kind": "access", "name": "A", "contact": "B", "receivedOn": future}
    await office.problem(await office.send("POST", PATH, body, key="desk"), 403)
    made = await taken_in(office)
    await step(office, made, "identifications", {"how": "account"})
    await step(office, made, "searches", {"by": "number", "text": "nobody"}, status=403)
    await step(office, made, "choices", {"treatment": "whole", "reason": "x"}, status=400)
    await step(office, made, "choices", {"treatment": "whole", "recordingIds": ["x"]}, status=400)
    unknown = {"treatment": "left out", "reason": "x", "recordingIds": [NOTHING]}
    await step(office, made, "choices", unknown, status=404)
    wrong = {"outcome": "refused", "ground": "legal-duty", "text": "x"}
    await step(office, made, "answers", wrong, status=403)
    headers = office.signed_in(office.people["ella"])
    nothing = await office.client.post(f"{PATH}/{made['id']}/exports", headers=headers)
    await office.problem(nothing, 403)
    for path in ("", "/calls", "/history"):
        await office.problem(await office.send("GET", f"{PATH}/{NOTHING}{path}", key="finder"), 404)


async def test_requests_are_listed_with_their_days_and_the_open_ones_alone(office: Any) -> None:
    late = (office.now - timedelta(days=45)).date().isoformat()
    first, second = await taken_in(office, receivedOn=late), await taken_in(office, kind="objection")
    listed = await office.read(PATH, "DataSubjectRequestPage", key="desk")
    left = {each["id"]: each["daysLeft"] for each in listed["items"]}
    assert left[first["id"]] < 0 < left[second["id"]]
    await step(office, second, "closures", {"note": "Withdrawn by telephone."}, key="desk")
    waiting = await office.read(f"{PATH}?open=1", "DataSubjectRequestPage", key="desk")
    assert [each["id"] for each in waiting["items"]] == [first["id"]]
    page = await office.read(f"{PATH}?limit=1", "DataSubjectRequestPage", key="desk")
    rest = await office.read(f"{PATH}?limit=1&cursor={page['next']}", "DataSubjectRequestPage", key="desk")
    # Taken in at one moment, by the clock of the test: then the later id stands first.
    newest_first = sorted([first["id"], second["id"]], reverse=True)
    assert [page["items"][0]["id"], rest["items"][0]["id"]] == newest_first


async def test_an_export_nobody_could_be_handed_stands_for_the_workers_to_find(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.stored(Party("a", MINE), Party("b", "+31201234567"), sound=True)

    def away(*_: str, **__: str) -> bool:
        raise CatalogueUnavailable("away")

    monkeypatch.setattr(jobs, "defer", away)
    made = await taken_in(office)
    await step(office, made, "identifications", {"how": "account"})
    await step(office, made, "searches", {"by": "number", "text": MINE})
    await step(office, made, "choices", {"treatment": "muted"})
    headers = office.signed_in(office.people["ella"])
    asked = await office.client.post(f"{PATH}/{made['id']}/exports", headers=headers)
    export = await office.told(asked, "Export", 202)
    seen = await office.read(f"{PATH}/{made['id']}", "WholeDataSubjectRequest", key="finder")
    assert [each["id"] for each in seen["exports"]] == [export["id"]]
