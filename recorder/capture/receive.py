"""One pass over many sockets by recvmmsg into fixed matrices: no allocation and no wake-up per packet.

The kernel scatters each datagram over three matrices: 12 octets of header, 160 of
payload, the rest. So the headers of a pass are one array to numpy, and the payloads
of a stream whose packets all have 160 octets are one contiguous run. With each
datagram come its source address and the kernel's time of arrival (SO_TIMESTAMPNS),
as the recorder's steady clock tells it.

Rules: sockets are non-blocking. `ctypes.PyDLL` keeps the interpreter lock: giving it
up at every socket would hand each pass to any busy thread (measured: 846 ms late).
A pass visits a socket at most once and begins where the last one stopped, so that a
backlog at the first sockets never starves the last.
"""

from __future__ import annotations

import ctypes
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recorder.rtp.batch import (
    HEADER_BYTES,
    PLAIN_PAYLOAD_BYTES,
    Bools,
    Indices,
    Nanoseconds,
    Octets,
    Slices,
    Words,
)
from recorder.rtp.source import SOCKADDR_BYTES, Addresses
from recorder.steady_clock import SteadyClock

SLOT_COUNT = 4096  # a pass stays in the cache of the processor, and numpy's fixed cost is spread thin enough
SOCKET_PACKETS_MAX = 64  # of one socket in one pass: 1.3 s of a stream, six times what a tick brings
OVERFLOW_BYTES = 1328  # with header and payload a whole Ethernet frame
DATAGRAM_BYTES_MAX = HEADER_BYTES + PLAIN_PAYLOAD_BYTES + OVERFLOW_BYTES

SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
_TRUNCATED = int(socket.MSG_TRUNC)
_DONTWAIT = int(socket.MSG_DONTWAIT)
_CONTROL_BYTES = 64
_STAMP_BYTES = 32  # one control message with a timespec
_MESSAGE_BYTES = 64
_MESSAGE = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": _MESSAGE_BYTES,
    }
)
_IOV = np.dtype([("base", "u8"), ("length", "u8")])

# Without declared types a call takes a third less time: descriptors and flags fit an int, and pointers
# are made once. It is the call that capture makes most.
_recvmmsg = ctypes.PyDLL(None).recvmmsg


@dataclass(frozen=True, slots=True)
class Received:
    """What a pass brought; views that the next pass overwrites. Columns are one item per packet."""

    slices: Slices
    sizes: Words
    truncated: Bools
    arrival_ns: Nanoseconds
    addresses: Addresses
    headers: Octets
    drops: tuple[tuple[int, int], ...]

    @property
    def total(self) -> int:
        """How many packets there are."""
        return len(self.sizes)


def prepare(media: socket.socket) -> None:
    """Make a socket fit for passes: non-blocking, with times of arrival and counts of drops."""
    media.setblocking(False)
    media.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    media.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)


def keep_stamping() -> socket.socket:
    """Return a socket that keeps the kernel's clock on every packet of the host for as long as it is open.

    The kernel begins to stamp packets a moment after the first socket asks, and a packet
    that came before has only the time at which it was read: too late for an exact edge.
    """
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return held


