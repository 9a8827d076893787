"""The sockets of SIP: UDP datagrams and TCP or TLS connections around a `UserAgentServer`.

The shell reads, lets the core think, writes what it wants sent, calls back with its
events and sets one timer for it. It decides nothing.

Rules: nothing a peer does ends the loop; what is not worth an event is counted, never
logged per packet. Connections are limited in all and per peer address. A wildcard
listener answers with the address the machine would use towards the peer, so
that Contact names something reachable. Not here: connections of which nothing was heard
yet, handshakes included (`recorder.sip_listener`).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from archive.clock import Clock
from recorder.errors import DependencyUnavailable, LocalDefect
from recorder.sip.event import Event
from recorder.sip.message import Flow
from recorder.sip.user_agent import UserAgentServer
from recorder.sip_listener import BACKLOG, Complaints, Newcomer, Newcomers, StreamListener

CONNECTION_COUNT_MAX = 4_096  # descriptors; two thousand calls over single-call connections, twice
CONNECTION_COUNT_PER_PEER_MAX = 1_024  # one peer alone can't use up the rest
WRITE_BUFFER_SIZE_BYTES_MAX = 1_048_576  # a peer that does not read is cut off here
RECEIVE_BUFFER_SIZE_BYTES = 4 * 1_048_576  # 1,000 INVITEs of 4 kB while the loop is busy elsewhere
CONNECT_S_MAX = 5.0
LOCAL_ADDRESS_COUNT_MAX = 4_096  # remembered local addresses towards peers
WRITES_WAITING_COUNT_MAX = 64  # messages waiting for one connection to be opened

Address = tuple[str, int]


class ListenerUnavailable(DependencyUnavailable):
    """An address can't be listened on."""


class Contexts(Protocol):
    """What new TLS connections are made with: those peers open, and those we open."""

    server: ssl.SSLContext
    client: ssl.SSLContext


