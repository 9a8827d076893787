"""Real sockets on loopback around the user agent: UDP and TCP, IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from archive.clock import SystemClock
from recorder import sip_transport
from recorder.sip import framing
from recorder.sip_certificate import CertificateFiles, SipCertificate
from recorder.sip_transport import ListenerUnavailable
from tests.certificates import Authority
from tests.unit.recorder.listening import PATIENCE_S, Server, message, read_message, until


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    running = Server()
    yield running
    await running.transport.stop()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait(data)


async def ask(address: tuple[str, int], *datagrams: bytes, answers: int = 1) -> list[bytes]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
    try:
        for data in datagrams:
            transport.sendto(data)
        async with asyncio.timeout(PATIENCE_S):
            return [await protocol.received.get() for _ in range(answers)]
    finally:
        transport.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_datagram_is_answered_where_it_came_from(server: Server, host: str) -> None:
    (address,) = await server.listen(("udp", host, 0))
    (answer,) = await ask(address, message("OPTIONS"))
    assert answer.startswith(b"SIP/2.0 200 OK\r\n")
    assert f"Contact: <sip:srs@{'[::1]' if host == '::1' else host}:{address[1]}>;+sip.srs".encode() in answer


async def test_a_datagram_for_an_address_without_a_socket_of_its_own_leaves_by_one_on_its_port(
    server: Server,
) -> None:
    """So it is for every datagram of a wildcard listener, and for dialogs of before a restart."""
    ((_, port),) = await server.listen(("udp", "127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(PATIENCE_S)
        server.transport._send(sip_transport.Flow("udp", ("127.0.0.7", port), peer.getsockname()), b"x")
        assert peer.recvfrom(10) == (b"x", ("127.0.0.1", port))
    server.transport._send(sip_transport.Flow("udp", ("::1", port), ("::1", 9)), b"x")
    assert server.transport.counters["unsendable"] == 1


async def test_a_wildcard_listener_names_the_address_it_is_reached_by(server: Server) -> None:
    local_address = server.transport.local_address
    assert local_address(("0.0.0.0", 5060), ("127.0.0.1", 9)) == ("127.0.0.1", 5060)
    assert local_address(("::", 5060), ("::1", 9)) == ("::1", 5060)
    assert local_address(("127.0.0.1", 5060), ("127.0.0.9", 9)) == ("127.0.0.1", 5060)


async def test_garbage_is_counted_and_the_next_request_is_answered(server: Server) -> None:
    (address,) = await server.listen(("udp", "127.0.0.1", 0))
    garbage = [b"\x00\x00", b"\x80\x08" + bytes(170), b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\xff" * 2000]
    (answer,) = await ask(address, *garbage, message("OPTIONS"))
    assert answer.startswith(b"SIP/2.0 200 OK\r\n")
    assert server.agent.counters == {"garbage": 3, "keep-alive": 2}


async def test_the_200_is_repeated_by_the_timer_of_the_loop(server: Server) -> None:
    (address,) = await server.listen(("udp", "127.0.0.1", 0))
    answers = await ask(address, message("INVITE"), answers=3)
    assert [answer.split(b" ")[1] for answer in answers] == [b"100", b"200", b"200"]
    assert answers[1] == answers[2]


async def test_a_connection_carries_single_octets_several_messages_and_pings(server: Server) -> None:
    (address,) = await server.listen(("tcp", "127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(*address)
    for octet in message("OPTIONS", 1, transport="TCP"):
        writer.write(bytes([octet]))
        await writer.drain()
    assert (await read_message(reader)).startswith(b"SIP/2.0 200 OK\r\n")
    writer.write(
        message("OPTIONS", 2, transport="TCP") + b"\r\n\r\n" + message("OPTIONS", 3, transport="TCP")
    )
    assert await reader.readexactly(2) == b"\r\n"
    assert b"CSeq: 2 OPTIONS" in await read_message(reader)
    assert b"CSeq: 3 OPTIONS" in await read_message(reader)
    writer.close()
    await writer.wait_closed()


async def test_a_flood_of_header_fields_is_answered_and_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "STREAM_BROKEN_S_MAX", 0.05)
    (address,) = await server.listen(("tcp", "127.0.0.1", 0))
    reader, writer = await asyncio.open_connection(*address)
    writer.write(
        message("OPTIONS", transport="TCP").removesuffix(b"\r\n") + b"X-F: yyyyyyyyyyyyyyyyyyyyyy\r\n" * 3000
    )
    async with asyncio.timeout(PATIENCE_S):
        everything = await reader.read()
    assert everything.startswith(b"SIP/2.0 513 Message Too Large\r\n")
    writer.close()


@pytest.mark.parametrize("limit", ["CONNECTION_COUNT_MAX", "CONNECTION_COUNT_PER_PEER_MAX"])
async def test_connections_above_a_limit_are_refused_until_one_goes(
    server: Server, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(sip_transport, limit, 2)
    (address,) = await server.listen(("tcp", "127.0.0.1", 0))
    opened = [await asyncio.open_connection(*address) for _ in range(2)]
    for number, (reader, writer) in enumerate(opened):
        writer.write(message("OPTIONS", number, transport="TCP"))
        await read_message(reader)
    refused, refused_writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await refused.readexactly(1)
    assert server.transport.counters["connection refused"] == 1
    opened[0][1].close()
    await until(lambda: len(server.transport._connections) == 1)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(message("OPTIONS", 9, transport="TCP"))
    assert b"200 OK" in await read_message(reader)
    for closing in (writer, refused_writer, opened[1][1]):
        closing.close()


class Asking:
    """Peers and strangers, each over a connection of its own that it keeps."""

    def __init__(self, server: Server, address: tuple[str, int]) -> None:
        self.server = server
        self._address = address
        self._opened: list[asyncio.StreamWriter] = []

    async def answers(self, host: str) -> asyncio.StreamReader | None:
        """Connect from an address and ask; None where nothing is answered."""
        reader, writer = await asyncio.open_connection(*self._address, local_addr=(host, 0))
        self._opened.append(writer)
        writer.write(message("OPTIONS", len(self._opened), transport="TCP"))
        try:
            await read_message(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
        return reader

    def close(self) -> None:
        for writer in self._opened:
            writer.close()


@pytest_asyncio.fixture
async def asking(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asking]:
    """A server that knows one peer, 127.0.0.2, and takes two connections."""
    monkeypatch.setattr(sip_transport, "CONNECTION_COUNT_MAX", 2)
    server = Server(trusts="127.0.0.2".__eq__)
    (address,) = await server.listen(("tcp", "127.0.0.1", 0))
    made = Asking(server, address)
    yield made
    made.close()
    await server.transport.stop()


async def test_a_stranger_gives_way_to_a_peer_when_no_connection_is_free(asking: Asking) -> None:
    """The one that came first; a stranger more is refused, and so is a peer among peers."""
    strangers = [await asking.answers("127.0.0.1") for _ in range(3)]
    assert [each is not None for each in strangers] == [True, True, False]
    for stranger in strangers[:2]:
        assert await asking.answers("127.0.0.2") is not None
        assert stranger is not None
        with contextlib.suppress(ConnectionError):
            assert await stranger.read() == b""
    assert await asking.answers("127.0.0.2") is None
    assert asking.server.transport.counters == {"connection refused": 2, "connection gave way": 2}


async def test_nobody_gives_way_to_a_peer_that_has_too_many_itself(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_transport, "CONNECTION_COUNT_PER_PEER_MAX", 1)
    assert await asking.answers("127.0.0.1") is not None
    assert await asking.answers("127.0.0.2") is not None
    assert await asking.answers("127.0.0.2") is None
    assert asking.server.transport.counters == {"connection refused": 1}


async def test_a_bye_of_ours_opens_a_connection_when_the_peers_is_gone(server: Server) -> None:
    (address,) = await server.listen(("tcp", "127.0.0.1", 0))
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.put_nowait(await read_message(reader))
        writer.close()

    peer = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = peer.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(*address)
    invite = message("INVITE", transport="TCP").replace(
        b"src@localhost>\r\nC", b"src@127.0.0.1:%d>\r\nC" % port
    )
    writer.write(invite)
    await read_message(reader)
    answer = await read_message(reader)
    tag = answer.partition(b"To: <sip:srs@localhost>")[2].partition(b"\r\n")[0].decode()
    writer.write(message("ACK", 1, transport="TCP", to=tag))
    await until(lambda: len(server.events) == 2)
    writer.close()
    await until(lambda: not server.transport._connections)
    assert server.agent.bye(server.events[0].dialog_id, SystemClock().monotonic())
    server.transport.flush()
    async with asyncio.timeout(PATIENCE_S):
        assert (await seen.get()).startswith(b"BYE sip:src@127.0.0.1:%d SIP/2.0\r\n" % port)
    peer.close()
    await peer.wait_closed()


async def test_a_connection_nobody_accepts_is_counted(server: Server) -> None:
    await server.listen(("tcp", "127.0.0.1", 0))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
        flow = sip_transport.Flow("tcp", ("127.0.0.1", 5060), address)
        server.transport._send(flow, b"x")
        server.transport._send(flow, b"y")
        await until(lambda: server.transport.counters["connection refused"])
    assert not server.transport._opening


async def test_messages_waiting_for_a_connection_are_limited(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_transport, "WRITES_WAITING_COUNT_MAX", 2)
    flow = sip_transport.Flow("tcp", ("127.0.0.1", 5060), ("127.0.0.1", 1))
    for _ in range(3):
        server.transport._send(flow, b"x")
    assert server.transport.counters["unsendable"] == 1
    await until(lambda: not server.transport._opening)


async def test_a_peer_that_never_reads_loses_its_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_transport, "WRITE_BUFFER_SIZE_BYTES_MAX", 10)

    class Clogged(asyncio.Transport):
        written, aborted = 0, False

        def write(self, data: bytes) -> None:
            self.written += len(data)

        def get_write_buffer_size(self) -> int:
            return self.written

        def is_closing(self) -> bool:
            return self.aborted

        def abort(self) -> None:
            self.aborted = True

    connection = sip_transport._Connection(server.transport, "tcp")
    connection._transport = clogged = Clogged()
    connection.write(b"x" * 10)
    assert not clogged.aborted
    connection.write(b"x")
    assert clogged.aborted
    connection.write(b"x")
    assert clogged.written == 11


async def test_a_defect_of_the_recording_server_spares_the_other_calls(server: Server) -> None:
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    (address,) = await server.listen(("udp", "127.0.0.1", 0))
    (answer,) = await ask(address, message("OPTIONS", 1, more="Subject: defect\r\n"), message("OPTIONS", 2))
    assert b"CSeq: 2 OPTIONS" in answer
    assert [failure["message"] for failure in failures] == ["Handling CapabilitiesAsked failed."]


async def test_an_address_in_use_is_said_and_nothing_stays_open(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(ListenerUnavailable, match=f"udp 127.0.0.1:{port}"):
            await server.listen(("tcp", "127.0.0.1", 0), ("udp", "127.0.0.1", port))
    assert not server.transport._listeners
    assert not server.transport._servers
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = rf"tcp 127.0.0.1:{port} \(Address already in use\); is another"
        with pytest.raises(ListenerUnavailable, match=taken):
            await server.listen(("tcp", "127.0.0.1", port))


async def test_local_address_count_max_bounds_what_is_remembered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_transport, "LOCAL_ADDRESS_COUNT_MAX", 3)
    for number in range(1, 8):
        local = server.transport.local_address(("0.0.0.0", 5060), (f"127.0.0.{number}", 5060))
        assert local == (f"127.0.0.{number}" if number == 1 else local[0], 5060)
        assert len(server.transport._local_hosts) <= 3
    assert server.transport.local_address(("127.0.0.1", 5060), ("127.0.0.9", 1)) == ("127.0.0.1", 5060)


async def test_a_peer_that_never_completes_a_connection_is_given_up_after_connect_s_max(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_transport, "CONNECT_S_MAX", 0.1)
    issued = Authority(tmp_path).issue("recorder")
    silent = socket.create_server(("127.0.0.1", 0))
    server = Server(SipCertificate(CertificateFiles(issued.chain, issued.key), SystemClock().now()))
    try:
        flow = sip_transport.Flow("tls", ("127.0.0.1", 5061), silent.getsockname())
        server.transport._send(flow, b"x")
        await until(lambda: server.transport.counters["connection refused"])
        assert not server.transport._opening
    finally:
        await server.transport.stop()
        silent.close()
