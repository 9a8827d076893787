"""Which way messages go, and what a connection may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.sip.framing import STREAM_BROKEN_S_MAX
from recorder.sip.message import Flow, Response

if TYPE_CHECKING:
    from tests.unit.recorder.sip.conftest import Client


class TestConnection:
    def test_answers_go_back_over_it(self, tcp_client: Client) -> None:
        tcp_client.agent.receive(tcp_client.invite(), tcp_client.flow, 0.0)
        ((flow, _),) = tcp_client.agent.datagrams_to_send()
        assert flow == tcp_client.flow

    def test_our_bye_uses_it_while_it_is_there_and_opens_another_after(self, tcp_client: Client) -> None:
        tcp_client.established(
            tcp_client.invite(without=["Contact"], headers=[("m", "<sip:a@127.0.0.3:99>")])
        )
        agent = tcp_client.agent
        assert agent.probe(tcp_client.dialog_id, tcp_client.now)
        assert agent.datagrams_to_send()[0][0] == tcp_client.flow
        agent.connection_lost(tcp_client.flow.connection_id)
        assert agent.bye(tcp_client.dialog_id, tcp_client.now)
        assert agent.datagrams_to_send()[0][0] == Flow("tcp", ("127.0.0.1", 5060), ("127.0.0.3", 99), 0)

    def test_a_ping_gets_a_pong(self, tcp_client: Client) -> None:
        tcp_client.agent.receive(b"\r\n\r\n", tcp_client.flow, 0.0)
        assert tcp_client.agent.datagrams_to_send() == [(tcp_client.flow, b"\r\n")]

    def test_garbage_on_it_has_it_closed(self, tcp_client: Client) -> None:
        tcp_client.agent.receive(b"GET / HTTP/1.1\r\n\r\n", tcp_client.flow, 0.0)
        assert tcp_client.agent.connections_to_close() == [7]
        assert tcp_client.agent.connections_to_close() == []

    def test_a_request_that_broke_a_limit_can_still_be_answered_over_it(self, tcp_client: Client) -> None:
        event = tcp_client.invited(tcp_client.invite().replace(b"Content-Length: ", b"Content-Length: x"))
        assert event.objection is not None
        assert tcp_client.agent.connections_to_close() == []
        tcp_client.agent.respond(event.key, 200, now=tcp_client.now)
        assert [message.status for message in tcp_client.sent() if isinstance(message, Response)] == [200]
        assert tcp_client.send(tcp_client.message("OPTIONS", 2)) == []
        tcp_client.advance(STREAM_BROKEN_S_MAX)
        assert tcp_client.agent.connections_to_close() == [7]

    def test_idle_has_it_closed(self, tcp_client: Client) -> None:
        tcp_client.send(tcp_client.message("FOO", 1))
        tcp_client.advance(7201)
        assert tcp_client.agent.connections_to_close() == [7]

    def test_garbage_datagrams_are_counted(self, client: Client) -> None:
        for data in (b"", b"\r\n\r\n", b"\x00", b"\x80\x08garbage", b"GET / HTTP/1.0\r\n\r\n"):
            assert client.send(data) == []
        assert client.agent.counters == {"garbage": 2, "keep-alive": 3}


class TestWayBack:
    def test_follows_rport_or_else_the_port_of_the_via(self, client: Client) -> None:
        agent = client.agent
        agent.receive(client.message("FOO", 1), client.flow._replace(remote=("127.0.0.2", 61_000)), 0.0)
        assert agent.datagrams_to_send()[0][0].remote == ("127.0.0.2", 61_000)
        data = client.message("FOO", 2).replace(b";rport", b"")
        agent.receive(data, client.flow._replace(remote=("127.0.0.2", 61_000)), 0.0)
        ((flow, response),) = agent.datagrams_to_send()
        assert flow.remote == ("127.0.0.2", 5070)
        assert b";received=" not in response

    def test_goes_to_the_real_host_whatever_the_via_says(self, client: Client) -> None:
        agent = client.agent
        agent.receive(client.message("FOO", 1), client.flow._replace(remote=("10.9.8.7", 5070)), 0.0)
        ((flow, response),) = agent.datagrams_to_send()
        assert flow.remote == ("10.9.8.7", 5070)
        assert b";received=10.9.8.7;rport=5070" in response
