"""Media ports come in pairs, are bound before they are promised, and rest before they are used again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from recorder import ports as ports_module
from recorder.ports import (
    BIND_ATTEMPTS_MAX,
    RECEIVE_BUFFER_BYTES,
    SO_TIMESTAMPNS,
    MediaSockets,
    NoPortLeft,
    PortRange,
    bind_pair,
)
from tests.unit.recorder.shell import free_pairs

HOST = "127.0.0.1"


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close what a test bound."""
    with ExitStack() as stack:
        yield stack


def bound(ports: PortRange, closing: ExitStack, address: str = HOST) -> MediaSockets:
    sockets = ports.bind(address)
    closing.callback(sockets.close)
    return sockets


def stranger(port: int, closing: ExitStack) -> None:
    """Let another program hold a port."""
    held = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    held.bind((HOST, port))


def test_rtp_has_the_even_port_and_rtcp_the_next(closing: ExitStack) -> None:
    """RFC 3550 section 11, also when the range begins with an odd port."""
    first = free_pairs(3)
    sockets = bound(PortRange(first + 1, first + 5), closing)
    assert sockets.port == first + 2
    assert sockets.rtp.getsockname() == (HOST, first + 2)
    assert sockets.rtcp.getsockname() == (HOST, first + 3)


@pytest.mark.parametrize(
    ("first", "last", "pairs"), [(2000, 2001, 1), (2000, 2002, 1), (2001, 2002, 0), (2001, 2004, 1)]
)
def test_a_range_holds_whole_pairs_only(first: int, last: int, pairs: int) -> None:
    """Both ends are included, and no RTCP port lies outside."""
    assert PortRange(first, last).free == pairs


def test_what_arrives_before_anybody_reads_is_kept_with_its_time(closing: ExitStack) -> None:
    """The kernel holds packets, and the moment each came, from before the answer goes out."""
    sockets = bound(PortRange(*_range(1)), closing)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"early", (HOST, sockets.port))
    content, control, _, _ = sockets.rtp.recvmsg(100, 64)
    assert content == b"early"
    assert [kind for _, kind, _ in control] == [SO_TIMESTAMPNS]


def test_the_receive_buffer_is_as_large_as_the_system_gives(closing: ExitStack) -> None:
    """Linux doubles what is asked for, and caps it at a limit of its own."""
    cap = int(Path("/proc/sys/net/core/rmem_max").read_text())
    sockets = bound(PortRange(*_range(1)), closing)
    for each in (sockets.rtp, sockets.rtcp):
        assert each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * min(RECEIVE_BUFFER_BYTES, cap)
        assert not each.getblocking()


def test_a_released_pair_waits_behind_all_others(closing: ExitStack) -> None:
    """Packets of a call that has just ended must not reach a new one."""
    first, last = _range(3)
    ports = PortRange(first, last)
    one = bound(ports, closing)
    ports.release(one)
    assert [bound(ports, closing).port for _ in range(3)] == [first + 2, first + 4, first]


def test_a_pair_that_is_released_twice_is_free_once(closing: ExitStack) -> None:
    """Two calls never get the same port."""
    ports = PortRange(*_range(2))
    one = bound(ports, closing)
    ports.release(one)
    ports.release(one)
    assert ports.free == 2


def test_the_last_pair_is_given_and_then_none_is_left(closing: ExitStack) -> None:
    """At the limit a call is taken, above it refused with what to do; a release makes room again."""
    ports = PortRange(*_range(2))
    held = [bound(ports, closing) for _ in range(2)]
    assert ports.free == 0
    with pytest.raises(NoPortLeft, match="RTP_PORTS"):
        ports.bind(HOST)
    ports.release(held[0])
    assert bound(ports, closing).port == held[0].port


def test_a_port_of_another_program_is_stepped_over(closing: ExitStack) -> None:
    """Be it the RTP or the RTCP one; of a pair that is half free nothing stays open."""
    first, last = _range(3)
    stranger(first, closing)
    stranger(first + 3, closing)
    ports = PortRange(first, last)
    assert bound(ports, closing).port == first + 4
    assert ports.free == 2
    stranger(first + 2, closing)


@pytest.mark.parametrize(("taken", "found"), [(BIND_ATTEMPTS_MAX - 1, True), (BIND_ATTEMPTS_MAX, False)])
def test_signalling_tries_a_limited_number_of_ports(
    taken: int, found: bool, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """A range full of strangers ends in a refusal; the next call begins where this one gave up."""
    first, tried = 30_000, []

    def bind(address: str, port: int) -> MediaSockets:
        tried.append(port)
        if port < first + 2 * taken:
            raise OSError(98, "in use")
        return MediaSockets(address, port, socket.socket(), socket.socket())

    monkeypatch.setattr(ports_module, "bind_pair", bind)
    ports = PortRange(first, first + 4 * BIND_ATTEMPTS_MAX)
    if not found:
        with pytest.raises(NoPortLeft):
            ports.bind(HOST)
        assert len(tried) == BIND_ATTEMPTS_MAX
    assert bound(ports, closing).port == first + 2 * taken


def test_a_call_gets_its_very_port_again_after_a_restart(closing: ExitStack) -> None:
    """It is given to nobody else, and is one of the range again when it is released."""
    first, last = _range(2)
    ports = PortRange(first, last)
    again = ports.bind_again(HOST, first)
    closing.callback(again.close)
    assert ports.free == 1
    assert bound(ports, closing).port == first + 2
    ports.release(again)
    assert bound(ports, closing).port == first


def test_a_port_that_was_taken_meanwhile_is_an_error_and_stays_in_the_range(closing: ExitStack) -> None:
    """The caller goes on without that stream."""
    first, last = _range(1)
    stranger(first + 1, closing)
    ports = PortRange(first, last)
    with pytest.raises(OSError, match="in use"):
        ports.bind_again(HOST, first)
    assert ports.free == 1


def test_a_port_of_an_older_range_is_bound_but_given_to_no_new_call(closing: ExitStack) -> None:
    """RTP_PORTS was changed between two starts: new calls stay in the new range."""
    first = free_pairs(2)
    ports = PortRange(first + 2, first + 3)
    old = ports.bind_again(HOST, first)
    ports.release(old)
    assert ports.free == 1
    assert bound(ports, closing).port == first + 2


def test_media_over_ipv6_is_bound_there(closing: ExitStack) -> None:
    """The address decides the family."""
    sockets = bound(PortRange(*_range(20)), closing, "::1")
    assert sockets.rtp.family is socket.AF_INET6
    assert sockets.rtcp.getsockname()[:2] == ("::1", sockets.port + 1)


def test_a_pair_that_can_t_be_bound_leaves_nothing_open(closing: ExitStack) -> None:
    """The free half is free for others at once."""
    first = free_pairs(1)
    stranger(first + 1, closing)
    with pytest.raises(OSError, match="in use"):
        bind_pair(HOST, first)
    stranger(first, closing)


def _range(pairs: int) -> tuple[int, int]:
    first = free_pairs(pairs)
    return first, first + 2 * pairs - 1
