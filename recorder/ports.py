"""The UDP ports of media: pairs of RTP (even) and RTCP (the next one), bound here in signalling.

A port is bound before the 200 goes out, and a released pair waits at the end of the
queue, so that packets of a call that has just ended never reach a new one.

Not here: reading from the sockets (`recorder.capture`).
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass

from recorder.errors import DependencyUnavailable

RECEIVE_BUFFER_BYTES = 1 << 20
"""Effective 2 MiB holds 50 s of a G.711 stream (measured: 2520 packets), so a long stall loses nothing."""

BIND_ATTEMPTS_MAX = 64
"""Ports other programs hold are stepped over, but an exhausted range must not stall signalling."""


class NoPortLeft(DependencyUnavailable):
    """Every port of the range is taken, or the system gives no socket."""


@dataclass(frozen=True)
class MediaSockets:
    """The bound pair of one m= line; `port` is the RTP port."""

    address: str
    port: int
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Close both sockets."""
        self.rtp.close()
        self.rtcp.close()


class PortRange:
    """The pairs of one range, used in turn."""

    def __init__(self, first: int, last: int) -> None:
        self._free = deque(range(first + first % 2, last, 2))
        self._taken: set[int] = set()

    @property
    def free(self) -> int:
        """How many pairs are left."""
        return len(self._free)

    def bind(self, address: str) -> MediaSockets:
        """Bind the next free pair on `address`; raises NoPortLeft."""
        for _ in range(min(BIND_ATTEMPTS_MAX, len(self._free))):
            port = self._free.popleft()
            try:
                sockets = bind_pair(address, port)
            except OSError:
                self._free.append(port)
                continue
            self._taken.add(port)
            return sockets
        raise NoPortLeft(f"No free pair of RTP ports on {address}: widen RTP_PORTS or take fewer calls.")

    def bind_again(self, address: str, port: int) -> MediaSockets:
        """Bind the very port a call had before a restart; raises OSError when it is taken.

        One of a range that was set before is bound too, and given to no other call.
        """
        sockets = bind_pair(address, port)
        if port in self._free:
            self._free.remove(port)
            self._taken.add(port)
        return sockets

    def release(self, sockets: MediaSockets) -> None:
        """Close the pair and put its port at the end of the queue."""
        sockets.close()
        if sockets.port in self._taken:
            self._taken.remove(sockets.port)
            self._free.append(sockets.port)


def bind_pair(address: str, port: int) -> MediaSockets:
    """Bind RTP on `port` and RTCP on the next; raises OSError and leaves nothing open."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened: list[socket.socket] = []
    try:
        for number in (port, port + 1):
            bound = socket.socket(family, socket.SOCK_DGRAM)
            opened.append(bound)
            bound.setblocking(False)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            bound.bind((address, number))
    except OSError:
        for bound in opened:
            bound.close()
        raise
    return MediaSockets(address, port, opened[0], opened[1])


# The socket module of CPython 3.11 has no name for it; the value holds on every Linux but PA-RISC and SPARC.
SO_TIMESTAMPNS = 35
