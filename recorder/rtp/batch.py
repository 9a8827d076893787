"""The RTP headers of a whole batch of packets, read as numpy columns.

A batch is what one pass over all sockets brought: headers in one matrix of
12-byte rows, payloads beside it. Nearly every packet of a call is *regular*
(version 2, no padding, extension or CSRC) and nearly all of these are *plain*
(160 octets of payload, 20 ms of G.711), so the work per packet is a few nanoseconds
of vector arithmetic. Everything else goes through `recorder.rtp.packet`.

Rules: numpy only; shapes are `(packets,)` unless a docstring says otherwise. What
is regular here parses to the same values there (property test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 12
PLAIN_PAYLOAD_BYTES = 160
PLAIN_BYTES = HEADER_BYTES + PLAIN_PAYLOAD_BYTES

ARRIVAL_UNIT_NS = 100_000
_ARRIVAL_MAX = (
    2**32 - 1
)  # of an unsigned 32-bit column: a track of 4.9 days, beyond which arrival stands still

FLAG_MARKER = 1
FLAG_TRUNCATED = 2  # the datagram was longer than a receive slot: its end is missing

PACKET_ROW = np.dtype(
    [
        ("sequence", "<u2"),
        ("size", "<u2"),
        ("timestamp", "<u4"),
        ("arrival", "<u4"),
        ("payload_type", "u1"),
        ("flags", "u1"),
    ]
)

Bools = npt.NDArray[np.bool_]
Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Nanoseconds = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slices:
    """Where the packets of each stream stand in a batch: `counts[i]` packets of `rows[i]` from `starts[i]`.

    Slices lie one after the other and none is empty.
    """

    rows: Indices
    starts: Indices
    counts: Indices

    @property
    def owners(self) -> Indices:
        """The row of each packet."""
        return np.repeat(self.rows, self.counts)


@dataclass(frozen=True, slots=True)
class HeaderColumns:
    """The fixed headers of a batch; `word` is the first 32 bits of each, in host order."""

    word: Words
    timestamp: Words
    ssrc: Words
    size: Words
    regular: Bools
    plain: Bools


def header_columns(headers: Octets, sizes: Words) -> HeaderColumns:
    """Read `headers` of shape (packets, 12), contiguous, of datagrams of `sizes` octets."""
    words = headers.view(">u4")
    word = words[:, 0].astype(np.uint32)
    # Version 2 and nothing optional, and not one of the payload types that RFC 5761 gives to RTCP.
    regular = ((word >> 24) == 0x80) & ((word & 0x0060_0000) != 0x0040_0000) & (sizes >= HEADER_BYTES)
    return HeaderColumns(
        word=word,
        timestamp=words[:, 1].astype(np.uint32),
        ssrc=words[:, 2].astype(np.uint32),
        size=sizes,
        regular=regular,
        plain=regular & (sizes == PLAIN_BYTES),
    )


def packet_rows(columns: HeaderColumns, arrival: Words) -> Rows:
    """Return the journal rows (PACKET_ROW) of a batch; those of packets that are not regular mean nothing."""
    rows = np.empty(len(columns.word), PACKET_ROW)
    rows["sequence"] = columns.word
    rows["size"] = columns.size - HEADER_BYTES
    rows["timestamp"] = columns.timestamp
    rows["arrival"] = arrival
    second = columns.word >> 16
    rows["payload_type"] = second & 0x7F
    rows["flags"] = (second >> 7) & FLAG_MARKER
    return rows


def arrival_units(arrival_ns: Nanoseconds, started_ns: Nanoseconds | int) -> Words:
    """Return wall times as units of 100 µs since `started_ns`, clamped to what the column can hold."""
    units = (arrival_ns - started_ns) // ARRIVAL_UNIT_NS
    np.maximum(units, 0, out=units)
    clamped: Words = np.minimum(units, _ARRIVAL_MAX, out=units).astype(np.uint32)
    return clamped
