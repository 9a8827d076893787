"""Carrying the client's SIP: requests with their retransmissions, and the peer's requests.

RFC 3261 section 17.1 over UDP (timers A, B, E, F and the ACK of a retransmitted
answer) and section 18 over TCP and TLS. A `Wire` moves messages; `Signalling` pairs requests
with responses and answers what the peer asks.

Rules: an unreachable peer never raises: a request without an answer ends as 408, one
that can't be sent as 503, as section 8.1.3.1 has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from recorder.client.call import TlsIdentity, Transport
from recorder.client.dialog import ClientDialog, OutgoingRequest
from recorder.errors import PeerViolation
from recorder.sip.headers import CSeq, Headers, Via
from recorder.sip.message import Request, Response
from recorder.sip.parser import parse

T1_S = 0.5
T2_S = 4.0

# RFC 3261 section 17.1.1.2: timers B and F.
TRANSACTION_T1_COUNT = 64

# A TCP peer that sends a longer header block than this is not speaking SIP to us.
HEAD_OCTETS_MAX = 64 * 1024
BODY_OCTETS_MAX = 1024 * 1024
CLOSE_S_MAX = 1.0

_Receive = Callable[[bytes], None]


class IdentityUnusable(OSError):  # noqa: N818 - it says what is wrong with it
    """The certificates of the client can't be used."""


class Wire(Protocol):
    """A way to send whole messages to the peer."""

    local: tuple[str, int]
    reliable: bool

    async def send(self, data: bytes, address: tuple[str, int]) -> None:
        """Send one message; raises OSError when that can't be done."""

    def answer(self, data: bytes) -> None:
        """Send one message back to where the last one came from."""

    async def close(self) -> None:
        """Stop."""


class UdpWire(asyncio.DatagramProtocol):
    """Messages as datagrams."""

    reliable = False

    def __init__(self, receive: _Receive) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self._last: tuple[str, int] | None = None
        self.local = ("", 0)

    @classmethod
    async def open(cls, host: str, receive: _Receive) -> UdpWire:
        """Bind a free port of `host`."""
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_datagram_endpoint(lambda: cls(receive), local_addr=(host, 0))
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        # asyncio's own UDP transport is not one by class in Python 3.11.
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        """Hand the message on."""
        self._last = (str(addr[0]), addr[1])
        self._receive(data)

    def error_received(self, exc: Exception) -> None:
        """Go on: a peer that is not there just now may be back for the next retransmission."""

    async def send(self, data: bytes, address: tuple[str, int]) -> None:
        """Send one datagram."""
        if self._transport is not None:
            self._transport.sendto(data, address)

    def answer(self, data: bytes) -> None:
        """Send one datagram to the sender of the last one."""
        if self._transport is not None and self._last is not None:
            self._transport.sendto(data, self._last)

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


