"""A SIP peer that says exactly what a test tells it to, from any address of the loopback.

For what the well-behaved client can't do: broken messages, foreign addresses, bodies and
dialects of one's own. Waiting is polling with a deadline.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import Self

from recorder.sip.headers import Headers
from recorder.sip.message import Request, Response
from recorder.sip.parser import NotSip, parse

ANSWER_S_MAX = 10.0
SDP, METADATA = "application/sdp", "application/rs-metadata+xml"
BOUNDARY = "raw-boundary"
OCTETS_PER_PACKET = 160


def offer(
    *ports: int, host: str = "127.0.0.1", version: int = 1, direction: str = "sendonly", kind: str = "audio"
) -> bytes:
    """Return an offer with one labelled stream for each port."""
    lines = ["v=0", f"o=raw 7 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    for label, port in enumerate(ports, start=1):
        lines += [f"m={kind} {port} RTP/AVP 8", "a=rtpmap:8 PCMA/8000", f"a=label:{label}", f"a={direction}"]
    return "".join(f"{line}\r\n" for line in lines).encode()


def together(sdp: bytes, xml: bytes, kind: str = METADATA) -> tuple[str, bytes]:
    """Return content type and body of SDP and metadata."""
    parts = ((SDP, "session;handling=required", sdp), (kind, "recording-session", xml))
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Disposition: {how}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for kind, how, content in parts
    )
    return f'multipart/mixed;boundary="{BOUNDARY}"', body + f"--{BOUNDARY}--\r\n".encode()


def parties(
    caller: str, callee: str, *, name: str = "", joined: str = "", domain: str = "raw.example"
) -> bytes:
    """Return complete RFC 7865 metadata: the caller sends label 1, the callee label 2."""
    associations = ""
    people = ""
    for number, (aor, shown, sends) in enumerate(((caller, name, "s1"), (callee, "", "s2"))):
        address = aor if ":" in aor else f"sip:{aor}@{domain}"
        people += f'<participant participant_id="p{number}"><nameID aor="{address}"><name>{shown}</name></nameID></participant>'
        time_ = f"<associate-time>{joined}</associate-time>" if joined else ""
        associations += (
            f'<participantsessionassoc participant_id="p{number}" session_id="x">{time_}</participantsessionassoc>'
            f'<participantstreamassoc participant_id="p{number}"><send>{sends}</send></participantstreamassoc>'
        )
    streams = "".join(
        f'<stream stream_id="s{label}" session_id="x"><label>{label}</label></stream>' for label in (1, 2)
    )
    return (
        '<?xml version="1.0"?><recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>'
        f'<session session_id="x"/>{people}{streams}{associations}</recording>'
    ).encode()


def read(data: bytes) -> Response | Request:
    """Read a message; of an answer to something that was no request only the status is left."""
    try:
        return parse(data)
    except NotSip:
        return Response(int(data.split(b" ", 2)[1]), "", Headers())


@dataclass
class RawPeer:
    """One dialog over a UDP or TCP socket of its own; with `tls` the socket is secured by that."""

    port: int
    host: str = "127.0.0.1"
    transport: str = "udp"
    tls: ssl.SSLContext | None = None
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    caller: str = "<sip:src@exchange.example>"
    to_tag: str = ""
    cseq: int = 0
    answer_sdp: bytes = b""

    def __enter__(self) -> Self:
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind((self.host, 0))
        if kind == socket.SOCK_STREAM:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", self.port))
        if self.tls is not None:
            self.socket = self.tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.socket.settimeout(0.05)
        self.from_tag = secrets.token_hex(4)
        self.rtp = [self._bound(), self._bound()]
        self.turn = 0
        self._read = b""
        return self

    def __exit__(self, *_: object) -> None:
        for item in (self.socket, *self.rtp):
            item.close()

    def _bound(self) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((self.host, 0))
        return bound

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports the two streams are sent from."""
        return tuple(int(item.getsockname()[1]) for item in self.rtp)

    def request(
        self,
        method: str,
        content_type: str = "",
        body: bytes = b"",
        *headers: tuple[str, str],
        uri: str | None = None,
        cseq: int | None = None,
    ) -> bytes:
        """Return the next request of the dialog."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        host, port = self.socket.getsockname()
        lines = [
            f"{method} {uri or f'sip:srs@127.0.0.1:{self.port}'} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {host}:{port};branch=z9hG4bK{secrets.token_hex(6)};rport",
            f"From: {self.caller};tag={self.from_tag}",
            f"To: <sip:srs@127.0.0.1>{f';tag={self.to_tag}' if self.to_tag else ''}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:src@{host}:{port};transport={self.transport}>;+sip.src",
            "Max-Forwards: 70",
            *(f"{name}: {value}" for name, value in headers),
            *([f"Content-Type: {content_type}"] if content_type else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def send(self, data: bytes, segment: int | None = None) -> None:
        """Send octets, over TCP in segments of `segment` octets if asked."""
        if segment is None:
            self.socket.sendall(data)
            return
        for start in range(0, len(data), segment):
            self.socket.sendall(data[start : start + segment])

    def final(self, within_s: float = ANSWER_S_MAX) -> Response:
        """Return the next final response; fails when none comes."""
        found = self.maybe_final(within_s)
        assert found is not None, f"no final answer within {within_s} s"
        return found

    def maybe_final(self, within_s: float) -> Response | None:
        """Return the next final response, or None when none comes in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            message = self._message()
            if isinstance(message, Response) and message.status >= 200:
                return message
        return None

    def _message(self) -> Response | Request | None:
        if self.transport == "udp":
            data = self._received()
            return read(data) if data else None
        return self._framed() or self._framed(self._received())

    def _received(self) -> bytes:
        try:
            return self.socket.recv(65535)
        except (TimeoutError, ConnectionError, ssl.SSLError):
            return b""

    def _framed(self, data: bytes = b"") -> Response | Request | None:
        """Return the first whole message of the connection, `data` being what came last."""
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            return None
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        length = int(lengths[0].partition(b":")[2]) if lengths else 0
        if len(rest) < length:
            return None
        self._read = rest[length:]
        return read(head + end + rest[:length])

    def ask(
        self,
        method: str,
        content_type: str = "",
        body: bytes = b"",
        *headers: tuple[str, str],
        uri: str | None = None,
    ) -> Response:
        """Send a request and return its final answer; an INVITE is acknowledged and its tag remembered."""
        self.send(self.request(method, content_type, body, *headers, uri=uri))
        answer = self.final()
        if method == "INVITE":
            self.to_tag = self.to_tag or (answer.headers.first("To") or "").partition(";tag=")[2]
            self.answer_sdp = answer.body
            self.send(self.request("ACK", cseq=self.cseq))
            if answer.status >= 300:
                self.to_tag = ""
        return answer

    def call(self, caller: str, callee: str, **how: str) -> Response:
        """Offer two streams with metadata."""
        return self.ask(
            "INVITE", *together(offer(*self.ports, host=self.host), parties(caller, callee, **how))
        )

    def destinations(self) -> list[int]:
        """Return the ports the last answer wants RTP on."""
        lines = [line for line in self.answer_sdp.decode().splitlines() if line.startswith("m=audio")]
        return [int(line.split()[1]) for line in lines]

    def talk(self, payloads: list[bytes], seconds: float) -> None:
        """Send both streams at 20 ms, `payloads` in turn, both parties the same."""
        start = time.monotonic()
        for number in range(round(seconds * 50)):
            time.sleep(max(0.0, start + number * 0.02 - time.monotonic()))
            for stream, port in zip(self.rtp, self.destinations(), strict=False):
                self.packet(stream, port, payloads[number % len(payloads)])
            self.turn += 1

    def packet(self, stream: socket.socket, port: int, payload: bytes, ssrc: int = 0x1234) -> None:
        """Send one RTP packet of the turn it is."""
        timestamp = self.turn * OCTETS_PER_PACKET
        header = struct.pack("!BBHII", 0x80, 8, self.turn & 0xFFFF, timestamp, ssrc + stream.fileno())
        stream.sendto(header + payload, ("127.0.0.1", port))
