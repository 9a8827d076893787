"""Who sends a stream, and how well it arrives: latched source, SSRC, sequence and jitter.

The session description says only where a peer receives, so the source of a stream
is learned: the first valid packet from the peer's networks latches its transport
address (RFC 7866 section 8.1.8), and from then on packets from elsewhere are
refused. A latched source that was silent for a second may be replaced (the peer
moved its media), and a new offer forgets it.

Rules: one row of columns per stream, so that a whole batch is compared at once;
addresses are the octets of a `sockaddr` (32, zero filled). Statistics follow
RFC 3550 appendices A.1, A.3 and A.8. No socket and no clock.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.rtp.batch import Bools, Indices, Nanoseconds, Slices, Words

SOCKADDR_BYTES = 32
RELEARN_SILENCE_NS = 1_000_000_000
DROPOUT_MAX = 3000  # RFC 3550 A.1: a larger jump of the sequence number is a restarted source
MISORDER_MAX = 100  # RFC 3550 A.1: packets older than this are not late but of another run
LOST_MAX = 0x7F_FFFF  # cumulative loss is a signed 24-bit field (RFC 3550 section 6.4.1)
_INET, _INET6 = 2, 10
KNOWN_ADDRESSES_MAX = 64  # decisions remembered per stream, so that a flood costs a look-up a packet

Addresses = npt.NDArray[np.uint64]


class Networks:
    """The address ranges a peer may send from."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = tuple(ipaddress.ip_network(item, strict=False) for item in networks)
        self._known: dict[bytes, bool] = {}

    def admit(self, sockaddr: bytes) -> bool:
        """Say whether the address in a `sockaddr` lies in one of the ranges."""
        known = self._known.get(sockaddr)
        if known is None:
            if len(self._known) >= KNOWN_ADDRESSES_MAX:
                self._known.clear()
            known = self._known[sockaddr] = self._contain(sockaddr)
        return known

    def _contain(self, sockaddr: bytes) -> bool:
        found = address_of(sockaddr)
        if found is None:
            return False
        address = ipaddress.ip_address(found[0])
        return any(address.version == item.version and address in item for item in self._networks)


def address_of(sockaddr: bytes) -> tuple[str, int] | None:
    """Return host and port of a `sockaddr_in` or `sockaddr_in6`; a mapped IPv4 address comes as IPv4."""
    family, port = int.from_bytes(sockaddr[:2], "little"), int.from_bytes(sockaddr[2:4], "big")
    if family == _INET:
        return str(ipaddress.IPv4Address(sockaddr[4:8])), port
    if family != _INET6:
        return None
    address = ipaddress.IPv6Address(sockaddr[8:24])
    return str(address.ipv4_mapped or address), port


