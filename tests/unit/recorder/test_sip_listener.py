"""Who is taken in by TCP and TLS, who is not, and what is said of those: real sockets and handshakes."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from archive.clock import SystemClock
from recorder import sip_listener
from recorder.sip_certificate import CertificateFiles, SipCertificate
from recorder.sip_listener import Complaints, Newcomer, Newcomers
from recorder.sip_transport import Flow
from tests.certificates import Authority, Issued
from tests.unit.recorder.listening import PATIENCE_S, Server, message, read_message, until

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def taken(issued: Issued, authorities: Path | None = None) -> SipCertificate:
    return SipCertificate(CertificateFiles(issued.chain, issued.key, authorities), SystemClock().now())


@contextlib.asynccontextmanager
async def listening(certificate: SipCertificate | None) -> AsyncIterator[tuple[Server, tuple[str, int]]]:
    """A server of TLS, or without a certificate of TCP."""
    server = Server(certificate)
    (address,) = await server.listen(("tcp" if certificate is None else "tls", "127.0.0.1", 0))
    try:
        yield server, address
    finally:
        await server.transport.stop()


def trusting(authority: Authority, shown: Issued | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if shown is not None:
        context.load_cert_chain(shown.chain, shown.key)
    return context


async def asked(peer: Peer, number: int = 1, transport: str = "TLS") -> bytes:
    peer[1].write(message("OPTIONS", number, transport=transport))
    return await read_message(peer[0])


async def refused(address: tuple[str, int], context: ssl.SSLContext | None) -> str:
    """Connect and ask; return why nothing is answered. A socket of its own, for asyncio says no alert."""

    def ask() -> bytes:
        plain = socket.create_connection(address, timeout=PATIENCE_S)
        with contextlib.closing(plain):
            peer = plain if context is None else context.wrap_socket(plain, server_hostname=address[0])
            with contextlib.closing(peer):
                peer.sendall(message("OPTIONS", transport="TLS"))
                return peer.recv(1)

    try:
        answered = await asyncio.to_thread(ask)
    except OSError as error:
        return str(error)
    assert not answered
    return ""


async def alert(address: tuple[str, int], context: ssl.SSLContext) -> str:
    """Connect, say nothing, and return what the other side says of our handshake."""

    def listen() -> str:
        plain = socket.create_connection(address, timeout=PATIENCE_S)
        with context.wrap_socket(plain, server_hostname=address[0]) as peer, pytest.raises(OSError) as told:
            peer.recv(1)
        return str(told.value)

    return await asyncio.to_thread(listen)


# TLS.


async def test_tls_is_answered_over_the_same_connection_and_named_in_contact(authority: Authority) -> None:
    """Single octets, messages in one segment and pings are what they are over TCP."""
    async with listening(taken(authority.issue("recorder"))) as (_, address):
        peer = await asyncio.open_connection(*address, ssl=trusting(authority))
        assert b"Contact: <sip:srs@127.0.0.1:%d;transport=tls>;+sip.srs" % address[1] in await asked(peer)
        for octet in message("OPTIONS", 2, transport="TLS"):
            peer[1].write(bytes([octet]))
        assert b"CSeq: 2 OPTIONS" in await read_message(peer[0])
        peer[1].write(b"\r\n\r\n" + message("OPTIONS", 3, transport="TLS"))
        assert await peer[0].readexactly(2) == b"\r\n"
        assert b"CSeq: 3 OPTIONS" in await read_message(peer[0])
        peer[1].close()


async def test_a_dialog_of_sips_uris_gets_a_sips_contact(authority: Authority) -> None:
    async with listening(taken(authority.issue("recorder"))) as (server, address):
        peer = await asyncio.open_connection(*address, ssl=trusting(authority))
        peer[1].write(
            message("INVITE", transport="TLS").replace(b"sip:src@localhost>\r\nC", b"sips:src@[::1]>\r\nC")
        )
        await read_message(peer[0])
        answer = await read_message(peer[0])
        contact = b"Contact: <sips:srs@127.0.0.1:%d>;+sip.srs" % address[1]
        assert contact in answer
        tag = answer.partition(b"To: <sip:srs@localhost>")[2].partition(b"\r\n")[0].decode()
        peer[1].write(message("ACK", transport="TLS", to=tag))
        await until(lambda: len(server.events) == 2)
        server.agent.bye(server.events[0].dialog_id, SystemClock().monotonic())
        server.transport.flush()
        bye = await read_message(peer[0])
        assert bye.startswith(b"BYE sips:src@[::1] SIP/2.0\r\n")
        assert b"\r\nVia: SIP/2.0/TLS 127.0.0.1:%d;" % address[1] in bye
        assert contact in bye
        peer[1].close()


async def test_openssl_sees_tls_1_3_a_chain_that_verifies_and_no_older_protocol(authority: Authority) -> None:
    """An implementation that is not the one of our tests; the alerts are for who looks on the other side."""
    async with listening(taken(authority.issue("recorder"))) as (_, (host, port)):

        async def seen(*more: str) -> str:
            words = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(authority.file)]
            ran = await asyncio.to_thread(
                subprocess.run,
                [*words, *more],
                input=b"",
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
            return (ran.stdout + ran.stderr).decode()

        newest = await seen("-verify_return_error")
        assert "Verify return code: 0 (ok)" in newest
        assert "TLSv1.3" in newest
        assert "TLSv1.2" in await seen("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
        for old in (
            ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"),
        ):
            assert "Cipher is (NONE)" in await seen(*old)


async def test_only_a_certificate_of_our_authorities_gets_in(authority: Authority, tmp_path: Path) -> None:
    """None, one of another authority and one that ended are counted, told on both sides and never heard."""
    certificate = taken(authority.issue("recorder"), authority.file)
    other = Authority(tmp_path, "other authority")
    ended = authority.issue("ended", begins=-timedelta(days=3), ends=-timedelta(days=1))
    async with listening(certificate) as (server, address):
        with capture_logs() as logs:
            await refused(address, trusting(authority))
            await refused(address, trusting(authority, other.issue("stranger")))
            await refused(address, trusting(authority, ended))
            await until(lambda: server.transport.counters["client certificate refused"] == 3)
        assert not server.events
        assert "certificate required" in await alert(address, trusting(authority))
        assert "unknown ca" in await alert(address, trusting(authority, other.issue("stranger")))
        assert "certificate expired" in await alert(address, trusting(authority, ended))
        reasons = " ".join(each["reason"] for each in logs)
        for word in ("showed no certificate", "self-signed certificate in certificate chain", "expired"):
            assert word in reasons
        assert {each["peer"] for each in logs} == {"127.0.0.1"}
        peer = await asyncio.open_connection(*address, ssl=trusting(authority, authority.issue("exchange")))
        assert b"200 OK" in await asked(peer)
        peer[1].close()


async def test_who_does_not_take_our_certificate_is_told_apart(authority: Authority, tmp_path: Path) -> None:
    """That is for the operator to mend, and the log says so."""
    async with listening(taken(authority.issue("recorder"))) as (server, address):
        with capture_logs() as logs:
            await refused(address, trusting(Authority(tmp_path, "other authority")))
            await until(lambda: server.transport.counters["our certificate refused"])
        assert "does not take our certificate" in logs[0]["reason"]


async def test_a_peer_without_tls_is_told_as_that_and_gets_nothing(authority: Authority) -> None:
    async with listening(taken(authority.issue("recorder"))) as (server, address):
        with capture_logs() as logs:
            await refused(address, None)
            await until(lambda: server.transport.counters["handshake failed"])
        assert "does not speak TLS" in logs[0]["reason"]
        assert not server.events


async def test_a_renewed_certificate_is_for_new_connections_and_old_ones_go_on(authority: Authority) -> None:
    issued = authority.issue("recorder")
    certificate = taken(issued)

    def shown(peer: Peer) -> str:
        return str(peer[1].get_extra_info("peercert")["serialNumber"])

    async with listening(certificate) as (_, address):
        old = await asyncio.open_connection(*address, ssl=trusting(authority))
        await asked(old)
        authority.issue("recorder")
        certificate.renew(SystemClock().now())
        assert certificate.renew(SystemClock().now())
        new = await asyncio.open_connection(*address, ssl=trusting(authority))
        assert shown(new) != shown(old)
        assert b"CSeq: 2 " in await asked(old, 2)
        assert b"CSeq: 3 " in await asked(new, 3)
        for peer in (old, new):
            peer[1].close()


@pytest.mark.parametrize(("known", "heard"), [(True, True), (False, False)])
async def test_a_connection_we_open_is_to_a_peer_of_the_authorities_or_to_nobody(
    authority: Authority, tmp_path: Path, *, known: bool, heard: bool
) -> None:
    """As the BYE of a call whose own connection is gone; we show our certificate, and are asked for it."""
    of_peer = authority if known else Authority(tmp_path, "other authority")
    issued = of_peer.issue("exchange")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(issued.chain, issued.key)
    context.verify_mode = ssl.CERT_REQUIRED
    seen: asyncio.Queue[bytes] = asyncio.Queue()
    opened: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        seen.put_nowait(await read_message(reader))
        writer.write(message("OPTIONS", 9, transport="TLS"))
        seen.put_nowait(await read_message(reader))

    peer = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with listening(taken(authority.issue("recorder"), authority.file)) as (server, address):
        flow = Flow("tls", address, peer.sockets[0].getsockname())
        server.transport._send(flow, message("BYE"))
        if heard:
            async with asyncio.timeout(PATIENCE_S):
                assert (await seen.get()).startswith(b"BYE ")
                # What comes back over it is answered by the name we are reached by, not by its own port.
                assert b"Contact: <sip:srs@127.0.0.1:%d;" % address[1] in await seen.get()
        else:
            await until(lambda: server.transport.counters["connection refused"])
            assert seen.empty()
    for writer in opened:
        writer.close()
    peer.close()


# Newcomers.


class Held:
    """A socket that notes that it was shut down."""

    def __init__(self) -> None:
        self.is_shut = False

    def shutdown(self, _: int) -> None:
        self.is_shut = True


def newcomer(host: str) -> Newcomer:
    return Newcomer(host, Held())  # type: ignore[arg-type]


def test_newcomers_of_an_address_are_128_and_then_the_first_goes() -> None:
    crowd = Newcomers()
    own = [newcomer("192.0.2.1") for _ in range(sip_listener.NEWCOMER_COUNT_PER_HOST_MAX)]
    assert [crowd.enter(each) for each in own] == [None] * len(own)
    assert crowd.enter(newcomer("192.0.2.1")) is own[0]
    assert crowd.enter(newcomer("192.0.2.2")) is None
    crowd.leave(own[1])
    assert crowd.enter(newcomer("192.0.2.1")) is None
    assert len(crowd) == 128 + 1


def test_newcomers_are_1024_in_all_and_then_one_of_the_largest_crowd_goes() -> None:
    """A flood from many addresses takes nothing from an exchange that has one connection there."""
    crowd = Newcomers()
    exchange = newcomer("198.51.100.1")
    crowd.enter(exchange)
    flood = [newcomer(f"192.0.2.{number // 100}") for number in range(sip_listener.NEWCOMER_COUNT_MAX - 1)]
    assert not any(crowd.enter(each) for each in flood)
    assert len(crowd) == 1_024
    for _ in range(500):
        gone = crowd.enter(newcomer("203.0.113.1"))
        assert gone is not None
        assert gone is not exchange
        assert len(crowd) == sip_listener.NEWCOMER_COUNT_MAX


def test_leaving_twice_is_leaving_once() -> None:
    crowd = Newcomers()
    one, other = newcomer("192.0.2.1"), newcomer("192.0.2.1")
    crowd.enter(one)
    crowd.enter(other)
    crowd.leave(one)
    crowd.leave(one)
    assert len(crowd) == 1
    crowd.drop_all()
    assert other.opened.is_shut  # type: ignore[attr-defined]
    assert not one.opened.is_shut  # type: ignore[attr-defined]


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for two ends of 1,000 connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("begins", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silence", "half a hello"])
async def test_a_thousand_silent_connections_disturb_nobody(
    authority: Authority, descriptors: None, begins: bytes
) -> None:
    """Of the same address even: who is there goes on, and who comes gets in."""
    async with listening(taken(authority.issue("recorder"))) as (server, address):
        running = await asyncio.open_connection(*address, ssl=trusting(authority))
        await asked(running)
        silent = []
        try:
            for number in range(1_000):
                silent.append(socket.create_connection(address))
                silent[-1].send(begins)
                if number % 100 == 0:
                    began_s = time.monotonic()
                    assert b"200 OK" in await asked(running, number + 2)
                    new = await asyncio.open_connection(*address, ssl=trusting(authority))
                    assert b"200 OK" in await asked(new, number + 3)
                    new[1].close()
                    assert time.monotonic() - began_s < PATIENCE_S / 2
            await until(lambda: server.transport.counters["connection gave way"] >= 1_000 - 128)
            assert len(server.transport._newcomers) <= 128
            assert b"200 OK" in await asked(running, 5_000)
        finally:
            for each in silent:
                each.close()
        running[1].close()


async def test_a_handshake_that_never_comes_is_cut_off_after_handshake_s_max(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_listener, "HANDSHAKE_S_MAX", 0.1)
    async with listening(taken(authority.issue("recorder"))) as (server, address):
        halves = [await asyncio.open_connection(*address) for _ in range(20)]
        for reader, writer in halves:
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.read() == b""
            writer.close()
        await until(lambda: server.transport.counters["handshake broken off"] == 20)
        assert not len(server.transport._newcomers)


@pytest.mark.parametrize("secured", [False, True], ids=["tcp", "tls"])
async def test_who_says_nothing_is_cut_off_after_silent_s_max_and_who_pinged_is_not(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, *, secured: bool
) -> None:
    """A handshake alone says nothing about a call."""
    monkeypatch.setattr(sip_listener, "SILENT_S_MAX", 0.3)
    context = trusting(authority) if secured else None
    async with listening(taken(authority.issue("recorder")) if secured else None) as (server, address):
        pinged = await asyncio.open_connection(*address, ssl=context)
        pinged[1].write(b"\r\n\r\n")
        silent = await asyncio.open_connection(*address, ssl=context)
        async with asyncio.timeout(PATIENCE_S):
            assert await silent[0].read() == b""
        assert await pinged[0].readexactly(2) == b"\r\n"
        assert b"200 OK" in await asked(pinged, transport="TLS" if secured else "TCP")
        assert server.transport.counters["connection silent"] == 1
        for peer in (pinged, silent):
            peer[1].close()


async def test_a_listener_without_descriptors_looks_away_and_goes_on(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may have run out of them; the socket stays readable, and must not take the loop."""
    monkeypatch.setattr(sip_listener, "ACCEPT_RETRY_S", 0.1)
    async with listening(None) as (server, address):
        (listener,) = server.transport._servers
        own, tried = listener._opened, []

        class Exhausted:
            def accept(self) -> None:
                tried.append(1)
                raise OSError(24, "Too many open files")

            def fileno(self) -> int:
                return own.fileno()

        listener._opened = Exhausted()  # type: ignore[assignment]
        with capture_logs() as logs:
            peer = await asyncio.open_connection(*address)
            await until(lambda: len(tried) == 2)
        assert logs[0]["reason"] == "Too many open files"
        listener._opened = own
        assert b"200 OK" in await asked(peer, transport="TCP")
        peer[1].close()


def test_complaints_are_a_few_a_minute_and_all_are_counted() -> None:
    counters: Counter[str] = Counter()
    complaints = Complaints(counters)
    error = ssl.SSLError(1, "wrong")
    error.reason = "WRONG_VERSION_NUMBER"
    with capture_logs() as logs:
        for number in range(100):
            complaints.take(f"192.0.2.{number % 50}", error, 30.0)
        assert len(logs) == sip_listener.COMPLAINTS_PER_MINUTE_MAX
        complaints.take("192.0.2.1", error, 61.0)
        complaints.take("192.0.2.1", error, 62.0)
        complaints.take("192.0.2.2", ConnectionResetError(), 63.0)
    assert len(logs) == sip_listener.COMPLAINTS_PER_MINUTE_MAX + 1
    assert counters == {"handshake failed": 102, "handshake broken off": 1}
