"""Recordings of nobody we know: what may be decided of them is told at once, and becomes a job."""

from __future__ import annotations

from typing import Any

import pytest

from archive.catalogue import directory, sessions
from archive.model import (
    OutcomeKind,
    Recording,
    RecordingState,
    SessionOutcome,
)


@pytest.fixture
def lost(office: Any) -> Recording:
    return stored(office, RecordingState.QUARANTINED)


def stored(office: Any, state: RecordingState, **changes: Any) -> Recording:
    """Put a recording of nobody into the catalogue, as a recorder would."""
    recording: Recording = office.stored(state=state, **changes)
    outcome = SessionOutcome(
        session_id=recording.session_id,
        call_id=recording.call_id,
        kind=OutcomeKind.RECORDED,
        reason="quarantined",
        started_at=recording.started_at,
        ended_at=recording.started_at,
        tenant_id=office.tenant.id,
        recording_ids=(recording.id,),
    )
    with office.house.recorder.transaction(office.tenant.id) as connection:
        sessions.insert_outcome(connection, outcome)
    return recording


async def test_what_is_in_quarantine_is_listed_and_nothing_else(office: Any, lost: Recording) -> None:
    stored(office, RecordingState.AVAILABLE)
    page = await office.read("/v1/quarantine", "RecordingPage", key="quarantine")
    assert [each["id"] for each in page["items"]] == [lost.id]
    assert (await office.read("/v1/quarantine", "RecordingPage", key="boss"))["items"] == page["items"]
    assert (await office.read("/v1/quarantine", "RecordingPage"))["items"] == []


async def test_an_assignment_becomes_a_job(
    office: Any, lost: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    path = f"/v1/recordings/{lost.id}/assignments"
    answer = await office.send("POST", path, {"userId": office.anna.id}, key="boss")
    told = await office.told(answer, "QuarantineTask", 202)
    assert told == {"recordingId": lost.id, "task": "assign", "userId": office.anna.id}
    assert answer.headers["Location"] == f"/v1/recordings/{lost.id}"
    ((task, arguments),) = deferred
    assert task == "retention.quarantine_assign"
    assert arguments == {
        "tenant_id": office.tenant.id,
        "recording_id": lost.id,
        "user_id": office.anna.id,
        "actor": f"user:{office.boss.id}",
    }
    entry = office.log(f"recording:{lost.id}")[-1]
    assert (entry.action, entry.result) == ("quarantine.assignment-asked", "ok")
    assert entry.body["userId"] == office.anna.id


async def test_a_destruction_becomes_a_job(
    office: Any, lost: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    answer = await office.send("DELETE", f"/v1/recordings/{lost.id}", key="quarantine")
    assert (await office.told(answer, "QuarantineTask", 202))["task"] == "destroy"
    ((task, arguments),) = deferred
    assert task == "retention.quarantine_destroy"
    assert arguments["recording_id"] == lost.id
    assert office.events(f"recording:{lost.id}") == [("quarantine.destruction-asked", "ok")]


async def test_what_is_not_in_quarantine_is_neither_assigned_nor_destroyed(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    kept = stored(office, RecordingState.AVAILABLE)
    path = f"/v1/recordings/{kept.id}"
    body = {"userId": office.anna.id}
    await office.problem(await office.send("POST", f"{path}/assignments", body, key="quarantine"), 409)
    problem = await office.problem(await office.send("DELETE", path, key="quarantine"), 409)
    assert "not in quarantine" in problem["detail"]
    assert deferred == []
    assert {result for _, result in office.events(f"recording:{kept.id}")} == {"refused"}


async def test_a_person_without_a_licence_at_the_time_gets_nothing(
    office: Any, lost: Recording, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    late = directory.add_user(office.house.operator, office.tenant.id, "late", now=office.now)
    path = f"/v1/recordings/{lost.id}/assignments"
    for user in (late, office.boss):
        answer = await office.send("POST", path, {"userId": user.id}, key="quarantine")
        assert "licence" in (await office.problem(answer, 409))["detail"]
    assert deferred == []


async def test_a_recording_on_hold_is_not_destroyed(
    office: Any, deferred: list[tuple[str, dict[str, str]]]
) -> None:
    held = stored(office, RecordingState.QUARANTINED, on_hold=True)
    problem = await office.problem(
        await office.send("DELETE", f"/v1/recordings/{held.id}", key="quarantine"), 409
    )
    assert "hold" in problem["detail"]
    assert deferred == []


@pytest.mark.parametrize("user_id", [None, "", "nobody", "00000000-0000-4000-8000-000000000000", 1])
async def test_nobody_is_no_assignee(office: Any, lost: Recording, user_id: Any) -> None:
    path = f"/v1/recordings/{lost.id}/assignments"
    problem = await office.problem(
        await office.send("POST", path, {"userId": user_id}, key="quarantine"), 400
    )
    assert [each["parameter"] for each in problem["errors"]] == ["/userId"]


async def test_what_is_not_the_callers_to_see_is_not_found(office: Any, lost: Recording) -> None:
    strangers = office.house.recordings["strangers"].id
    body = {"userId": office.anna.id}
    cases = [("quarantine", strangers), ("quarantine", "0"), ("administration", lost.id)]
    for key, recording_id in cases:
        path = f"/v1/recordings/{recording_id}"
        assert (await office.send("DELETE", path, key=key)).status == 404
        assert (await office.send("POST", f"{path}/assignments", body, key=key)).status == 404