class SipTransport:
    """Runs a user agent on the running event loop.

    `on_event` is called for each event, in order, on the loop; what it has the user
    agent send goes out when it returns; what it raises goes to the loop's exception handler.
    After calls to the user agent from elsewhere, call `flush`. `tls` is asked anew for each
    connection, so that a renewed certificate counts from the next one on.
    """

    def __init__(
        self,
        user_agent: UserAgentServer,
        clock: Clock,
        on_event: Callable[[Event], None],
        tls: Contexts | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.addresses: list[tuple[str, str, int]] = []
        self._user_agent = user_agent
        self._clock = clock
        self._on_event = on_event
        self._tls = tls
        self._listeners: dict[Address, asyncio.DatagramTransport] = {}
        self._servers: list[StreamListener] = []
        self._newcomers = Newcomers()
        self._complaints = Complaints(self.counters)
        self._connections: dict[int, _Connection] = {}
        self._connections_of_peer: Counter[str] = Counter()
        self._opening: dict[tuple[str, Address], list[bytes]] = {}
        self._opened: dict[tuple[str, Address], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._last_connection_id = 0
        self._local_hosts: dict[tuple[str, str], str] = {}
        self._flushing = False

    async def start(self, listen: Iterable[tuple[str, str, int]]) -> None:
        """Listen on each (transport, host, port); port 0 takes a free one, see `addresses`.

        Raises ListenerUnavailable, after closing what was opened.
        """
        try:
            for transport, host, port in listen:
                await self._listen(transport, host, port)
        except OSError as error:
            await self.stop()
            where = f"{transport} {host}:{port}"
            reason = (error.strerror or "").partition(" (while")[0]  # Python adds the address, which is said
            raise ListenerUnavailable(
                f"SIP can't listen on {where} ({reason}); is another server running there?"
            ) from error

    async def stop(self) -> None:
        """Write what is queued and close every socket."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.stop()
        self._servers.clear()
        for connection in tuple(self._connections.values()):
            connection.close()
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        await asyncio.sleep(0)

    def flush(self) -> None:
        """Deliver events, send what the core has queued, close what it wants closed, and set its timer."""
        if self._flushing:
            return  # `on_event` called us: the outer flush goes on
        self._flushing = True
        try:
            self._deliver()
        finally:
            self._flushing = False
            self._set_timer()
        for connection_id in self._user_agent.connections_to_close():
            if (connection := self._connections.get(connection_id)) is not None:
                connection.close()

    def receive(self, data: bytes, flow: Flow) -> None:
        """Hand bytes to the core; called by the sockets."""
        self._user_agent.receive(data, flow, self._clock.monotonic())
        self.flush()

    def _deliver(self) -> None:
        while True:
            for flow, data in self._user_agent.datagrams_to_send():
                self._send(flow, data)
            event = self._user_agent.next_event()
            if event is None:
                return
            try:
                self._on_event(event)
            except Exception as error:  # noqa: BLE001 - one call that goes wrong must not silence the others
                self.counters["event failed"] += 1
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"Handling {type(event).__name__} failed.", "exception": error}
                )

    def _set_timer(self) -> None:
        at = self._user_agent.get_timer()
        if self._timer is not None:
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            delay_s = max(0.0, at - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._handle_timer)

    def _handle_timer(self) -> None:
        self._timer = None
        self._user_agent.handle_timer(self._clock.monotonic())
        self.flush()

    # Sending.

    def _send(self, flow: Flow, data: bytes) -> None:
        if not flow.reliable:
            self._send_datagram(flow, data)
            return
        destination = (flow.transport, flow.remote)
        connection = self._connections.get(flow.connection_id or self._opened.get(destination, 0))
        if connection is not None:
            connection.write(data)
        elif flow.connection_id or (flow.transport == "tls" and self._tls is None):
            self.counters["unsendable"] += 1  # a response whose connection is gone: its client knows
        elif destination in self._opening:
            self._queue(destination, data)
        elif len(self._connections) + len(self._opening) >= CONNECTION_COUNT_MAX:
            self.counters["unsendable"] += 1
        else:
            self._opening[destination] = [data]
            task = asyncio.get_running_loop().create_task(self._open(destination, flow.local))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _queue(self, destination: tuple[str, Address], data: bytes) -> None:
        waiting = self._opening[destination]
        if len(waiting) < WRITES_WAITING_COUNT_MAX:
            waiting.append(data)
        else:
            self.counters["unsendable"] += 1

    def _send_datagram(self, flow: Flow, data: bytes) -> None:
        listener = self._listeners.get(flow.local) or self._any_listener(flow)
        if listener is None or listener.is_closing():
            self.counters["unsendable"] += 1
            return
        listener.sendto(data, flow.remote)

    def _any_listener(self, flow: Flow) -> asyncio.DatagramTransport | None:
        """Return a wildcard listener on the flow's port, else any of the same family."""
        candidates = [
            listener
            for (host, _), listener in self._listeners.items()
            if (":" in host) == (":" in flow.remote[0])
        ]
        same_port = [item for item in candidates if item.get_extra_info("sockname")[1] == flow.local[1]]
        return next(iter(same_port or candidates), None)

    async def _open(self, destination: tuple[str, Address], local: Address) -> None:
        """Open a connection from whatever port; in its messages we go on being `local`, where we listen."""
        transport, (host, port) = destination
        loop = asyncio.get_running_loop()
        tls = self._tls if transport == "tls" else None
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, transport, local=local),
                    host,
                    port,
                    ssl=None if tls is None else tls.client,
                )
        except OSError:  # a timeout is one, and so is a failed handshake
            self.counters["connection refused"] += 1
            self._opening.pop(destination, None)
            return
        self._opened[destination] = connection.connection_id
        for data in self._opening.pop(destination):
            connection.write(data)

    # Listening.

    async def _listen(self, transport: str, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        if transport == "udp":
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_DGRAM)
            try:
                _prepare(opened, (host, port))
                listener, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=opened)
            except OSError:
                opened.close()
                raise
            bound: Address = opened.getsockname()[:2]
            self._listeners[bound] = listener
        else:
            bound = self._listen_stream(transport, host, port)
        self.addresses.append((transport, *bound))

    def _listen_stream(self, transport: str, host: str, port: int) -> Address:
        tls = self._tls
        if transport == "tls" and tls is None:
            raise LocalDefect("A listener for TLS needs a certificate.")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listener = StreamListener(
            opened,
            self._newcomers,
            lambda newcomer: _Connection(self, transport, newcomer),
            self._complaints,
            (lambda: tls.server) if transport == "tls" and tls is not None else None,
        )
        self._servers.append(listener)
        host, port = opened.getsockname()[:2]
        return host, port

    def local_address(self, bound: Address, remote: Address) -> Address:
        """Return the address a peer reaches us by: of a wildcard, where the route to the peer begins."""
        host, port = bound
        if not _is_wildcard(host):
            return host, port
        key = (host, remote[0])
        if key not in self._local_hosts:
            if len(self._local_hosts) >= LOCAL_ADDRESS_COUNT_MAX:
                self._local_hosts.clear()
            self._local_hosts[key] = _route_begin(host, remote)
        return self._local_hosts[key], port

    # Connections.

    def connected(self, connection: _Connection, *, outbound: bool) -> int | None:
        """Enter a connection and name it; None when there are too many.

        A stranger is taken in because it may bring an emergency call, and gives way to a peer.
        """
        peer = connection.remote[0]
        flow = Flow(connection.transport_name, connection.remote, connection.remote)
        connection.is_of_peer = outbound or self._user_agent.is_of_peer(flow)
        crowded = self._connections_of_peer[peer] >= CONNECTION_COUNT_PER_PEER_MAX
        if not crowded and len(self._connections) >= CONNECTION_COUNT_MAX:
            crowded = not (connection.is_of_peer and self._dismiss_stranger())
        if crowded and not outbound:
            self.counters["connection refused"] += 1
            return None
        self._last_connection_id += 1
        self._connections[self._last_connection_id] = connection
        self._connections_of_peer[peer] += 1
        return self._last_connection_id

    def _dismiss_stranger(self) -> bool:
        """End the oldest connection that is of no peer; False where there is none."""
        stranger = next((each for each in self._connections.values() if not each.is_of_peer), None)
        if stranger is None:
            return False
        self.counters["connection gave way"] += 1
        stranger.abort()
        self.disconnected(stranger)
        return True

    def heard(self, newcomer: Newcomer) -> None:
        """Note that a connection is none any more of which nothing was heard, or is gone."""
        self._newcomers.leave(newcomer)

    def disconnected(self, connection: _Connection) -> None:
        """Forget a connection."""
        if self._connections.pop(connection.connection_id, None) is None:
            return
        peer = connection.remote[0]
        self._connections_of_peer[peer] -= 1
        if not self._connections_of_peer[peer]:
            del self._connections_of_peer[peer]
        self._opened.pop((connection.transport_name, connection.remote), None)
        self._user_agent.connection_lost(connection.connection_id)
        self._set_timer()


