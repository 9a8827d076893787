"""Why a call was recorded or not is told to whom it concerns; what is only imagined leaves no trace."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import pytest
import structlog

from archive.catalogue import (
    audit_entries,
    do_not_record,
    exempt_numbers,
    minutes,
    peers,
    tenant_directory,
)
from archive.catalogue.minutes import Booking
from archive.model import RecordingId, RetentionClass, SpanKind
from playback_portal.why import why_document

ANNA, BERT, OUTSIDE = "+31201230001", "+31201230002", "+31687654321"


async def what_if(api: Any, caller: str, callee: str, key: str = "all", **more: Any) -> dict[str, Any]:
    answer = await api.send("POST", "/v1/what-if", key, {"caller": caller, "callee": callee, **more})
    assert answer.status == 200, await answer.text()
    decision: dict[str, Any] = await answer.json()
    return decision


async def test_a_session_tells_how_it_ended_and_why(api: Any) -> None:
    recording = api.house.recordings["two-party"]
    answer = await api.get(f"/v1/sessions/{recording.session_id}", "sessions")
    shown = await answer.json()
    assert (shown["outcome"], shown["reason"], shown["trace"]) == ("recorded", "mode always", ["peer sbc-1"])
    assert shown["recordingIds"] == [recording.id]
    assert (await api.get(f"/v1/sessions/{recording.session_id}", "strangers")).status == 404
    assert (await api.get("/v1/sessions/0", "sessions")).status == 404


async def test_a_recording_tells_why_it_is_there_and_who_paused_it(api: Any) -> None:
    recording = api.house.recordings["two-party"]
    shown = await (await api.get(api.path("two-party", "/why"))).json()
    assert shown == {
        "recording": recording.id,
        "session": recording.session_id,
        "outcome": "recorded",
        "reason": "mode always",
        "trace": ["peer sbc-1"],
        "owner": None,
        "mode": "always",
        "retentionClass": "90d",
        "retentionReason": "nobody in particular is recorded; an administrator finds out who",
        "retainUntil": "2027-02-20T07:33:00.123Z",
        "commands": [
            {
                "kind": "pause",
                "channel": "both",
                "fromMs": 200,
                "toMs": 300,
                "from": "2026-11-22T07:33:00.323Z",
                "to": "2026-11-22T07:33:00.423Z",
                "by": "user:1",
            }
        ],
        "flags": ["late-start"],
        "minutes": None,
        "grounds": None,
    }


async def test_a_recording_whose_session_still_runs_has_no_outcome_yet(api: Any) -> None:
    shown = await (await api.get(api.path("unfinished", "/why"))).json()
    assert (shown["outcome"], shown["reason"], shown["trace"]) == (None, None, [])


@pytest.mark.parametrize(
    ("licence", "above_cap", "reason"),
    [
        (RetentionClass.DAYS_90, False, "the licence 90d was in force when the recording began"),
        (RetentionClass.YEARS_7_1000, True, "its minutes of the month were used up"),
        (RetentionClass.DAYS_365, False, "the licence when it began was 365d"),
        (None, False, "its user had no licence when it began"),
    ],
)
def test_the_class_is_explained_by_licence_and_minutes(
    house: Any, licence: RetentionClass | None, above_cap: bool, reason: str
) -> None:
    anna = house.people["anna"]
    recording = dataclasses.replace(house.recordings["two-party"], owner=anna.id)
    booking = Booking(
        recording_id=recording.id,
        tenant_id=recording.tenant_id,
        user_id=anna.id,
        month=date(2026, 11, 1),
        call_group=recording.call_group,
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        recorded_s=40,
        booked_s=39,
        above_cap=above_cap,
        retention_class=recording.retention_class,
    )
    shown = why_document(recording, None, booking, licence, None)
    assert reason in str(shown["retentionReason"])
    assert shown["minutes"] == {"month": "2026-11", "recordedS": 40, "bookedS": 39, "aboveCap": above_cap}


def test_only_what_somebody_commanded_is_listed_as_a_command(house: Any) -> None:
    recording = house.recordings["two-party"]
    assert {span.kind for span in recording.spans} == {SpanKind.LOSS, SpanKind.PAUSE}
    shown = why_document(recording, None, None, None, None)
    assert isinstance(shown["commands"], list)
    assert len(shown["commands"]) == 1


async def test_a_call_to_a_recorded_user_would_be_recorded_as_the_rules_say(api: Any) -> None:
    decision = await what_if(api, OUTSIDE, "020 123 0001")
    anna = api.house.people["anna"].id
    assert decision["outcome"] == "recorded"
    assert decision["recorded"] == [
        {
            "userId": anna,
            "mode": "on-demand",
            "retentionClass": "90d",
            "direction": "in",
            "quarantined": False,
            "keepGraceH": 0,
            "keepNext": False,
        }
    ]
    assert any(anna in line for line in decision["trace"])


async def test_a_call_between_two_recorded_users_would_be_two_recordings(api: Any) -> None:
    decision = await what_if(api, ANNA, BERT)
    assert [each["direction"] for each in decision["recorded"]] == ["internal", "internal"]


async def test_a_user_is_found_by_the_exchanges_name_and_an_unknown_one_would_be_quarantined(
    api: Any,
) -> None:
    decision = await what_if(api, OUTSIDE, OUTSIDE, broadworksUserId="anna@bw.example")
    assert decision["recorded"][0]["userId"] == api.house.people["anna"].id
    decision = await what_if(api, OUTSIDE, OUTSIDE, broadworksUserId="nobody@bw.example")
    assert [each["quarantined"] for each in decision["recorded"]] == [True]


async def test_a_call_of_nobody_known_would_not_be_recorded_and_says_so(api: Any) -> None:
    decision = await what_if(api, OUTSIDE, "+31611111111")
    assert (decision["outcome"], decision["recorded"]) == ("nobody recorded", [])
    assert decision["reason"] == "nobody named is recorded"


async def test_another_tenants_people_are_nobody(api: Any) -> None:
    assert (await what_if(api, OUTSIDE, ANNA, "strangers"))["recorded"] == []


@pytest.mark.parametrize("number", ["112", "tel:112", "+31 112", "0800-0113", "113", "urn:service:sos"])
async def test_an_emergency_or_help_line_is_answered_before_anything_is_looked_up(
    api: Any, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("Nothing is looked up for an exempt number.")

    monkeypatch.setattr(tenant_directory, "load", never)
    for caller, callee in ((ANNA, number), (number, ANNA)):
        decision = await what_if(api, caller, callee)
        assert (decision["outcome"], decision["recorded"]) == ("exempt", [])
        assert decision["reason"] == "never recorded: emergency or help line"


async def test_numbers_the_tenant_exempted_or_barred_are_not_recorded_either(api: Any, clock: Any) -> None:
    house = api.house
    exempt = exempt_numbers.add(house.portal, house.tenant_id, "+31207654321", now=clock.now())
    barred = do_not_record.add(house.portal, house.tenant_id, "+31207654322", "doctor", now=clock.now())
    try:
        assert (await what_if(api, ANNA, "020 7654321"))["outcome"] == "exempt"
        decision = await what_if(api, ANNA, "020-7654322")
        assert (decision["outcome"], decision["recorded"]) == ("nobody recorded", [])
        assert "doctor" in decision["reason"]
    finally:
        exempt_numbers.remove(house.portal, house.tenant_id, exempt.id)
        do_not_record.remove(house.portal, house.tenant_id, barred.id)


async def test_peers_are_the_tenants_own_or_shared_by_group_and_a_wrong_name_is_a_mistake(
    api: Any, clock: Any
) -> None:
    house = api.house
    peers.add_peer(house.operator, "shared-sbc", ["192.0.2.1/32"], now=clock.now())
    peers.add_peer(house.operator, "bakery-sbc", ["192.0.2.2/32"], now=clock.now(), tenant_id=house.tenant_id)
    assert "peer bakery-sbc" in (await what_if(api, OUTSIDE, ANNA, peer="bakery-sbc"))["trace"]
    body = {"caller": OUTSIDE, "callee": ANNA, "peer": "shared-sbc"}
    answer = await api.send("POST", "/v1/what-if", body=body)
    assert answer.status == 400
    assert [fault["parameter"] for fault in (await answer.json(content_type=None))["errors"]] == ["/peer"]
    decision = await what_if(api, OUTSIDE, ANNA, peer="shared-sbc", serviceProviderId="unknown")
    assert decision["reason"] == "no tenant for this peer"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"caller": OUTSIDE},
        {"caller": OUTSIDE, "callee": 112},
        {"caller": OUTSIDE, "callee": "x" * 257},
        {"caller": OUTSIDE, "callee": ANNA, "groupId": "g"},
        {"caller": OUTSIDE, "callee": ANNA, "when": "now"},
    ],
)
async def test_a_question_that_is_unclear_is_not_answered(api: Any, body: Any) -> None:
    assert (await api.send("POST", "/v1/what-if", body=body)).status == 400


async def test_only_who_may_see_sessions_may_imagine_calls(api: Any) -> None:
    body = {"caller": OUTSIDE, "callee": ANNA}
    for key in ("anna", "reader", "player"):
        assert (await api.send("POST", "/v1/what-if", key, body)).status == 403
    assert (await api.send("POST", "/v1/what-if", "sessions", body)).status == 200


async def test_nothing_of_the_imagined_numbers_is_stored_or_logged(api: Any) -> None:
    wanted = ("+31655550001", "+31655550002", "112", "0800-0113")
    with structlog.testing.capture_logs() as logs:
        await what_if(api, wanted[0], wanted[1])
        await what_if(api, wanted[0], "112")
        await what_if(api, "0800-0113", wanted[1])
        await api.send("POST", "/v1/what-if", body={"caller": wanted[0], "callee": wanted[1], "peer": "x"})
    entries = audit_entries.of_object(api.house.portal, api.house.tenant_id, "what-if")[-3:]
    assert {(entry.action, entry.result) for entry in entries} == {("what-if.asked", "ok")}
    assert {frozenset(entry.body or {}) for entry in entries} == {frozenset({"query", "address", "request"})}
    text = str(logs) + str([entry.body for entry in entries])
    assert not any(number.strip("+") in text for number in wanted[:2])
    # A request's reference is a random id, which may hold three digits in a row by chance.
    assert "'112'" not in text
    assert "0800" not in str(logs)


def test_the_directory_of_a_tenant_holds_nothing_of_another(house: Any) -> None:
    stranger = tenant_directory.load(house.portal, house.stranger_id)
    assert [tenant.id for tenant in stranger.tenants] == [house.stranger_id]
    assert {user.tenant_id for user in stranger.users} <= {house.stranger_id}
    own = tenant_directory.load(house.portal, house.tenant_id)
    assert {user.tenant_id for user in own.users} == {house.tenant_id}
    assert all(peer.tenant_id == house.tenant_id for peer in own.peers)


async def test_minutes_of_an_unbooked_recording_are_none(api: Any) -> None:
    recording = api.house.recordings["mixed"]
    with api.house.portal.transaction(api.house.tenant_id) as connection:
        assert minutes.booking_of(connection, api.house.tenant_id, RecordingId(recording.id)) is None
    assert (await (await api.get(api.path("mixed", "/why"))).json())["minutes"] is None
