"""Events arrive as they happen, to whom they concern, for as long as the right to them lasts."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientResponse

from archive.catalogue import accounts, audit_entries, portal_sessions, tables
from archive.catalogue.call_events import EventKind
from archive.catalogue.portal_sessions import Proof, Stage
from archive.catalogue.tables import api_clients
from archive.errors import CatalogueUnavailable
from archive.model import RecordingState
from playback_portal import events
from playback_portal.events import STREAMS

PATIENCE_S = 20.0
UNKEPT: dict[str, Any] = {"state": RecordingState.UNKEPT, "capture": "pre-roll"}


async def opened(api: Any, key: str = "all", last: str | None = None) -> ClientResponse:
    headers = {} if last is None else {"Last-Event-ID": last}
    answer: ClientResponse = await api.get("/v1/events", key, headers)
    return answer


async def block(answer: ClientResponse) -> str:
    """Return the next block of the stream, without the empty line behind it; empty at its end."""
    async with asyncio.timeout(PATIENCE_S):
        lines = []
        while line := (await answer.content.readline()).decode():
            if line == "\n":
                return "".join(lines)
            lines.append(line)
        return ""


async def next_event(answer: ClientResponse) -> tuple[str, str, dict[str, Any]]:
    """Return id, kind and data of the next event, over heartbeats and the time to retry."""
    while text := await block(answer):
        fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
        if "id" in fields:
            return fields["id"], fields["event"], json.loads(fields["data"])
    raise AssertionError("The stream ended.")


async def test_an_event_arrives_with_its_id_its_kind_and_thin_data(api: Any, exchange: Any) -> None:
    answer = await opened(api)
    assert answer.status == 200
    assert answer.content_type == "text/event-stream"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert await block(answer) == "retry: 5000\n"
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.RECORDING_PAUSED, by="star code"))
    number, kind, data = await next_event(answer)
    assert int(number) > 0
    assert kind == "recording.paused"
    assert data == {
        "type": "recording.paused",
        "at": "2026-11-22T09:30:00.123Z",
        "call": call.recording_id,
        "owner": call.owner,
        "data": {"by": "star code", "state": "recording"},
    }


async def test_a_client_that_was_away_goes_on_where_it_was(api: Any, exchange: Any) -> None:
    answer = await opened(api)
    await block(answer)
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    last, _, _ = await next_event(answer)
    answer.close()
    kinds = [EventKind.RECORDING_PAUSED, EventKind.RECORDING_RESUMED, EventKind.CALL_ENDED]
    exchange.publish(call, *(exchange.event(call, kind) for kind in kinds))
    again = await opened(api, last=last)
    assert [(await next_event(again))[1] for _ in kinds] == kinds


async def test_a_new_listener_hears_nothing_of_before(api: Any, exchange: Any) -> None:
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    answer = await opened(api)
    await block(answer)
    exchange.publish(call, exchange.event(call, EventKind.CALL_ENDED))
    assert (await next_event(answer))[1] == "call.ended"


async def test_an_id_nobody_was_given_begins_now(api: Any, exchange: Any) -> None:
    answer = await opened(api, last="9" * 19)
    await block(answer)
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    assert (await next_event(answer))[1] == "call.started"


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 20, "٣"])
async def test_an_id_that_is_none_is_a_mistake(api: Any, last: str) -> None:
    assert (await opened(api, last=last)).status == 400


async def test_an_unkept_call_is_told_of_to_its_owner_alone(api: Any, exchange: Any) -> None:
    streams = {key: await opened(api, key) for key in ("anna", "bert", "watcher", "strangers")}
    for answer in streams.values():
        await block(answer)
    secret, known = exchange.call(**UNKEPT), exchange.call("bert")
    exchange.publish(secret, exchange.event(secret, EventKind.CALL_STARTED))
    exchange.publish(known, exchange.event(known, EventKind.RECORDING_PAUSED))
    assert (await next_event(streams["anna"]))[2]["call"] == secret.recording_id
    assert (await next_event(streams["bert"]))[2]["call"] == known.recording_id
    assert (await next_event(streams["watcher"]))[2]["call"] == known.recording_id
    exchange.publish(secret, exchange.event(secret, EventKind.CALL_ENDED))
    exchange.publish(known, exchange.event(known, EventKind.RECORDING_RESUMED))
    assert (await next_event(streams["watcher"]))[1] == "recording.resumed"


async def test_more_events_than_one_portion_all_arrive_in_order(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVENTS_PER_READ", 3)
    monkeypatch.setattr(events, "SPACING_S", 0.0)
    answer = await opened(api)
    await block(answer)
    call = exchange.call()
    exchange.publish(call, *(exchange.event(call, EventKind.RECORDING_PAUSED, n=n) for n in range(10)))
    assert [(await next_event(answer))[2]["data"]["n"] for _ in range(10)] == list(range(10))


async def test_a_silent_stream_tells_again_and_again_that_it_is_alive(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(events, "SPACING_S", 0.01)
    answer = await opened(api)
    await block(answer)
    for _ in range(2):
        assert await block(answer) == 'event: heartbeat\ndata: {"type":"heartbeat"}\n'


async def test_a_stream_tells_when_a_recorder_falls_silent_and_when_it_is_back(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "NODES_S", 0.05)
    answer = await opened(api)
    await block(answer)
    exchange.lose()
    told = 'event: recorders.changed\ndata: {"type":"recorders.changed"}\n'
    assert await block(answer) == told
    exchange.there = True
    assert await block(answer) == told


async def test_what_no_notification_tells_of_arrives_all_the_same(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(api.client.app[STREAMS]._notices, "start", lambda: None)
    answer = await opened(api)
    await block(answer)
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    assert (await next_event(answer))[1] == "call.started"


async def test_a_right_that_was_taken_away_ends_the_stream(
    api: Any, exchange: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGAIN_S", 0.1)
    made = accounts.add_api_client(
        api.house.operator, api.house.tenant_id, "for a day", ["calls:read"], now=clock.now()
    )
    api.house.keys["for a day"] = made.key
    answer = await opened(api, "for a day")
    await block(answer)
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    await next_event(answer)
    with api.house.operator.transaction(api.house.tenant_id) as connection:
        connection.execute(api_clients.delete().where(api_clients.c.id == made.id))
    assert await block(answer) == ""
    assert (await opened(api, "for a day")).status == 401


async def test_a_scope_that_was_taken_away_ends_the_stream_too(
    api: Any, exchange: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGAIN_S", 0.1)
    made = accounts.add_api_client(
        api.house.operator, api.house.tenant_id, "narrowed", ["calls:read"], now=clock.now()
    )
    api.house.keys["narrowed"] = made.key
    answer = await opened(api, "narrowed")
    await block(answer)
    with api.house.operator.transaction(api.house.tenant_id) as connection:
        own = api_clients.update().where(api_clients.c.id == made.id)
        connection.execute(own.values(scopes=["sessions:read"]))
    assert await block(answer) == ""


async def test_a_session_that_is_over_ends_its_stream(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed out, or idle: the stream itself is no activity."""
    monkeypatch.setattr(events, "AGAIN_S", 0.1)
    house, anna = api.house, api.house.people["anna"]
    begun = house.services().clock.now() - timedelta(minutes=29)
    for ends in (True, False):
        with house.portal.transaction(house.tenant_id) as connection:
            token, session = portal_sessions.open_session(
                connection,
                house.tenant_id,
                anna.id,
                stage=Stage.SIGNED_IN,
                proofs=[Proof.PASSWORD],
                now=begun,
            )
        answer = await api.client.get("/v1/events", headers={"Cookie": f"ew_session={token}"})
        assert answer.status == 200
        await block(answer)
        with house.portal.transaction(house.tenant_id) as connection:
            columns = tables.portal_sessions.c
            own = tables.portal_sessions.update().where(columns.id == session.id)
            if ends:
                portal_sessions.end(connection, house.tenant_id, anna.id, session.id)
            else:
                connection.execute(own.values(seen_at=begun - timedelta(minutes=2)))
        assert await block(answer) == ""