class TcpWire:
    """Messages on a connection, which is opened again when the peer closed it.

    Over TLS `named` is whom its certificate must name, and `broken` is told why a connection ended:
    a server that doesn't take our certificate says so only after the handshake.
    """

    reliable = True

    def __init__(
        self,
        host: str,
        receive: _Receive,
        tls: ssl.SSLContext | None = None,
        named: str | None = None,
        broken: Callable[[OSError | None], None] = lambda _: None,
    ) -> None:
        self._host = host
        self._receive = receive
        self._tls = tls
        self._named = named
        self._broken = broken
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.local = (host, 0)

    async def connect(self, address: tuple[str, int]) -> None:
        """Open the connection; raises OSError."""
        self._hang_up()
        reader, self._writer = await asyncio.open_connection(
            *address,
            limit=HEAD_OCTETS_MAX,
            local_addr=(self._host, 0),
            ssl=self._tls,
            server_hostname=self._named if self._tls is not None else None,
        )
        if self.local[1] == 0:
            self.local = self._writer.get_extra_info("sockname")[:2]
        self._reading = asyncio.create_task(self._read(reader))

    async def send(self, data: bytes, address: tuple[str, int]) -> None:
        """Write one message, on a new connection if the old one is gone."""
        if self._writer is None or self._writer.is_closing():
            await self.connect(address)
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    def answer(self, data: bytes) -> None:
        """Write one message to the connection."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    async def close(self) -> None:
        """Close the connection; over TLS that is said to the peer, who may be gone."""
        self._hang_up()
        if self._writer is not None:
            with contextlib.suppress(OSError):  # running out of time is one
                await asyncio.wait_for(self._writer.wait_closed(), CLOSE_S_MAX)
            self._writer.transport.abort()

    def _hang_up(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        assert self._writer is not None
        try:
            while True:
                self._receive(await _read_message(reader))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError) as error:
            # The peer closed or does not speak SIP: the next request opens a connection of its own.
            self._writer.close()
            if self._tls is not None:
                self._broken(error if isinstance(error, OSError) else None)


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """Read one message framed by Content-Length (RFC 3261 section 18.3); raises ValueError."""
    head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
    if not head:
        return b""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() in {b"content-length", b"l"}:
            length = int(value)
            if not 0 <= length <= BODY_OCTETS_MAX:
                raise ValueError("The peer announces a body that is too long.")
            return head + await reader.readexactly(length)
    return head


class Signalling:
    """The requests of one dialog over one wire.

    `ended` is set when the peer hung up. `t1_s` is the round-trip estimate of the RFC.
    """

    def __init__(self, t1_s: float = T1_S) -> None:
        self._t1_s = t1_s
        self._dialog: ClientDialog | None = None
        self._waiting: dict[tuple[str, str], asyncio.Future[Response]] = {}
        self._acks: dict[int, bytes] = {}
        self._wire: Wire | None = None
        self.ended = asyncio.Event()

    async def open(
        self, transport: Transport, host: str, peer: tuple[str, int], identity: TlsIdentity
    ) -> tuple[str, int]:
        """Bind or connect from the local `host`; return the address the peer reaches us at.

        Raises IdentityUnusable when certificates of ours can't be read, and OSError when no connection
        can be made; a server whose certificate is not believed is one of those.
        """
        if transport is Transport.UDP:
            self._wire = await UdpWire.open(host, self._received)
        else:
            tls = _context(identity) if transport is Transport.TLS else None
            wire = TcpWire(host, self._received, tls, peer[0], self._lost)
            await wire.connect(peer)
            self._wire = wire
        return self._wire.local

    def attach(self, dialog: ClientDialog) -> None:
        """Serve this dialog from now on."""
        self._dialog = dialog

    async def close(self) -> None:
        """Stop sending and receiving."""
        if self._wire is not None:
            await self._wire.close()

    async def request(self, request: OutgoingRequest, address: tuple[str, int]) -> Response:
        """Send a request and return its final response; an INVITE's answer is acknowledged.

        The response is one of our own making, 408 or 503, when none came.
        """
        assert self._wire is not None
        key = (request.branch, request.method)
        waiting: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        sending = asyncio.create_task(self._send(request, address, waiting))
        try:
            response = await asyncio.wait_for(asyncio.shield(waiting), TRANSACTION_T1_COUNT * self._t1_s)
        except TimeoutError:
            response = _local_response(408, "Request Timeout")
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._waiting.pop(key, None)
        if request.method == "INVITE" and "CSeq" in response.headers:
            await self._acknowledge(request, response, address)
        return response

    async def _send(
        self, request: OutgoingRequest, address: tuple[str, int], waiting: asyncio.Future[Response]
    ) -> None:
        """Send, and over UDP send again until the task is cancelled (timers A and E)."""
        assert self._wire is not None
        interval_s = self._t1_s
        try:
            while True:
                await self._wire.send(request.data, address)
                if self._wire.reliable:
                    return
                await asyncio.sleep(interval_s)
                interval_s = interval_s * 2 if request.method == "INVITE" else min(interval_s * 2, T2_S)
        except OSError:
            if not waiting.done():
                waiting.set_result(_local_response(503, "Service Unavailable"))

    async def _acknowledge(
        self, request: OutgoingRequest, response: Response, address: tuple[str, int]
    ) -> None:
        assert self._wire is not None
        assert self._dialog is not None
        if response.status < 300:
            self._dialog.establish(response)
            address = self._dialog.next_hop
        ack = self._dialog.ack(request, response)
        self._acks[request.cseq] = ack
        with contextlib.suppress(OSError):
            await self._wire.send(ack, address)

    def _lost(self, error: OSError | None) -> None:
        """End what waits for an answer on a connection that is gone: it can't come any more."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(_local_response(503, reason_of(error)))

    def _received(self, data: bytes) -> None:
        if not data.strip():
            return
        try:
            message = parse(data)
        except PeerViolation:
            return
        if isinstance(message, Response):
            self._take(message)
        elif message.method != "ACK" and self._dialog is not None and self._wire is not None:
            self._serve(message, self._dialog, self._wire)

    def _serve(self, request: Request, dialog: ClientDialog, wire: Wire) -> None:
        status, answer = dialog.answer(request)
        wire.answer(answer)
        if request.method == "BYE" and status == 200:
            self.ended.set()

    def _take(self, response: Response) -> None:
        sequence = CSeq.parse(response.headers.first("CSeq") or "")
        branch = Via.parse(response.headers.values("Via")[0]).branch
        waiting = self._waiting.get((branch, sequence.method))
        if response.status < 200:
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(response)
        elif sequence.method == "INVITE" and sequence.number in self._acks and self._wire is not None:
            # The peer missed our ACK (RFC 3261 section 13.2.2.4).
            self._wire.answer(self._acks[sequence.number])


def reason_of(error: OSError | None) -> str:
    """Return in a few words why no connection can be had, None standing for its end."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
    return (error and error.strerror) or "no connection"


def _context(identity: TlsIdentity) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=identity.authorities)
        if identity.certificate is not None:
            context.load_cert_chain(identity.certificate, identity.key)
    except (OSError, ssl.SSLError) as error:
        reason = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "unreadable"
        raise IdentityUnusable(
            f"the files of --tls-ca, --tls-cert or --tls-key can't be used: {reason.lower()}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _local_response(status: int, reason: str) -> Response:
    return Response(status, reason, Headers())
