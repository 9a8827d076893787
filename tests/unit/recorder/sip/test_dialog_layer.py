"""The limits of the table of dialogs."""

from __future__ import annotations

import pytest

from recorder.sip import user_agent
from recorder.sip.dialog_layer import DIALOG_COUNT_MAX, DIALOG_RESERVE_COUNT_MAX


def test_dialog_count_max_objects_to_a_call_and_the_reserve_still_takes_one(client, monkeypatch):
    monkeypatch.setattr(user_agent, "DIALOG_COUNT_MAX", 2)
    monkeypatch.setattr(user_agent, "DIALOG_RESERVE_COUNT_MAX", 1)
    objections = []
    for number in range(3):
        client.call_id, client.to_tag = f"call-{number}", ""
        event = client.invited()
        objections.append(event.objection and event.objection.status)
        client.agent.respond(event.key, 200, now=client.now)
        client.sent()
    assert objections == [None, None, 503]
    client.call_id = "call-4"
    (response,) = client.send(client.invite())
    assert (response.status, response.headers.first("Retry-After")) == (503, "30")
    assert client.events() == []


def test_an_ended_dialog_makes_room(client, monkeypatch):
    monkeypatch.setattr(user_agent, "DIALOG_COUNT_MAX", 1)
    client.established()
    client.send(client.message("BYE", 2))
    client.events()
    client.call_id, client.to_tag = "call-2", ""
    assert client.invited().objection is None


def test_the_real_limits_exceed_what_one_node_records():
    assert DIALOG_COUNT_MAX >= 10_000
    assert DIALOG_RESERVE_COUNT_MAX > 0


@pytest.mark.parametrize("method", ["BYE", "OPTIONS"])
def test_a_request_of_ours_shows_our_contact(client, method):
    client.established()
    verb = client.agent.bye if method == "BYE" else client.agent.probe
    assert verb(client.dialog_id, client.now)
    (request,) = client.sent()
    assert request.method == method
    assert request.headers.first("Contact") == "<sip:srs@127.0.0.1:5060>;+sip.srs"
    assert request.defects == ()