async def test_an_open_stream_keeps_no_session_open(api: Any) -> None:
    house, anna = api.house, api.house.people["anna"]
    now = house.services().clock.now()
    with house.portal.transaction(house.tenant_id) as connection:
        token, session = portal_sessions.open_session(
            connection, house.tenant_id, anna.id, stage=Stage.SIGNED_IN, proofs=[Proof.PASSWORD], now=now
        )
    later = now + timedelta(minutes=10)
    found = portal_sessions.find(house.portal, token, now=later, noting=False)
    assert found is not None
    assert found.session.seen_at == now
    noted = portal_sessions.find(house.portal, token, now=later)
    assert noted is not None
    assert noted.session.seen_at == later
    assert noted.session.idle_ends_at == later + timedelta(minutes=30)
    with house.portal.transaction(house.tenant_id) as connection:
        portal_sessions.end(connection, house.tenant_id, anna.id, session.id)


async def test_a_database_that_goes_away_ends_the_stream_so_that_the_client_comes_back(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGAIN_S", 0.1)

    def away(catalogue: object, key: str) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    answer = await opened(api)
    await block(answer)
    monkeypatch.setattr(accounts, "authenticate_key", away)
    assert await block(answer) == ""


async def test_streams_are_bounded_for_each_caller_and_for_all(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAMS_PER_ACTOR_MAX", 2)
    monkeypatch.setattr(events, "STREAMS_COUNT_MAX", 3)
    held = [await opened(api, key) for key in ("anna", "anna", "bert")]
    assert [answer.status for answer in held] == [200, 200, 200]
    many, full = await opened(api, "anna"), await opened(api, "watcher")
    assert many.status == 429
    assert "close one first" in (await many.json(content_type=None))["detail"]
    assert full.status == 503
    assert full.headers["Retry-After"]
    streams = api.client.app[STREAMS]
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    held[0].close()
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    async with asyncio.timeout(PATIENCE_S):
        while len(streams._bells) > 2:
            await asyncio.sleep(0.02)
    assert (await opened(api, "anna")).status == 200


async def test_the_stream_stands_in_the_audit_log_before_its_first_octet(api: Any, exchange: Any) -> None:
    before = len(audit_entries.of_object(api.house.portal, api.house.tenant_id, "events"))
    answer = await opened(api)
    entries = audit_entries.of_object(api.house.portal, api.house.tenant_id, "events")[before:]
    assert [(entry.action, entry.result) for entry in entries] == [("events.opened", "ok")]
    answer.close()


async def test_a_portal_that_stops_ends_its_streams(api: Any, exchange: Any) -> None:
    answer = await opened(api)
    await block(answer)
    await api.client.server.close()
    assert await block(answer) == ""


async def test_news_is_read_once_for_all_streams_of_a_tenant(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = api.client.app[STREAMS]
    tenant_id = api.house.tenant_id
    reads: list[str] = []
    real = events.call_events.newest

    def newest(catalogue: Any, tenant: Any) -> int:
        reads.append(tenant)
        return real(catalogue, tenant)

    monkeypatch.setattr(events.call_events, "newest", newest)
    assert await streams.newest(tenant_id) == await streams.newest(tenant_id)
    assert len(reads) == 1
    streams._ring()
    await streams.newest(tenant_id)
    streams.doubt(tenant_id)
    await streams.newest(tenant_id)
    assert len(reads) == 3


async def test_a_client_that_does_not_read_is_let_go(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(response: object, text: bytes) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(events.web.StreamResponse, "write", stuck)
    answer = await opened(api)
    with pytest.raises(ClientPayloadError):
        await block(answer)
    async with asyncio.timeout(PATIENCE_S):
        while api.client.app[STREAMS]._bells:
            await asyncio.sleep(0.01)


async def test_a_defect_breaks_the_stream_and_looks_like_no_event(
    api: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(stored: object) -> str:
        raise ValueError("A defect.")

    monkeypatch.setattr(events, "event_text", broken)
    answer = await opened(api)
    await block(answer)
    call = exchange.call()
    exchange.publish(call, exchange.event(call, EventKind.CALL_STARTED))
    with pytest.raises(ClientPayloadError):
        await block(answer)
