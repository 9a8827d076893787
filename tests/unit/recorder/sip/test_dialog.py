"""A dialog: where its requests go, and how it survives in the journal."""

from __future__ import annotations

import dataclasses
import json

import pytest

from recorder.sip.dialog import SEQUENCE_GAP_AFTER_RESTORE, Dialog, DialogId, DialogSnapshot
from recorder.sip.headers import Headers
from recorder.sip.message import Flow, Request

ID = DialogId("i", "ours", "theirs")
UDP = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 61_000))
TCP = Flow("tcp", ("10.0.0.1", 5060), ("10.0.0.2", 61_000), 5)


def dialog(
    flow: Flow = UDP, contact: str = "<sip:src@10.0.0.3:5080>", routes: tuple[str, ...] = ()
) -> Dialog:
    headers = Headers([("From", "<sip:c@d>;tag=theirs"), ("To", "<sip:a@b>"), ("CSeq", "7 INVITE")])
    if contact:
        headers.add("Contact", contact)
    for route in routes:
        headers.add("Record-Route", route)
    return Dialog.accept(Request("INVITE", "sip:a@b", headers), ID, flow)


@pytest.mark.parametrize(
    ("flow", "contact", "routes", "way"),
    [
        (UDP, "<sip:s@10.0.0.3:5080>", (), ("udp", ("10.0.0.3", 5080))),
        (UDP, "<sip:s@10.0.0.3>", (), ("udp", ("10.0.0.3", 5060))),
        (UDP, "<sip:s@[2001:db8::3]>", (), ("udp", ("2001:db8::3", 5060))),
        (UDP, "<sip:s@10.0.0.3;transport=TCP>", (), ("tcp", ("10.0.0.3", 5060))),
        (UDP, "<sips:s@10.0.0.3>", (), ("tls", ("10.0.0.3", 5061))),
        (UDP, "<sip:s@10.0.0.3;transport=sctp>", (), ("udp", ("10.0.0.3", 5060))),
        (UDP, "<sip:s@name.example>", (), ("udp", ("10.0.0.2", 61_000))),
        (UDP, "", (), ("udp", ("10.0.0.2", 61_000))),
        (UDP, "<tel:112>", (), ("udp", ("10.0.0.2", 61_000))),
        (UDP, "<sip:s@10.0.0.3>", ("<sip:10.0.0.9;lr>",), ("udp", ("10.0.0.9", 5060))),
        (TCP, "<sip:s@10.0.0.3:5080>", (), ("tcp", ("10.0.0.3", 5080))),
    ],
)
def test_a_request_goes_to_the_next_hop_that_is_numeric(
    flow: Flow, contact: str, routes: tuple[str, ...], way: tuple[str, tuple[str, int]]
) -> None:
    out = dialog(flow, contact, routes).way_out(connection_open=False)
    assert (out.transport, out.remote) == way
    assert out.connection_id == 0


def test_a_request_goes_over_the_open_connection() -> None:
    assert dialog(TCP).way_out(connection_open=True) == TCP


def test_our_requests_count_up_and_carry_the_tags() -> None:
    subject = dialog(routes=("<sip:10.0.0.9;lr>, <sip:10.0.0.8;lr>",))
    first = subject.make_request("OPTIONS", UDP, "<sip:us>", "z9hG4bKx")
    second = subject.make_request("BYE", UDP, "<sip:us>", "z9hG4bKy")
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert second.uri == "sip:src@10.0.0.3:5080"
    assert second.headers.all("Route") == ("<sip:10.0.0.9;lr>", "<sip:10.0.0.8;lr>")
    assert second.headers.first("From") == "<sip:a@b>;tag=ours"
    assert second.headers.first("To") == "<sip:c@d>;tag=theirs"
    assert str(second.top_via) == "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKy;rport"


def test_a_strict_router_gets_its_own_uri_on_the_request_line() -> None:
    request = dialog(routes=("<sip:10.0.0.9>", "<sip:10.0.0.8;lr>")).make_request("BYE", UDP, "<sip:us>", "b")
    assert request.uri == "sip:10.0.0.9"
    assert request.headers.all("Route") == ("<sip:10.0.0.8;lr>", "<sip:src@10.0.0.3:5080>")


def test_a_peer_without_a_tag_gets_none() -> None:
    subject = dialog()
    subject.id = DialogId("i", "ours", "")
    assert subject.make_request("BYE", UDP, "<sip:us>", "b").headers.first("To") == "<sip:c@d>"


def test_sequence_numbers_never_go_back() -> None:
    subject = dialog()
    assert [subject.take_sequence(number) for number in (7, 8, 20, 19, 20)] == [True, True, True, False, True]


@pytest.mark.parametrize(
    "flow", [UDP, TCP, UDP._replace(local=("2001:db8::1", 5060), remote=("2001:db8::2", 5060))]
)
def test_a_snapshot_goes_through_json_and_the_journal_and_back(flow: Flow) -> None:
    subject = dialog(flow, routes=("<sip:10.0.0.9;lr>",))
    subject.session_expires_s = 1800
    snapshot = subject.snapshot()
    fields = json.loads(json.dumps(dataclasses.asdict(snapshot)))
    assert DialogSnapshot(**{**fields, "route_set": tuple(fields["route_set"])}) == snapshot
    state = snapshot.to_state("v=0", "1")
    assert DialogSnapshot.from_state(state) == snapshot
    restored = Dialog.restore(snapshot)
    assert restored.flow == flow._replace(connection_id=0)
    assert restored.local_cseq == subject.local_cseq + SEQUENCE_GAP_AFTER_RESTORE
    assert (restored.id, restored.remote_cseq, restored.session_expires_s) == (ID, 7, 1800)


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.1", ("10.0.0.1", 5060)), ("10.0.0.1:5070", ("10.0.0.1", 5070)), ("::1", ("::1", 5060))],
)
def test_a_local_address_without_a_port_means_5060(text: str, address: tuple[str, int]) -> None:
    snapshot = dataclasses.replace(dialog().snapshot(), local_address=text)
    assert Dialog.restore(snapshot).flow.local == address
