"""Matching, timers and limits of all transactions together."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from recorder.sip import transaction_layer
from recorder.sip.message import Flow, Request, Response
from recorder.sip.parser import parse
from recorder.sip.transaction import TransactionKey
from recorder.sip.transaction_layer import Arrival, TransactionLayer, key_of

UDP = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.2", 5070))
TCP = Flow("tcp", ("127.0.0.1", 5060), ("127.0.0.2", 5070), 1)


def request(
    method: str, branch: str = "z9hG4bK1", *, call_id: str = "i", to: str = "", via: str = "h", cseq: int = 1
) -> Request:
    text = (
        f"{method} sip:a SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch={branch}\r\nFrom: <sip:c@d>;tag=1\r\n"
        f"To: <sip:a>{to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\r\n"
    )
    message = parse(text.encode())
    assert isinstance(message, Request)
    return message


def receive(layer: TransactionLayer, message: Request, flow: Flow = UDP, now: float = 0.0) -> Arrival:
    return layer.receive_request(message, flow, flow, now)


def run(layer: TransactionLayer, until: float) -> list[float]:
    """Fire all timers up to `until`; returns when something was sent."""
    sent = []
    while (at := layer.get_timer()) is not None and at <= until:
        layer.handle_timer(at)
        sent += [at] * len(layer.outbox)
        layer.outbox.clear()
    return sent


def test_branch_sent_by_and_method_tell_transactions_apart() -> None:
    layer = TransactionLayer()
    assert receive(layer, request("OPTIONS")) is Arrival.NEW
    assert receive(layer, request("OPTIONS")) is Arrival.ABSORBED
    assert receive(layer, request("OPTIONS", via="other")) is Arrival.NEW
    assert receive(layer, request("OPTIONS", via="h:5060")) is Arrival.NEW
    assert receive(layer, request("OPTIONS", "z9hG4bK2")) is Arrival.NEW
    assert receive(layer, request("INFO")) is Arrival.NEW
    assert len(layer) == 5


def test_an_ack_has_the_key_of_its_invite_also_without_the_magic_cookie() -> None:
    assert key_of(request("ACK")) == key_of(request("INVITE"))
    old, ack = request("INVITE", "1"), request("ACK", "1", to=";tag=x")
    assert key_of(old) == key_of(ack)
    assert key_of(old) != key_of(request("INVITE", "1", call_id="j"))
    assert key_of(old) != key_of(request("INVITE", "1", cseq=2))


def test_the_ack_of_a_refusal_is_absorbed_and_that_of_a_success_passed_on() -> None:
    layer = TransactionLayer()
    for branch, status, arrival in (
        ("z9hG4bK1", 486, Arrival.ABSORBED),
        ("z9hG4bK2", 200, Arrival.ACK_OF_SUCCESS),
    ):
        invite = request("INVITE", branch, call_id=branch)
        receive(layer, invite)
        layer.respond(key_of(invite), status, b"x", 0.0)
        assert receive(layer, request("ACK", branch, call_id=branch)) is arrival
    assert receive(layer, request("ACK", "z9hG4bK3")) is Arrival.ACK_OF_SUCCESS


def test_an_ack_before_any_answer_changes_nothing() -> None:
    layer = TransactionLayer()
    receive(layer, request("INVITE"))
    assert receive(layer, request("ACK")) is Arrival.ABSORBED
    assert layer.awaits_answer(key_of(request("INVITE")))


def test_a_refusal_is_repeated_by_timer_g_until_timer_h() -> None:
    layer = TransactionLayer()
    receive(layer, request("INVITE"))
    layer.respond(key_of(request("INVITE")), 486, b"x", 0.0)
    layer.outbox.clear()
    assert run(layer, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert len(layer) == 0


@pytest.mark.parametrize(
    ("method", "status", "flow", "ends_at"),
    [
        ("INVITE", 200, UDP, 32.0),  # timer L
        ("INVITE", 200, TCP, 32.0),
        ("OPTIONS", 200, UDP, 32.0),  # timer J
        ("OPTIONS", 200, TCP, 0.0),
        ("INVITE", 486, TCP, 32.0),  # timer H
    ],
)
def test_a_server_transaction_lives_as_long_as_its_timer_says(
    method: str, status: int, flow: Flow, ends_at: float
) -> None:
    layer = TransactionLayer()
    receive(layer, request(method), flow)
    layer.respond(key_of(request(method)), status, b"x", 0.0)
    layer.outbox.clear()
    assert layer.get_timer() is not None
    run(layer, ends_at - 0.001)
    assert len(layer) == 1
    run(layer, ends_at)
    assert len(layer) == 0
    assert layer.get_timer() is None


@pytest.mark.parametrize(("flow", "ends_at"), [(UDP, 5.0), (TCP, 0.0)])
def test_after_its_ack_a_refused_invite_lingers_for_timer_i(flow: Flow, ends_at: float) -> None:
    layer = TransactionLayer()
    receive(layer, request("INVITE"), flow)
    layer.respond(key_of(request("INVITE")), 486, b"x", 0.0)
    receive(layer, request("ACK"), flow)
    assert receive(layer, request("ACK"), flow) is Arrival.ABSORBED
    assert layer.get_timer() == ends_at


def test_a_client_repeats_by_timer_e_and_gives_up_by_timer_f() -> None:
    layer = TransactionLayer()
    key = TransactionKey("z9hG4bKc", "", "BYE")
    layer.send(key, b"x", UDP, 0.0)
    layer.outbox.clear()
    assert run(layer, 31.9) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert layer.handle_timer(32.0) == [key]
    assert len(layer) == 0


def test_a_client_slows_down_after_a_provisional_answer_and_stops_after_a_final_one() -> None:
    layer = TransactionLayer()
    key = TransactionKey("z9hG4bKc", "", "BYE")
    response = Response(100, "", request("BYE").headers)
    layer.send(key, b"x", UDP, 0.0)
    layer.outbox.clear()
    assert not layer.receive_response(key, response, 0.1)
    assert run(layer, 9) == [0.5, 4.5, 8.5]
    final = Response(200, "", request("BYE").headers)
    assert layer.receive_response(key, final, 9.0)
    assert not layer.receive_response(key, final, 9.1)
    assert not layer.receive_response(key, response, 9.1)
    assert run(layer, 13.9) == []
    assert len(layer) == 1
    run(layer, 14.0)
    assert len(layer) == 0


def test_a_client_over_tcp_does_not_repeat() -> None:
    layer = TransactionLayer()
    layer.send(TransactionKey("z9hG4bKc", "", "BYE"), b"x", TCP, 0.0)
    layer.outbox.clear()
    assert run(layer, 31.9) == []


def test_a_response_to_a_request_of_the_peer_matches_nothing() -> None:
    layer = TransactionLayer()
    receive(layer, request("BYE"))
    assert not layer.receive_response(key_of(request("BYE")), Response(200, "", request("BYE").headers), 0.0)


def test_transaction_count_max_refuses_requests_and_its_reserve_still_takes_invites(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transaction_layer, "TRANSACTION_COUNT_MAX", 10)
    monkeypatch.setattr(transaction_layer, "INVITE_RESERVE_COUNT_MAX", 2)
    layer = TransactionLayer()
    arrivals = [receive(layer, request("OPTIONS", f"z9hG4bK{number}")) for number in range(11)]
    assert arrivals == [Arrival.NEW] * 10 + [Arrival.REFUSED]
    assert layer.crowded
    invites = [receive(layer, request("INVITE", f"z9hG4bKi{n}", call_id=str(n))) for n in range(3)]
    assert invites == [Arrival.NEW, Arrival.NEW, Arrival.REFUSED]
    assert receive(layer, request("OPTIONS", "z9hG4bK3")) is Arrival.ABSORBED


def test_the_real_limits_leave_room_for_the_load_of_a_node() -> None:
    assert transaction_layer.TRANSACTION_COUNT_MAX >= 8_000
    assert transaction_layer.INVITE_RESERVE_COUNT_MAX > 0


def test_an_identity_is_free_again_when_its_transaction_ended() -> None:
    layer = TransactionLayer()
    receive(layer, request("INVITE"))
    assert receive(layer, request("INVITE", "z9hG4bK2")) is Arrival.MERGED
    layer.respond(key_of(request("INVITE")), 200, b"x", 0.0)
    run(layer, 32)
    assert receive(layer, request("INVITE", "z9hG4bK3"), now=33.0) is Arrival.NEW


def operations(layer: TransactionLayer, message: Request, now: float) -> int:
    """Count the bytecode instructions of receiving, answering and one round of timers."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        receive(layer, message, now=now)
        layer.respond(key_of(message), 200, b"x", now)
        layer.handle_timer(now)
        layer.get_timer()
    finally:
        sys.settrace(previous)
    return count


def crowd(size: int) -> TransactionLayer:
    layer = TransactionLayer()
    for number in range(size):
        live = request("INVITE" if number % 2 else "OPTIONS", f"z9hG4bK{number}", call_id=str(number))
        receive(layer, live, now=number * 0.001)
        if number % 4 < 2:
            layer.respond(key_of(live), 200, b"x", number * 0.001)
    assert len(layer) == size
    return layer


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_8000_live_transactions_do_not_make_one_message_dearer(method: str) -> None:
    few = operations(crowd(8), request(method, "z9hG4bKnew", call_id="new"), 8.0)
    many = operations(crowd(8_000), request(method, "z9hG4bKnew", call_id="new"), 8.0)
    assert few > 100
    assert many <= few * 1.05