class _Datagrams(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, owner: SipTransport) -> None:
        self._owner = owner
        self._bound: Address = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._bound = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        remote: Address = (addr[0], addr[1])
        self._owner.receive(data, Flow("udp", self._owner.local_address(self._bound, remote), remote))

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - asyncio's signature
        # An ICMP error for some earlier datagram: the timers of its transaction deal with it.
        self._owner.counters["unsendable"] += 1


class _Connection(asyncio.Protocol):
    """One TCP or TLS connection: one that was taken in, or one we opened as `local`."""

    def __init__(
        self,
        owner: SipTransport,
        transport_name: str,
        newcomer: Newcomer | None = None,
        *,
        local: Address | None = None,
    ) -> None:
        self.transport_name = transport_name
        self.remote: Address = ("", 0)
        self.connection_id = 0
        self.is_of_peer = True
        self._owner = owner
        self._newcomer = newcomer
        self._local = local
        self._transport: asyncio.Transport | None = None
        self._flow: Flow | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer, bound = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not bound:
            transport.abort()  # it went away while it came
            return
        # A peer that vanished without a word is found out by the kernel.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.remote = (peer[0], peer[1])
        connection_id = self._owner.connected(self, outbound=self._newcomer is None)
        if connection_id is None:
            transport.abort()
            return
        self.connection_id = connection_id
        local = self._local or self._owner.local_address(bound[:2], self.remote)
        self._flow = Flow(self.transport_name, local, self.remote, connection_id)

    def data_received(self, data: bytes) -> None:
        self._leave_newcomers()
        if self._flow is not None:
            self._owner.receive(data, self._flow)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._flow = None
        self._leave_newcomers()
        self._owner.disconnected(self)

    def _leave_newcomers(self) -> None:
        if self._newcomer is not None:
            self._owner.heard(self._newcomer)
            self._newcomer = None

    def write(self, data: bytes) -> None:
        """Write one message; a peer that never reads loses its connection."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > WRITE_BUFFER_SIZE_BYTES_MAX:
            self._owner.counters["slow reader"] += 1
            self._transport.abort()

    def abort(self) -> None:
        """Close at once."""
        self._flow = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close after what was written is out."""
        self._flow = None
        if self._transport is not None:
            self._transport.close()


@functools.cache
def _is_wildcard(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_unspecified


def _prepare(opened: socket.socket, address: Address) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_SIZE_BYTES)
    opened.setblocking(False)
    opened.bind(address)


def _route_begin(host: str, remote: Address) -> str:
    """Ask the routing table, by connecting a UDP socket: nothing is sent."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(remote)
        except OSError:
            return host
        local: str = probe.getsockname()[0]
    return local
