"""Dialogs together: their limit, whether the peer still knows one, and life after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recorder.errors import LocalDefect
from recorder.sip import user_agent
from recorder.sip.dialog_layer import DIALOG_COUNT_MAX, DIALOG_RESERVE_COUNT_MAX
from recorder.sip.event import DialogEnded, OfferReceived, ProbeAnswered
from recorder.sip.message import Request, Response

if TYPE_CHECKING:
    from tests.unit.recorder.sip.conftest import Client

SESSION_TIMER = [("Supported", "timer"), ("Session-Expires", "1800;refresher=uac")]


def requests(sent: list[tuple[float, Request | Response]]) -> list[tuple[float, str]]:
    return [(at, item.method) for at, item in sent if isinstance(item, Request)]


def test_dialog_count_max_objects_to_a_call_and_the_reserve_still_takes_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_an_ended_dialog_makes_room(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_agent, "DIALOG_COUNT_MAX", 1)
    client.established()
    client.send(client.message("BYE", 2))
    client.events()
    client.call_id, client.to_tag = "call-2", ""
    assert client.invited().objection is None


def test_the_real_limits_exceed_what_one_node_records() -> None:
    assert DIALOG_COUNT_MAX >= 10_000
    assert DIALOG_RESERVE_COUNT_MAX > 0


@pytest.mark.parametrize("method", ["BYE", "OPTIONS"])
def test_a_request_of_ours_shows_our_contact(client: Client, method: str) -> None:
    client.established()
    verb = client.agent.bye if method == "BYE" else client.agent.probe
    assert verb(client.dialog_id, client.now)
    (request,) = client.sent()
    assert request.method == method
    assert request.headers.first("Contact") == "<sip:srs@127.0.0.1:5060>;+sip.srs"
    assert request.defects == ()


class TestProbe:
    @pytest.mark.parametrize(("status", "alive"), [(200, True), (405, True), (500, True), (408, False)])
    def test_tells_whether_the_client_knows_the_dialog(
        self, client: Client, status: int, alive: bool
    ) -> None:
        client.established()
        assert client.agent.probe(client.dialog_id, client.now)
        assert not client.agent.probe(client.dialog_id, client.now)
        (options,) = client.sent()
        assert (options.method, options.to_address.tag) == ("OPTIONS", "src-tag")
        client.send(Response(status, "", options.headers).to_bytes())
        assert client.events() == [ProbeAnswered(client.dialog_id, alive)]
        assert client.agent.probe(client.dialog_id, client.now)

    def test_that_finds_the_dialog_lost_ends_it(self, client: Client) -> None:
        client.established()
        client.agent.probe(client.dialog_id, client.now)
        (options,) = client.sent()
        client.send(Response(481, "", options.headers).to_bytes())
        assert client.events() == [
            ProbeAnswered(client.dialog_id, alive=False),
            DialogEnded(client.dialog_id, "gone", None),
        ]

    def test_nobody_answers_is_no_sign_of_life(self, client: Client) -> None:
        client.established()
        client.agent.probe(client.dialog_id, client.now)
        client.advance(33)
        assert client.event() == ProbeAnswered(client.dialog_id, alive=False)

    def test_answers_of_strangers_are_counted(self, client: Client) -> None:
        client.send(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nCSeq: 1 OPTIONS\r\n\r\n")
        assert client.agent.counters["stray response"] == 1


class TestCrash:
    def test_a_restored_dialog_goes_on(self, client: Client, make_client: type[Client]) -> None:
        client.established(client.invite(headers=SESSION_TIMER))
        snapshot = client.agent.snapshot(client.dialog_id)
        after = make_client()
        after.to_tag = client.to_tag
        assert after.agent.restore(snapshot, after.now) == client.dialog_id
        assert after.statuses(after.message("OPTIONS", 1)) == [200]
        assert after.statuses(after.message("OPTIONS", 0)) == [500]
        after.send(after.invite(2))
        assert isinstance(after.event(), OfferReceived)
        assert requests(after.advance(1800))[-1][1] == "BYE"
        assert after.event().reason == "session timer"

    def test_our_numbers_go_on_above_those_already_used(
        self, client: Client, make_client: type[Client]
    ) -> None:
        client.established()
        snapshot = client.agent.snapshot(client.dialog_id)
        client.agent.probe(client.dialog_id, client.now)
        (before,) = client.sent()
        after = make_client()
        after.agent.restore(snapshot, after.now)
        after.agent.bye(client.dialog_id, after.now)
        (bye,) = after.sent()
        assert bye.cseq.number > before.cseq.number
        assert bye.from_address.tag == client.to_tag

    def test_a_forgotten_dialog_is_unknown(self, client: Client) -> None:
        client.established()
        client.agent.forget(client.dialog_id)
        client.agent.forget(client.dialog_id)
        assert client.statuses(client.message("OPTIONS", 2)) == [481]
        with pytest.raises(LocalDefect):
            client.agent.snapshot(client.dialog_id)