def _family(first: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the address family in the first words of addresses."""
    return first & np.uint64(0xFFFF)


@dataclass(frozen=True, slots=True)
class Reception:
    """What a report block says of one source (RFC 3550 section 6.4.1); `jitter` in timestamp units."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int


class Sources:
    """The columns of all streams; a row is given by the caller and may be used again after `reset`."""

    def __init__(self, rows: int) -> None:
        self.address = np.zeros((rows, SOCKADDR_BYTES // 8), np.uint64)
        self.last_ns = np.zeros(rows, np.int64)
        self._clock_per_ns = np.zeros(rows, np.float64)
        self._ssrc = np.zeros(rows, np.uint32)
        self._begun = np.zeros(rows, np.bool_)
        self._base = np.zeros(rows, np.int64)
        self._highest = np.zeros(rows, np.int64)
        self._received = np.zeros(rows, np.int64)
        self._transit = np.zeros(rows, np.float64)
        self._jitter = np.zeros(rows, np.float64)
        self._prior = np.zeros((rows, 2), np.int64)

    def reset(self, row: int, clock_rate_hz: int) -> None:
        """Begin a new stream in `row`."""
        self.forget(row)
        self.last_ns[row] = 0
        self._clock_per_ns[row] = clock_rate_hz / 1e9

    def forget(self, row: int) -> None:
        """Unlearn address and SSRC, as after a new offer."""
        self.address[row] = 0
        self._begun[row] = False

    def match(self, slices: Slices, addresses: Addresses) -> Bools:
        """Say which packets come from the latched address of their row; `addresses` has shape (n, 4)."""
        latched = np.repeat(self.address[slices.rows, 0], slices.counts)
        first = addresses[:, 0]
        same: Bools = latched == first
        same &= first != 0
        # An IPv4 address ends in the first word; only for IPv6 do the others mean anything.
        if (_family(self.address[slices.rows, 0]) == _INET6).any():
            longer = np.repeat(self.address[slices.rows, 1:], slices.counts, axis=0)
            same &= (_family(first) != _INET6) | (longer == addresses[:, 1:]).all(axis=1)
        return same

    def latched(self, rows: Indices) -> Bools:
        """Say which rows know their source."""
        known: Bools = self.address[rows, 0] != 0
        return known

    def latch(self, row: int, address: npt.NDArray[np.uint64]) -> None:
        """Learn the source of a row."""
        self.address[row] = address

    def may_change(self, row: int, arrival_ns: int) -> bool:
        """Say whether another source may take over: none is known, or it was silent for a second."""
        return not self.address[row, 0] or arrival_ns - int(self.last_ns[row]) >= RELEARN_SILENCE_NS

    def observe(self, slices: Slices, word: Words, timestamp: Words, arrival_ns: Nanoseconds) -> None:
        """Count the packets of slices, each of one SSRC that was adopted; the columns are one per packet.

        The highest sequence number is taken from the last packet of a slice: were it a late
        one, the next slice corrects that.
        """
        rows, counts = slices.rows, slices.counts
        ends = slices.starts + counts - 1
        fresh = ~self._begun[rows]
        first = (word[slices.starts] & 0xFFFF).astype(np.int64)
        self._restart(rows[fresh], first[fresh])
        last = (word[ends] & 0xFFFF).astype(np.int64)
        # The low 16 bits of the difference, read as signed, are how far a packet lies ahead (RFC 1982).
        lead = ((last - self._highest[rows] + 0x8000) & 0xFFFF) - 0x8000
        jumped = (lead >= DROPOUT_MAX) | (lead <= -MISORDER_MAX)
        if jumped.any():
            self._restart(rows[jumped], first[jumped])
            lead = np.where(jumped, (last - first) & 0xFFFF, lead)
        self._highest[rows] += np.maximum(lead, 0)
        self._received[rows] += counts
        self.last_ns[rows] = arrival_ns[ends]
        self._observe_jitter(slices, timestamp, arrival_ns, fresh)

    def _observe_jitter(
        self, slices: Slices, timestamp: Words, arrival_ns: Nanoseconds, fresh: Bools
    ) -> None:
        """Move the jitter estimate of RFC 3550 A.8 by one sample a slice: its last two packets."""
        rows, ends = slices.rows, slices.starts + slices.counts - 1
        rate = self._clock_per_ns[rows]
        transit = arrival_ns[ends] * rate - timestamp[ends]
        inside = np.maximum(ends - 1, slices.starts)
        before = np.where(
            slices.counts > 1, arrival_ns[inside] * rate - timestamp[inside], self._transit[rows]
        )
        difference = np.abs(transit - before)
        # Nothing came before a first packet, and a timestamp that wrapped says nothing.
        difference[(fresh & (slices.counts == 1)) | (difference > 2**31)] = 0.0
        self._jitter[rows] += (difference - self._jitter[rows]) / 16.0
        self._transit[rows] = transit

    def adopt(self, rows: Indices, ssrcs: Words) -> None:
        """Note the SSRC of each row; one that changed begins its counts again."""
        changed = self._ssrc[rows] != ssrcs
        if changed.any():
            self._ssrc[rows] = ssrcs
            self._begun[rows[changed]] = False

    def _restart(self, rows: Indices, sequence: Indices) -> None:
        if len(rows) == 0:
            return
        self._begun[rows] = True
        self._base[rows] = sequence
        self._highest[rows] = sequence
        self._received[rows] = 0
        self._jitter[rows] = 0.0
        self._prior[rows] = 0

    def reception(self, row: int) -> Reception | None:
        """Return the report block of a row and begin its next interval; None before the first packet."""
        if not self._begun[row]:
            return None
        expected = int(self._highest[row] - self._base[row]) + 1
        received = int(self._received[row])
        expected_before, received_before = (int(item) for item in self._prior[row])
        self._prior[row] = expected, received
        interval = expected - expected_before
        missing = interval - (received - received_before)
        return Reception(
            ssrc=int(self._ssrc[row]),
            fraction_lost=min(255, (missing << 8) // interval) if interval > 0 and missing > 0 else 0,
            lost=max(-LOST_MAX - 1, min(LOST_MAX, expected - received)),
            highest_sequence=int(self._highest[row]) & 0xFFFF_FFFF,
            jitter=int(self._jitter[row]),
        )
