"""No bytes make the agent raise, and none make its memory or its work grow without bound."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sip.capability import Identity, Leniency
from recorder.sip.event import CapabilitiesAsked, InformationReceived, InvitationReceived, OfferReceived
from recorder.sip.message import Flow
from recorder.sip.user_agent import UserAgentServer

UDP = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.2", 5070))
TCP = Flow("tcp", ("127.0.0.1", 5060), ("127.0.0.2", 40_000), 3)

LINES = [
    b"Via: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK1;rport", b"v: SIP/2.0/TCP [::1];branch=z9hG4bK2", b"Via: x",
    b"Via: SIP/2.0/UDP h;branch=1", b"From: <sip:a@b>;tag=1", b'f: "x <sip:a@b>;tag=1', b"f: <sip:a", b"From: sip:a;tag=2",
    b"To: <sip:c@d>", b"To: <sip:c@d>;tag=TAG", b't: "\\"', b"Call-ID: i", b"Call-ID: j", b"CSeq: 1 INVITE", b"CSeq: 2 INVITE",
    b"CSeq: 2 BYE", b"CSeq: 1 CANCEL", b"CSeq: 1 ACK", b"CSeq: 9 OPTIONS", b"CSeq: 3 UPDATE", b"CSeq: -1", b"Contact: *",
    b"m: <sip:a@127.0.0.9:99999>", b"Contact: <sip:a@127.0.0.9;transport=tcp>", b"Record-Route: <sip:x>, <tel:1>",
    b"Record-Route: <sip:[::1]:5070;lr>", b"Require: siprec, foo\x00bar", b"k: timer", b"x: 90", b"x: 1;;", b"Content-Length: 5",
    b"l: -5", b"l: 99999999", b"c: application/sdp", b"c: multipart/mixed;boundary=b", b"Content-Encoding: \xff", b" folded",
    b"\tfolded", b":", b"Max-Forwards: 256", b"X: " + b"y" * 9000, b"Timestamp: \r1", b'Warning: "',
]  # fmt: skip
METHODS = [b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS", b"UPDATE", b"INFO", b"PRACK", b"REGISTER", b"X"]
START_LINES = [
    *(method + b" sip:a@b SIP/2.0" for method in METHODS), b"SIP/2.0 200 OK", b"SIP/2.0 481 x", b"INVITE tel:112 SIP/2.0",
    b"INVITE  <x> SIP/9", b"", b"\xff\xfe SIP/2.0",
]  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw a message of plausible and implausible lines in any order."""
    lines = draw(st.lists(st.sampled_from(LINES), max_size=14))
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    body = draw(st.sampled_from([b"", b"v=0\r\n", b"--b\r\n\r\nx\r\n--b--"]))
    return end.join([draw(st.sampled_from(START_LINES)), *lines, b"", body])


def play(agent: UserAgentServer, data: bytes, flow: Flow, now: float, choose: random.Random) -> bytes:
    """Deliver bytes, answer whatever is asked at random, let timers run; returns a local tag if one was sent."""
    agent.receive(data, flow, now)
    while (event := agent.next_event()) is not None:
        if isinstance(event, (InvitationReceived, OfferReceived, InformationReceived, CapabilitiesAsked)):
            made = agent.respond(event.key, choose.choice([180, 200, 200, 200, 404]), body=b"v=0", now=now)
            if made is not None and choose.random() < 0.3:
                choose.choice([agent.bye, agent.probe])(made, now)
            if made is not None and choose.random() < 0.2:
                agent.forget(made)
    agent.handle_timer(now)
    tag = b""
    for way, sent in agent.datagrams_to_send():
        assert way.remote[1] <= 65_535
        if b";tag=" in sent:
            tag = sent.rpartition(b";tag=")[2].partition(b"\r")[0]
    agent.connections_to_close()
    return tag


def agent_for(seed: int) -> UserAgentServer:
    octets = random.Random(seed)
    return UserAgentServer(Identity(), octets.randbytes, lambda _: Leniency(run_together_tags=bool(seed % 2)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 99))
def test_arbitrary_bytes_never_raise(segments: list[bytes], seed: int) -> None:
    agent = agent_for(seed)
    for number, data in enumerate(segments):
        for flow in (UDP, TCP):
            play(agent, data, flow, float(number), random.Random(seed))


@settings(max_examples=150, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=8), st.integers(0, 99), st.sampled_from([UDP, TCP]))
def test_messages_of_shuffled_lines_never_raise_whatever_they_are_answered(
    played: list[bytes], seed: int, flow: Flow
) -> None:
    agent, choose = agent_for(seed), random.Random(seed)
    tag, now = b"TAG", 0.0
    for data in played:
        tag = play(agent, data.replace(b"TAG", tag or b"TAG"), flow, now, choose) or tag
        now += choose.choice([0.0, 0.1, 1.0, 33.0])
    for _ in range(400):
        at = agent.get_timer()
        if at is None:
            break
        now = max(now, at)
        agent.handle_timer(now)
        while agent.next_event() is not None:
            pass
    assert agent.get_timer() is None
    assert len(agent._transactions) == 0
    assert not agent._asked


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_flipped_octet_never_raises(data: st.DataObject) -> None:
    whole = (
        b'INVITE sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1;rport\r\nFrom: "A" <sip:a@b>;tag=1\r\n'
        b"To: <sip:c@d>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.2>\r\nRequire: siprec\r\n"
        b"Session-Expires: 90\r\nSupported: timer\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"
    )  # fmt: skip
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for flow in (UDP, TCP):
        play(agent_for(1), bytes(changed), flow, 0.0, random.Random(1))
