"""Whatever arrives, it is answered or ignored, and a call that runs beside it loses no packet."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
import secrets
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from recorder.client.call import CallPlan, PlacedCall, StreamPlan, Transport
from recorder.client.session import SessionRecordingClient
from tests import at_rest
from tests.acceptance.test_what_was_said_is_what_is_heard import decoded, heard, octets, offset_of
from tests.conftest import ANNA, BEN
from tests.raw_peer import BOUNDARY, SDP, RawPeer, offer, parties, together
from tests.running_service import RunningService, eventually

CALLEE = "+31612345678"
SEED = 7866
BESIDE_S_MAX = 120.0
SIP_BODY_BYTES_MAX = 256 * 1024


class Beside:
    """A good call that runs while the tests of this module do their worst."""

    def __init__(self, service: RunningService) -> None:
        self.answered, self._loop = threading.Event(), asyncio.new_event_loop()
        self._hang_up = asyncio.Event()
        self.placed: PlacedCall | None = None
        self.plan = CallPlan(
            "127.0.0.1",
            service.sip_port,
            BEN,
            CALLEE,
            StreamPlan(octets(BESIDE_S_MAX, SEED)),
            StreamPlan(octets(BESIDE_S_MAX, SEED + 1)),
            transport=Transport.TCP,
        )
        self._thread = threading.Thread(target=self._place, name="call beside")
        self._thread.start()
        assert self.answered.wait(10), "the call beside was not answered"

    def _place(self) -> None:
        client = SessionRecordingClient()
        placing = client.place(self.plan, on_answer=lambda _: self.answered.set(), hang_up=self._hang_up)
        try:
            self.placed = self._loop.run_until_complete(placing)
        finally:
            self._loop.close()

    def end(self) -> PlacedCall:
        """Hang up and return what was sent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._hang_up.set)
            self._thread.join(30)
        assert self.placed is not None, "the call beside did not end"
        return self.placed


@pytest.fixture(scope="module")
def beside(service: RunningService) -> Iterator[Beside]:
    """The call; the last test of the module ends it, or else the end of the module does."""
    call = Beside(service)
    yield call
    call.end()


@pytest.fixture
def peer(service: RunningService, beside: Beside) -> Iterator[RawPeer]:
    """A peer of the loopback, over UDP."""
    with RawPeer(service.sip_port) as opened:
        yield opened


def alive(service: RunningService) -> None:
    """See that the recorder answers."""
    with RawPeer(service.sip_port) as asking:
        assert asking.ask("OPTIONS").status == 200


def invite(peer: RawPeer) -> bytes:
    """Return an ordinary INVITE."""
    return peer.request("INVITE", *together(offer(*peer.ports), parties(ANNA, CALLEE)))


# Datagrams and segments.


def test_noise_is_ignored(service: RunningService, peer: RawPeer) -> None:
    """Octets that are not SIP get no answer; nor do responses that nobody asked for."""
    noise = random.Random(SEED)
    for size in (1, 2, 20, 200, 1400, 9000, 65000):
        peer.send(noise.randbytes(size))
    for octets_ in (b"\r\n\r\n", b"\x00" * 50, b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"):
        peer.send(octets_)
    assert peer.maybe_final(0.3) is None
    alive(service)


def test_every_truncation_of_an_invite_is_refused_or_ignored(service: RunningService, peer: RawPeer) -> None:
    """A lost fragment must not become half a call."""
    before = at_rest.rtp_ports(service)
    whole = invite(peer)
    head_ends = whole.index(b"\r\n\r\n") + 4
    for size in (*range(10, len(whole), 61), head_ends - 2, head_ends, len(whole) - 1):
        data = whole.replace(peer.call_id.encode(), secrets.token_hex(8).encode(), 1)
        data = data.replace(b"branch=z9hG4bK", f"branch=z9hG4bK{secrets.token_hex(4)}".encode(), 1)
        peer.send(data[:size])
    statuses = set()
    while (answer := peer.maybe_final(0.3)) is not None:
        statuses.add(answer.status)
    assert statuses <= {400, 481}
    assert at_rest.rtp_ports(service) == before
    alive(service)


def test_a_message_that_is_too_large_is_refused(service: RunningService) -> None:
    """By 513 for its header fields, by 413 for its body; the connection of others lives on."""
    with RawPeer(service.sip_port, transport="tcp") as headers:
        headers.send(headers.request("OPTIONS", "", b"", *[("X-Filler", "x" * 4000)] * 20))
        assert headers.final().status == 513
    with RawPeer(service.sip_port, transport="tcp") as body:
        body.send(body.request("INVITE", SDP, b"v=0\r\n" + b"a" * (SIP_BODY_BYTES_MAX + 1)))
        assert body.final().status == 413
    alive(service)


def test_one_octet_at_a_time_is_a_call_like_any_other(service: RunningService, beside: Beside) -> None:
    """TCP promises no more than an order (RFC 3261 section 18.3)."""
    with RawPeer(service.sip_port, transport="tcp") as peer:
        peer.send(invite(peer), segment=1)
        answer = peer.final()
        assert answer.status == 200
        peer.answer_sdp, peer.to_tag = answer.body, (answer.headers.first("To") or "").partition(";tag=")[2]
        peer.send(peer.request("ACK", cseq=peer.cseq) + peer.request("OPTIONS") + peer.request("BYE"))
        assert [peer.final().status for _ in range(2)] == [200, 200]
    assert service.recording_of(peer.call_id)["parties"][0]["number"] == ANNA


def test_half_open_connections_harm_nobody(service: RunningService, beside: Beside) -> None:
    """Two hundred that say nothing, or half a message."""
    opened = []
    try:
        for number in range(200):
            connection = socket.create_connection(("127.0.0.1", service.sip_port), timeout=5)
            opened.append(connection)
            if number % 2:
                connection.sendall(b"INVITE sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1")
        alive(service)
        with RawPeer(service.sip_port, transport="tcp") as peer:
            assert peer.ask("OPTIONS").status == 200
    finally:
        for connection in opened:
            connection.close()


# Bodies.


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (f"multipart/mixed;boundary={BOUNDARY}", b"nothing is delimited here", 400),
        ("multipart/mixed", b"--\r\n--\r\n--", 400),
        (f"multipart/mixed;boundary={'b' * 200}", b"x", 400),
        (
            f"multipart/mixed;boundary={BOUNDARY}",
            f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n".encode() * 9,
            400,
        ),
        ("application/octet-stream", b"\x00\x01\x02", 415),
        (SDP, b"no description", 400),
        (SDP, b"\x00\xff" * 500, 400),
        (SDP, b"v=0\r\n" * 20_000, 400),
        (SDP, b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", 488),
        (SDP, offer(30000, kind="video"), 488),
        (
            SDP,
            offer(30000).replace(b"RTP/AVP 8", b"RTP/AVP 97").replace(b"rtpmap:8 PCMA", b"rtpmap:97 X"),
            200,
        ),
    ],
    ids=itertools.count(),
)
def test_a_body_that_cannot_be_used_is_refused(
    service: RunningService, beside: Beside, content_type: str, body: bytes, status: int
) -> None:
    """400 when it can't be read, 415 when it is something else, 488 when there is no audio to record.

    A codec nobody here can decode is archived raw, never refused.
    """
    before = at_rest.rtp_ports(service)
    with RawPeer(service.sip_port, transport="tcp") as peer:
        answer = peer.ask("INVITE", content_type, body)
        assert answer.status == status
        if status == 200:
            peer.ask("BYE")
    assert eventually(lambda: at_rest.rtp_ports(service) == before, "no socket is left")


