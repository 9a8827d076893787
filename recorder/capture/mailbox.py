"""Sends messages over the connection between signalling and capture without ever making its owner wait.

A full pipe (the other side is stopped) would stall signalling's event loop, or capture's
tick; so a thread sends, in order. Sockets travel on a second connection right after
the message they belong to, marked with the stream they are of.

Rules: only values of `recorder.capture.messages`. What can't be sent any more, as the
other side is gone, is dropped: its owner learns that from the connection.
"""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
from multiprocessing.connection import Connection

from recorder.capture.messages import Command, Report

MESSAGES_MAX = (
    100_000  # signalling tells some ten messages a call: far more than a process that lives leaves behind
)
DESCRIPTOR_COUNT = 2
_MARK = struct.Struct("<Q")

Item = tuple[Command | Report, int, tuple[int, ...]]


class Mailbox:
    """The sending half of a connection."""

    def __init__(self, connection: Connection, descriptor_socket: socket.socket | None = None) -> None:
        self._connection = connection
        self._socket = descriptor_socket
        self._queue: queue.Queue[Item | None] = queue.Queue(MESSAGES_MAX)
        self.broken = False
        self._thread = threading.Thread(target=self._send_all, name="capture mailbox", daemon=True)
        self._thread.start()

    def put(self, message: Command | Report, stream_id: int = 0, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message, with descriptors that are the mailbox's to close."""
        if self.broken or self._queue.qsize() >= MESSAGES_MAX - 1:
            self.broken = True
            _close(descriptors)
            return
        self._queue.put((message, stream_id, descriptors))

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return self._queue.empty()

    def close(self, timeout_s: float) -> None:
        """Send what waits and end, or give up after `timeout_s`."""
        if self._queue.qsize() < MESSAGES_MAX:
            self._queue.put(None)
        self._thread.join(timeout_s)

    def _send_all(self) -> None:
        while (item := self._queue.get()) is not None:
            message, stream_id, descriptors = item
            try:
                if not self.broken:
                    self._connection.send(message)
                    if descriptors and self._socket is not None:
                        socket.send_fds(self._socket, [_MARK.pack(stream_id)], descriptors)
            except (OSError, ValueError):
                self.broken = True
            finally:
                _close(descriptors)


def receive_descriptors(descriptor_socket: socket.socket, stream_id: int) -> tuple[int, int]:
    """Take the two descriptors of a stream off the second connection; raises EOFError when it is closed."""
    content, descriptors, _, _ = socket.recv_fds(descriptor_socket, _MARK.size, DESCRIPTOR_COUNT)
    if len(descriptors) != DESCRIPTOR_COUNT or content != _MARK.pack(stream_id):
        _close(tuple(descriptors))
        raise EOFError("The sockets of a stream did not follow its message.")
    return descriptors[0], descriptors[1]


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
