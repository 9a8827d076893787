"""A recording server of a hundred lines, so that the client is tested without the recorder."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from recorder.sdp.description import SessionDescription
from recorder.sip.message import Request, Response
from recorder.sip.multipart import split
from recorder.sip.parser import parse


@dataclass
class Script:
    """How the server behaves, and what it does in the middle of a call."""

    status: int = 200
    direction: str = "recvonly"
    deaf_to: int = 0  # so many INVITEs are not answered at all
    says_again: int = 0  # so many times the 200 is repeated before the ACK is looked at
    asks: tuple[str, ...] = ()  # requests it sends after the ACK, one after the other


@dataclass
class FakeRecorder(asyncio.DatagramProtocol):
    """Answers INVITE, re-INVITE, BYE and others; keeps every message and RTP packet."""

    script: Script
    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    packets: list[list[bytes]] = field(default_factory=list)
    asked: int = 0
    port: int = 0
    _media: list[socket.socket] = field(default_factory=list)
    _reply: Callable[[bytes], None] | None = None
    _transport: asyncio.DatagramTransport | None = None
    serving: set[asyncio.Task[None]] = field(default_factory=set)
    _deaf: int = 0
    _ok: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.take(data, lambda answer: self._transport.sendto(answer, addr))

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")
                )
                self.take(head + await reader.readexactly(length), writer.write)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def ended(self) -> None:
        """Return when every connection is closed, which takes TLS a few turns."""
        if self.serving:
            await asyncio.wait(self.serving, timeout=5)

    def take(self, data: bytes, reply: Callable[[bytes], None]) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self.responses.append(message)
            self._ask_next()
            return
        self.requests.append(message)
        self._reply = reply
        if message.method == "ACK":
            if self.script.says_again:
                self.script.says_again -= 1
                reply(self._ok)
            else:
                self._ask_next()
        elif message.method == "INVITE" and self._deaf < self.script.deaf_to:
            self._deaf += 1
        elif message.method == "INVITE":
            reply(self._answer(message, 100))
            self._ok = self._answer(message, self.script.status)
            reply(self._ok)
        else:
            reply(self._answer(message, 200))

    def _answer(self, request: Request, status: int) -> bytes:
        lines = [f"SIP/2.0 {status} Whatever"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            tag = ";tag=srs" if name == "To" and "tag=" not in request.headers.first("To") else ""
            lines.append(f"{name}: {request.headers.first(name)}{tag}")
        body = b""
        if 200 <= status < 300 and request.method == "INVITE":
            body = self._sdp(request)
            lines += [f"Contact: <sip:srs@127.0.0.1:{self.port}>;+sip.srs", "Content-Type: application/sdp"]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    def _sdp(self, request: Request) -> bytes:
        offer = SessionDescription.parse(sdp_of(request))
        while len(self._media) < len(offer.media):
            listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            listening.bind(("127.0.0.1", 0))
            listening.setblocking(False)
            self._media.append(listening)
        stopped = any(
            offer.direction_of(media) == "inactive" or offer.connection_of(media).on_hold
            for media in offer.media
        )
        direction = "inactive" if stopped else self.script.direction
        sections = "".join(
            f"m=audio {media.getsockname()[1]} RTP/AVP 8\r\na={direction}\r\n" for media in self._media
        )
        return f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{sections}".encode()

    def _ask_next(self) -> None:
        if self.asked < len(self.script.asks):
            method = self.script.asks[self.asked]
            self.asked += 1
            invite = self.requests[0]
            tag = "wrong" if method == "OPTIONS-STRANGER" else "srs"
            self._reply(
                (
                    f"{method.removesuffix('-STRANGER')} sip:src@127.0.0.1 SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{self.asked}\r\n"
                    f"From: <sip:srs@127.0.0.1>;tag={tag}\r\nTo: {invite.headers.first('From')}\r\n"
                    f"Call-ID: {invite.call_id}\r\nCSeq: {self.asked} {method.removesuffix('-STRANGER')}\r\n"
                    "Content-Length: 0\r\n\r\n"
                ).encode()
            )

    def drain(self) -> None:
        """Read what the media sockets hold."""
        self.packets = [[] for _ in self._media]
        for packets, listening in zip(self.packets, self._media, strict=True):
            with contextlib.suppress(BlockingIOError):
                while True:
                    packets.append(listening.recv(2048))

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def close(self) -> None:
        for listening in self._media:
            listening.close()


def sdp_of(request: Request) -> bytes:
    """Return the SDP of a request, in a multipart body or alone."""
    content_type = request.headers.first("Content-Type") or ""
    if not content_type.startswith("multipart/"):
        return request.body
    return next(
        part.body for part in split(content_type, request.body) if part.content_type == "application/sdp"
    )


StartRecorder = Callable[..., object]


@pytest.fixture
async def start_recorder() -> AsyncIterator[StartRecorder]:
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            transport: str = "udp", tls: ssl.SSLContext | None = None, **script: object
        ) -> FakeRecorder:
            recorder = FakeRecorder(Script(**script))
            stack.callback(recorder.close)
            stack.push_async_callback(recorder.ended)
            loop = asyncio.get_running_loop()
            if transport == "udp":
                endpoint, _ = await loop.create_datagram_endpoint(
                    lambda: recorder, local_addr=("127.0.0.1", 0)
                )
                stack.callback(endpoint.close)
            else:
                server = await asyncio.start_server(recorder.connected, "127.0.0.1", 0, ssl=tls)
                stack.callback(server.close)
                recorder.port = server.sockets[0].getsockname()[1]
            return recorder

        yield start