LAUGHS = b'<!DOCTYPE r [<!ENTITY a "%s"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><recording>&b;&b;</recording>' % (
    b"ha" * 500
)


@pytest.mark.parametrize(
    "xml",
    [
        b"<recording><participant",
        LAUGHS,
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><recording>&x;</recording>',
        b"<deep>" * 20_000,
        b"<recording>" + b"<participant/>" * 15_000 + b"</recording>",
        b"<recording " + b'a="1" ' * 20_000 + b"/>",
        bytes(range(256)) * 4,
        "<recording>\u202egnp.exe</recording>".encode("utf-16")[:-7],
    ],
    ids=["cut off", "laughs", "external", "deep", "large", "attributes", "binary", "utf-16"],
)
def test_metadata_that_cannot_be_read_does_not_cost_the_recording(
    service: RunningService, beside: Beside, xml: bytes
) -> None:
    """The call is answered 200 and recorded; the octets are kept as evidence, with a flag."""
    audio = [octets(0.02, SEED + 9)]
    with RawPeer(service.sip_port, transport="tcp") as peer:
        peer.caller = f"<sip:{ANNA}@bw.example>"
        begun_s = time.monotonic()
        answer = peer.ask("INVITE", *together(offer(*peer.ports), xml))
        assert answer.status == 200
        assert time.monotonic() - begun_s < 5
        peer.talk(audio, 0.4)
        peer.ask("BYE")
    recording = service.recording_of(peer.call_id)
    assert "metadata-error" in recording["flags"]
    assert decoded(audio[0]).tobytes() in heard(service, recording["id"])[:, 0].tobytes()
    shown = service.get(f"/v1/recordings/{recording['id']}/metadata").json()
    (revision,) = shown["revisions"]
    assert base64.b64decode(revision["bodyBase64"]) == xml
    assert revision["error"]


# Media.


def test_packets_from_elsewhere_are_refused(service: RunningService, peer: RawPeer) -> None:
    """Once the source of a stream is known, nobody talks into it, nor with broken packets."""
    good, evil = [octets(0.02, SEED + 10)], octets(0.02, SEED + 11)
    assert peer.call(ANNA, CALLEE).status == 200
    peer.talk(good, 0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.3", 0))
        for port in peer.destinations():
            for _ in range(50):
                peer.packet(stranger, port, evil)
        peer.talk(good, 0.2)
        for port in peer.destinations():
            for size in (0, 1, 11, 12, 1500, 9000):
                peer.rtp[0].sendto(random.Random(size).randbytes(size), ("127.0.0.1", port))
    peer.talk(good, 0.5)
    peer.ask("BYE")
    recording = service.recording_of(peer.call_id)
    sound = heard(service, recording["id"])
    for channel in range(2):
        assert decoded(good[0]).tobytes() in sound[:, channel].tobytes()
        assert decoded(evil).tobytes()[:80] not in sound[:, channel].tobytes()
    assert recording["packets"]["lost"] == 0
    assert recording["packets"]["received"] == 120


def test_the_call_beside_lost_nothing(service: RunningService, beside: Beside) -> None:
    """Every packet of it is in the recording, in its place."""
    placed = beside.end()
    assert placed.status == 200
    recording = service.recording_of(placed.call_id)
    samples = heard(service, recording["id"])
    sent = sum(len(stream.packets) for stream in placed.streams)
    assert recording["packets"] == {"received": sent, "lost": 0, "duplicated": 0, "reordered": 0}
    for column, stream in enumerate(placed.streams):
        wanted = decoded(stream.timeline())
        begin = offset_of(wanted, samples[:, column])
        assert np.array_equal(samples[begin : begin + len(wanted), column], wanted)
    assert psutil.pid_exists(service.role("recorder").pid)