class ReceiveBuffers:
    """The matrices, and where the next pass begins."""

    def __init__(self, slots: int = SLOT_COUNT, clock: SteadyClock | None = None) -> None:
        """Hold `slots` packets a pass; times of arrival are those of `clock`."""
        self._slots = slots
        self._clock = clock or SteadyClock()
        self._headers = np.zeros((slots, HEADER_BYTES), np.uint8)
        self._payloads = np.zeros((slots, PLAIN_PAYLOAD_BYTES), np.uint8)
        # Zeros that nobody wrote take no memory, so the long matrix costs only what it is used.
        self._overflow = np.zeros((slots, OVERFLOW_BYTES), np.uint8)
        self._names = np.zeros((slots, SOCKADDR_BYTES // 8), np.uint64)
        self._control = np.zeros((slots, _CONTROL_BYTES // 8), np.int64)
        self._iov = np.zeros((slots, 3), _IOV)
        self._messages = np.zeros(slots, _MESSAGE)
        for column, matrix in enumerate((self._headers, self._payloads, self._overflow)):
            self._iov["base"][:, column] = _addresses(matrix)
            self._iov["length"][:, column] = matrix.shape[1]
        self._messages["name"] = _addresses(self._names)
        self._messages["iov"] = _addresses(self._iov)
        self._messages["iovlen"] = 3
        self._messages["control"] = _addresses(self._control)
        self._rearm(slots)
        self.payloads = self._payloads.data.cast("B")
        self._pointers = [ctypes.c_void_p(int(address)) for address in _addresses(self._messages)]
        self._begin = 0

    def _rearm(self, used: int) -> None:
        """Put back the lengths that the kernel replaced by what it wrote."""
        self._messages["namelen"][:used] = SOCKADDR_BYTES
        self._messages["controllen"][:used] = _CONTROL_BYTES

    def drain(self, descriptors: list[int], rows: Indices, passes_max: int) -> Iterator[Received]:
        """Read until every socket is empty, pass by pass; `rows` are the stream rows of `descriptors`.

        A socket that gave as much as it may is read again after the others had their turn.
        """
        begin = self._begin % len(descriptors) if descriptors else 0
        pending = descriptors[begin:] + descriptors[:begin]
        rows = np.roll(rows, -begin)
        for _ in range(passes_max):
            if not pending:
                return
            counts, received = self._fill(pending, rows)
            if received is not None:
                yield received
            visited = len(counts)
            full = np.flatnonzero(counts == SOCKET_PACKETS_MAX)
            again = [pending[position] for position in full.tolist()]
            rows = np.concatenate((rows[visited:], rows[full]))
            pending = pending[visited:] + again
        self._begin = begin + len(descriptors) - len(pending)

    def _fill(self, descriptors: list[int], rows: Indices) -> tuple[Indices, Received | None]:
        """Read once from each socket while slots last; return what each visited one gave, and all of it."""
        call, pointers, most, flags = _recvmmsg, self._pointers, SOCKET_PACKETS_MAX, _DONTWAIT
        total, limit = 0, self._slots - SOCKET_PACKETS_MAX
        taken: list[int] = []
        for descriptor in descriptors:
            got = call(descriptor, pointers[total], most, flags, None)
            if got > 0:
                total += got
            taken.append(got)
            if total > limit:
                break
        counts = np.maximum(np.array(taken, np.int64), 0)
        return counts, self._received(rows[: len(counts)], counts, total) if total else None

    def _received(self, rows: Indices, counts: Indices, total: int) -> Received:
        some = counts > 0
        if not some.all():
            rows, counts = rows[some], counts[some]
        messages = self._messages[:total]
        slices = Slices(rows, np.cumsum(counts) - counts, counts)
        lengths = messages["controllen"]
        received = Received(
            slices=slices,
            sizes=messages["length"].copy(),
            truncated=(messages["flags"] & _TRUNCATED) != 0,
            arrival_ns=self._arrivals(lengths, total),
            addresses=self._names[:total],
            headers=self._headers[:total],
            drops=self._drops(lengths, slices) if int(lengths.max()) > _STAMP_BYTES else (),
        )
        self._rearm(total)
        return received

    def _arrivals(self, lengths: np.ndarray[tuple[int], np.dtype[np.uint64]], total: int) -> Nanoseconds:
        control = self._control[:total]
        arrival: Nanoseconds = control[:, 2] * 1_000_000_000 + control[:, 3]
        stamped = (control[:, 1] == (socket.SOL_SOCKET | SO_TIMESTAMPNS << 32)) & (lengths >= _STAMP_BYTES)
        if not stamped.all():
            arrival[~stamped] = time.time_ns()
        return self._clock.arrivals(arrival)

    def _drops(
        self, lengths: np.ndarray[tuple[int], np.dtype[np.uint64]], slices: Slices
    ) -> tuple[tuple[int, int], ...]:
        """Return (row, packets the kernel dropped at this socket so far) where it says so."""
        last = slices.starts + slices.counts - 1
        control = self._control[last]
        told = (lengths[last] > _STAMP_BYTES) & (control[:, 5] == (socket.SOL_SOCKET | SO_RXQ_OVFL << 32))
        values = control[told, 6] & 0xFFFF_FFFF
        return tuple(zip(slices.rows[told].tolist(), values.tolist(), strict=True))

    def payload(self, slot: int, size: int) -> bytes:
        """Return what follows the first 12 octets of the datagram of `size` octets in `slot`."""
        inner = min(size - HEADER_BYTES, PLAIN_PAYLOAD_BYTES)
        if inner <= 0:
            return b""
        outer = size - HEADER_BYTES - inner
        return self._payloads[slot, :inner].tobytes() + self._overflow[slot, :outer].tobytes()

    def datagram(self, slot: int, size: int) -> bytes:
        """Return the whole datagram in `slot`."""
        return self._headers[slot, : min(size, HEADER_BYTES)].tobytes() + self.payload(slot, size)


def _addresses(
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return the address of each row of a contiguous matrix."""
    return matrix.ctypes.data + np.arange(matrix.shape[0], dtype=np.uint64) * np.uint64(matrix.strides[0])
