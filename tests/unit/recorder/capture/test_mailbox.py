"""A mailbox never makes its owner wait, keeps the order, and loses nothing while the other side lives."""

from __future__ import annotations

import os
import socket
from multiprocessing.connection import Connection

import pytest

from recorder.capture import mailbox as module
from recorder.capture.mailbox import Mailbox, receive_descriptors
from recorder.capture.messages import CloseTrack, Ready


def pair() -> tuple[Connection, Connection]:
    ours, theirs = socket.socketpair()
    return Connection(ours.detach()), Connection(theirs.detach())


def test_messages_and_descriptors_arrive_in_order() -> None:
    ours, theirs = pair()
    our_fds, their_fds = socket.socketpair()
    mailbox = Mailbox(ours, our_fds)
    for number in range(5):
        mailbox.put(Ready(number), number, (os.dup(our_fds.fileno()), os.dup(our_fds.fileno())))
    for number in range(5):
        assert theirs.recv() == Ready(number)
        for descriptor in receive_descriptors(their_fds, number):
            os.close(descriptor)
    mailbox.close(5)
    for end in (ours, theirs, our_fds, their_fds):
        end.close()


def test_a_full_pipe_does_not_make_the_owner_wait() -> None:
    ours, theirs = pair()
    mailbox = Mailbox(ours)
    large = CloseTrack(bytes(100_000))
    for _ in range(50):
        mailbox.put(large)
    assert not mailbox.idle
    assert all(theirs.recv() == large for _ in range(50))
    mailbox.close(5)
    assert mailbox.idle
    ours.close()
    theirs.close()


def test_when_the_other_side_is_gone_descriptors_are_closed_and_the_mailbox_says_so() -> None:
    ours, theirs = pair()
    theirs.close()
    mailbox = Mailbox(ours, None)
    reading, writing = os.pipe()
    mailbox.put(Ready(0), 1, (writing,))
    mailbox.close(5)
    assert mailbox.broken
    assert os.read(reading, 1) == b""
    os.close(reading)
    ours.close()


@pytest.mark.parametrize(("count", "broken"), [(4, False), (5, True)])
def test_a_mailbox_that_nobody_empties_breaks_at_its_limit(
    count: int, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MESSAGES_MAX", 5)
    ours, theirs = pair()
    mailbox = Mailbox(ours)
    large = CloseTrack(bytes(10_000_000))
    mailbox.put(large)
    while not mailbox.idle:
        pass
    for _ in range(count):
        mailbox.put(large)
    assert mailbox.broken == broken
    theirs.close()
    mailbox.close(5)
    ours.close()


def test_descriptors_of_another_stream_are_not_taken() -> None:
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [(1).to_bytes(8, "little")], [os.dup(0), os.dup(0)])
    with pytest.raises(EOFError):
        receive_descriptors(theirs, 2)
    ours.close()
    with pytest.raises(EOFError):
        receive_descriptors(theirs, 3)
    theirs.close()
