"""Calls under way are shown to whom they concern, with exactly what they obey; commands are told the truth."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from archive.audit import AuditEntry
from archive.catalogue import audit_entries
from archive.catalogue.call_events import EventKind
from archive.errors import CatalogueUnavailable
from archive.model import RecordingMode, RecordingState, new_id
from playback_portal.app import create_app
from playback_portal.confirmations import CONFIRMATIONS

VERBS = {"pauses": "pause", "resumes": "resume", "keeps": "keep", "starts": "start", "stops": "stop"}
UNKEPT: dict[str, Any] = {"state": RecordingState.UNKEPT, "capture": "pre-roll"}


def entries(house: Any, subject: str) -> list[AuditEntry]:
    return audit_entries.of_object(house.portal, house.tenant_id, subject)


async def ids(api: Any, key: str, query: str = "") -> list[str]:
    answer = await api.get(f"/v1/calls{query}", key)
    assert answer.status == 200, await answer.text()
    return [item["id"] for item in (await answer.json())["items"]]


async def test_a_call_says_how_it_stands_and_which_verbs_it_obeys_now(api: Any, exchange: Any) -> None:
    call = exchange.call(**UNKEPT)
    answer = await api.get(f"/v1/calls/{call.recording_id}")
    pause = "The recording did not obey 'pause': it can be paused only after it was kept (mode On demand)."
    shown = await answer.json()
    verbs = shown.pop("commands")
    assert shown == {
        "id": call.recording_id,
        "sessionId": call.session_id,
        "callId": call.call_id,
        "callGroup": call.call_group,
        "state": "unkept",
        "capture": "pre-roll",
        "mode": "on-demand",
        "owner": api.house.people["anna"].id,
        "direction": "in",
        "layout": "two-party",
        "startedAt": "2026-11-22T09:30:00.123Z",
        "pausedAt": None,
        "graceUntil": None,
        "parties": [
            {
                "channel": "a",
                "number": "+31612345678",
                "name": "",
                "userId": None,
                "fromMs": 0,
                "toMs": None,
            },
            {
                "channel": "b",
                "number": "+31201230001",
                "name": "Anna",
                "userId": None,
                "fromMs": 20,
                "toMs": None,
            },
        ],
    }
    assert verbs["keep"] == {"allowed": True, "reason": None}
    assert verbs["pause"] == {"allowed": False, "reason": pause}
    assert {verb for verb, shown in verbs.items() if shown["allowed"]} == {"keep", "start"}


async def test_who_may_not_command_is_shown_no_verb_that_works(api: Any, exchange: Any) -> None:
    call = exchange.call("bert")
    verbs = (await (await api.get(f"/v1/calls/{call.recording_id}", "watcher")).json())["commands"]
    assert not any(shown["allowed"] for shown in verbs.values())
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "watcher")
    assert answer.status == 403
    assert exchange.taken == []


async def test_an_unkept_call_is_there_for_its_owner_and_programs_and_for_nobody_else(
    api: Any, exchange: Any
) -> None:
    unkept, kept = exchange.call(**UNKEPT), exchange.call("bert")
    assert await ids(api, "anna") == [unkept.recording_id]
    assert await ids(api, "bert") == [kept.recording_id]
    assert await ids(api, "watcher") == [kept.recording_id]
    assert await ids(api, "all") == [kept.recording_id, unkept.recording_id]
    assert await ids(api, "strangers") == []
    for key in ("bert", "watcher", "strangers"):
        assert (await api.get(f"/v1/calls/{unkept.recording_id}", key)).status == 404
        assert (await api.send("POST", f"/v1/calls/{unkept.recording_id}/keeps", key)).status in {403, 404}
    assert exchange.taken == []


async def test_pages_of_calls_follow_each_other_and_end(api: Any, exchange: Any) -> None:
    started = [exchange.call("bert").recording_id for _ in range(4)]
    first = await (await api.get("/v1/calls?limit=2")).json()
    second = await (await api.get(f"/v1/calls?limit=2&cursor={first['next']}")).json()
    assert [item["id"] for page in (first, second) for item in page["items"]] == started[::-1]
    assert second["next"] is None
    assert (await api.get("/v1/calls?limit=0")).status == 400
    assert (await api.get("/v1/calls?owner=x")).status == 400


@pytest.mark.parametrize("path", VERBS)
async def test_a_command_is_made_only_once_the_recorder_confirmed_it(
    api: Any, exchange: Any, path: str
) -> None:
    call = exchange.call()
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/{path}", "anna")
    assert answer.status == 201
    made = await answer.json()
    (command,) = exchange.taken
    anna = api.house.people["anna"].id
    assert (command.verb, command.actor, command.recording_id) == (
        VERBS[path],
        f"user:{anna}",
        call.recording_id,
    )
    assert made == {
        "id": command.id,
        "call": call.recording_id,
        "verb": VERBS[path],
        "effectiveAt": "2026-11-22T09:30:00.143Z",
    }
    (entry,) = entries(api.house, f"recording:{call.recording_id}")
    assert (entry.actor, entry.result) == (f"user:{anna}", "ok")
    assert entry.body is not None
    assert (entry.body["verb"], entry.body["command"]) == (VERBS[path], command.id)


async def test_what_the_recorder_refuses_is_told_in_its_own_words_and_leaves_no_name(
    api: Any, exchange: Any
) -> None:
    exchange.answer = lambda command: (False, "The recording did not obey 'pause': it is paused already.")
    call = exchange.call()
    before = len(entries(api.house, "recording"))
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "anna")
    assert answer.status == 409
    assert (await answer.json(content_type=None))["detail"].endswith("it is paused already.")
    assert entries(api.house, f"recording:{call.recording_id}") == []
    assert [entry.result for entry in entries(api.house, "recording")[before:]] == ["refused"]


async def test_a_silent_recorder_is_a_504_and_what_was_withdrawn_is_never_carried_out(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.answer = None
    call = exchange.call()
    monkeypatch.setattr(api.client.app[CONFIRMATIONS], "_confirm_s", 0.2)
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "anna")
    assert answer.status == 504
    assert "withdrawn" in (await answer.json(content_type=None))["detail"]
    exchange.answer = lambda command: (True, "")
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/resumes", "anna")
    assert answer.status == 201
    assert [command.verb for command in exchange.taken] == ["resume"]


async def test_a_command_that_was_taken_and_never_confirmed_is_told_apart(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.answer = lambda command: None
    call = exchange.call()
    monkeypatch.setattr(api.client.app[CONFIRMATIONS], "_confirm_s", 0.5)
    before = len(entries(api.house, "recording"))
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "anna")
    assert answer.status == 504
    assert "did not confirm" in (await answer.json(content_type=None))["detail"]
    assert [entry.result for entry in entries(api.house, "recording")[before:]] == ["unconfirmed"]


async def test_a_call_that_is_over_or_unknown_or_no_id_is_not_found(api: Any, exchange: Any) -> None:
    call = exchange.call()
    exchange.hang_up(call)
    for name in (call.recording_id, new_id(call.started_at), "x"):
        assert (await api.get(f"/v1/calls/{name}")).status == 404
        assert (await api.send("POST", f"/v1/calls/{name}/pauses")).status == 404
    assert exchange.taken == []


async def test_a_call_that_may_not_exist_any_more_while_it_is_commanded_is_over(
    api: Any, exchange: Any
) -> None:
    call = exchange.call()

    def erase(command: Any) -> None:
        exchange.erase(call)

    exchange.answer = erase
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "anna")
    assert answer.status == 404
    assert entries(api.house, f"recording:{call.recording_id}") == []


async def test_a_command_takes_no_body_but_an_empty_one(api: Any, exchange: Any) -> None:
    call = exchange.call()
    path = f"/v1/calls/{call.recording_id}/pauses"
    assert (await api.send("POST", path, body={})).status == 201
    assert (await api.send("POST", path, body={"at": "now"})).status == 400
    assert (await api.send("POST", f"{path}?x=1")).status == 400
    assert len(exchange.taken) == 1


async def test_a_call_in_its_grace_is_kept_as_a_recording(api: Any, exchange: Any) -> None:
    until = exchange.effective_at + timedelta(hours=1)
    call = exchange.call(state=RecordingState.GRACE, capture="grace", grace_until=until)
    assert (await api.send("POST", f"/v1/recordings/{call.recording_id}/keeps", "bert")).status == 404
    answer = await api.send("POST", f"/v1/recordings/{call.recording_id}/keeps", "anna")
    assert answer.status == 201
    assert (await answer.json())["verb"] == "keep"


async def test_keeping_what_is_not_in_its_grace_is_told_why_not(api: Any, exchange: Any) -> None:
    running = exchange.call(**UNKEPT)
    answer = await api.send("POST", f"/v1/recordings/{running.recording_id}/keeps", "anna")
    assert answer.status == 409
    assert "still under way" in (await answer.json(content_type=None))["detail"]
    answer = await api.send("POST", api.path("two-party", "/keeps"))
    assert answer.status == 409
    assert "kept already" in (await answer.json(content_type=None))["detail"]
    unknown = new_id(exchange.effective_at)
    assert (await api.send("POST", f"/v1/recordings/{unknown}/keeps")).status == 404
    assert exchange.taken == []


async def test_after_the_grace_its_owner_is_told_that_it_is_over_and_nobody_else_anything(
    api: Any, exchange: Any
) -> None:
    discarded = exchange.call(**UNKEPT)
    exchange.hang_up(discarded, exchange.event(discarded, EventKind.RECORDING_DISCARDED))
    over = exchange.call("bert")
    exchange.hang_up(over, exchange.event(over, EventKind.CALL_ENDED))
    answer = await api.send("POST", f"/v1/recordings/{discarded.recording_id}/keeps", "anna")
    assert answer.status == 409
    assert "not kept in time" in (await answer.json(content_type=None))["detail"]
    assert (await api.send("POST", f"/v1/recordings/{discarded.recording_id}/keeps", "bert")).status == 404
    answer = await api.send("POST", f"/v1/recordings/{over.recording_id}/keeps", "bert")
    assert answer.status == 409
    assert "being stored" in (await answer.json(content_type=None))["detail"]


async def test_a_mode_the_reference_gives_no_buttons_has_none(api: Any, exchange: Any) -> None:
    call = exchange.call(mode=RecordingMode.ALWAYS)
    verbs = (await (await api.get(f"/v1/calls/{call.recording_id}")).json())["commands"]
    assert not any(shown["allowed"] for shown in verbs.values())


async def test_a_database_that_goes_away_under_a_command_is_no_promise_that_nothing_was_done(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object, **options: object) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    call = exchange.call()
    monkeypatch.setattr("archive.catalogue.commands.issue", away)
    answer = await api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "anna")
    assert answer.status == 503
    assert "nothing was changed" not in (await answer.json(content_type=None))["detail"]


async def test_fifty_commands_at_once_are_all_answered_over_one_listening_connection(
    api: Any, exchange: Any
) -> None:
    calls = [exchange.call() for _ in range(50)]
    answers = await asyncio.gather(
        *(api.send("POST", f"/v1/calls/{call.recording_id}/pauses", "anna") for call in calls)
    )
    assert {answer.status for answer in answers} == {201}
    listening = [name for name in threads() if name.startswith("notices")]
    assert listening == ["notices command_answers"]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


async def test_the_application_stops_with_its_listeners(house: Any, exchange: Any) -> None:
    call = exchange.call()
    async with TestClient(TestServer(create_app(house.services()))) as client:
        headers = {"Authorization": f"Bearer {house.keys['anna']}"}
        answer = await client.post(f"/v1/calls/{call.recording_id}/pauses", headers=headers)
        assert answer.status == 201
    assert not [name for name in threads() if name.startswith("notices")]
