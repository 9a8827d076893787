"""A pass empties all sockets, tells who sent what when, and never lets one socket starve another."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest

from recorder.capture.receive import DATAGRAM_BYTES_MAX, SOCKET_PACKETS_MAX, ReceiveBuffers, Received, prepare
from recorder.rtp.source import address_of
from tests.unit.recorder.capture.running_capture import media_socket


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made = [media_socket() for _ in range(4)]
    for one in made:
        prepare(one)
    yield made
    for one in made:
        one.close()


def drain(buffers: ReceiveBuffers, sockets: list[socket.socket], passes: int = 100) -> list[list[bytes]]:
    """Return what each socket gave, by its number, in order."""
    found: list[list[bytes]] = [[] for _ in sockets]
    descriptors = [one.fileno() for one in sockets]
    for received in buffers.drain(descriptors, np.arange(len(sockets)), passes):
        for slot, owner in enumerate(received.slices.owners.tolist()):
            found[owner].append(buffers.datagram(slot, int(received.sizes[slot])))
    return found


def one_pass(buffers: ReceiveBuffers, one: socket.socket) -> Received:
    return next(buffers.drain([one.fileno()], np.arange(1), 1))


def test_datagrams_of_every_size_come_back_whole(sockets: list[socket.socket]) -> None:
    sizes = [0, 1, 11, 12, 13, 171, 172, 173, 1000, DATAGRAM_BYTES_MAX]
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]
    for datagram in sent:
        sockets[1].sendto(datagram, sockets[0].getsockname())
    assert drain(ReceiveBuffers(256), sockets[:1]) == [sent]


def test_a_datagram_beyond_the_slot_is_flagged_as_truncated(sockets: list[socket.socket]) -> None:
    for size in (DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MAX + 1):
        sockets[1].sendto(bytes(size), sockets[0].getsockname())
    received = one_pass(ReceiveBuffers(256), sockets[0])
    assert received.truncated.tolist() == [False, True]
    assert received.sizes.tolist() == [DATAGRAM_BYTES_MAX] * 2


def test_each_packet_has_its_sender_and_the_kernels_time_of_arrival(sockets: list[socket.socket]) -> None:
    before = time.time_ns()
    for sender in sockets[1:]:
        sender.sendto(b"x", sockets[0].getsockname())
    after = time.time_ns()
    received = one_pass(ReceiveBuffers(256), sockets[0])
    senders = [address_of(address.tobytes()) for address in received.addresses]
    assert senders == [one.getsockname() for one in sockets[1:]]
    assert all(before <= arrival <= after for arrival in received.arrival_ns.tolist())


def test_the_lengths_the_kernel_overwrote_are_put_back_for_the_next_pass(
    sockets: list[socket.socket],
) -> None:
    buffers = ReceiveBuffers(256)
    for _ in range(3):
        sockets[1].sendto(b"x", sockets[0].getsockname())
        received = one_pass(buffers, sockets[0])
        assert address_of(received.addresses[0].tobytes()) == sockets[1].getsockname()
        assert abs(time.time_ns() - int(received.arrival_ns[0])) < 10**10


@pytest.mark.parametrize("count", [SOCKET_PACKETS_MAX, SOCKET_PACKETS_MAX + 1, 3 * SOCKET_PACKETS_MAX])
def test_a_backlog_is_read_to_its_end_in_order(sockets: list[socket.socket], count: int) -> None:
    sent = [number.to_bytes(4, "big") for number in range(count)]
    for datagram in sent:
        sockets[3].sendto(datagram, sockets[0].getsockname())
    sockets[3].sendto(b"other", sockets[1].getsockname())
    assert drain(ReceiveBuffers(80), sockets[:3]) == [sent, [b"other"], []]


def test_a_drain_that_had_to_stop_goes_on_with_the_sockets_that_had_no_turn(
    sockets: list[socket.socket],
) -> None:
    buffers = ReceiveBuffers(SOCKET_PACKETS_MAX + 8)
    for one in sockets[:3]:
        for _ in range(40):
            sockets[3].sendto(b"x", one.getsockname())
    counts = [[len(item) for item in drain(buffers, sockets[:3], 1)] for _ in range(3)]
    assert counts == [[40, 0, 0], [0, 40, 0], [0, 0, 40]]


def test_what_the_kernel_dropped_is_told(sockets: list[socket.socket]) -> None:
    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    buffers = ReceiveBuffers(256)
    told = 0
    for _ in range(5):
        for _ in range(50):
            sockets[1].sendto(bytes(172), sockets[0].getsockname())
        for received in buffers.drain([sockets[0].fileno()], np.arange(1), 10):
            for row, drops in received.drops:
                assert row == 0
                told = drops
    assert told > 0


def test_nothing_to_read_is_no_pass(sockets: list[socket.socket]) -> None:
    buffers = ReceiveBuffers(256)
    assert list(buffers.drain([], np.zeros(0, np.int64), 3)) == []
    assert list(buffers.drain([sockets[0].fileno()], np.arange(1), 3)) == []
