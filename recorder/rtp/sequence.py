"""The packets of one SSRC in the order in which they were sent (RFC 3550 appendix A.1 and A.3).

Sequence numbers and timestamps are extended in the order of arrival, so that wraps,
reordering and late packets need no window. Of two packets with one number the
first counts. Numbers that never came are counted where they are missing. A sender
that begins its numbers anew loses nothing: its packets follow on.

Rules: pure, numpy only. Times are in samples of 8 kHz from the start of the
recording, whatever the clock of the codec. Not here: where audio is placed
(`timeline`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive.model import PacketCounts
from recorder.rtp.batch import FLAG_TRUNCATED, PACKET_ROW, Rows
from recorder.rtp.payload_format import PAYLOAD_TYPES_COUNT, Kind, PayloadFormat

SAMPLE_RATE_HZ = 8000

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Octets = npt.NDArray[np.uint8]

_DROPOUT_PACKETS_MAX = 3000  # MAX_DROPOUT of RFC 3550 A.1, here on top of what the time that passed explains
_MISORDER_PACKETS_MAX = 3000  # a minute: later than any packet is, so the sender began anew
_PACKET_UNITS_MIN = 100  # 10 ms in units of arrival: the shortest packet time in use
_AMBIGUOUS_UNITS = 3_000_000  # 300 s: beyond, half the number space may have passed, and only forward
_CONTAINED = (Kind.A_LAW, Kind.MU_LAW, Kind.COMFORT_NOISE, Kind.OPAQUE)


class Track:
    """Collects what one SSRC of one stream sent, as it came."""

    def __init__(self, stream_index: int, ssrc: int) -> None:
        self.stream_index = stream_index
        self.ssrc = ssrc
        self._rows = bytearray()
        self._payload = bytearray()

    def add(self, rows: Rows, payload: bytes) -> None:
        """Take the packets of one journal record."""
        self._rows += rows.data
        self._payload += payload

    @property
    def rows(self) -> Rows:
        """Return all packets, dtype PACKET_ROW, in the order of arrival."""
        return np.frombuffer(self._rows, PACKET_ROW)

    @property
    def payload(self) -> Octets:
        """Return all payloads, one after the other in the order of `rows`."""
        return np.frombuffer(self._payload, np.uint8)


@dataclass(frozen=True)
class PacketSequence:
    """The media packets of a track, first copies only, by extended sequence number.

    All columns have one entry a packet. `media` is the extended timestamp and `size`
    the packet's length, both in samples of 8 kHz; `arrival` likewise. `missing` counts
    the numbers missing right before a packet, and `alive` and `back` the arrivals of the
    packets of any kind around them: a key pressed there was heard. `payload_at` is where
    its octets begin.
    """

    stream_index: int
    ssrc: int
    media: Integers
    arrival: Integers
    size: Integers
    kind: Octets
    missing: Integers
    alive: Integers
    back: Integers
    payload_at: Integers
    counts: PacketCounts
    payload_types: tuple[tuple[int, int], ...]
    truncated: int


def arrange(track: Track, formats: Sequence[PayloadFormat], ptime_ms: int) -> PacketSequence:
    """Return the packets of `track` in order; `formats` has one entry a payload type.

    `ptime_ms` is how long a packet of a codec lasts whose payload says nothing of it. Raises
    ValueError when the payload is not as long as the rows say.
    """
    if int(track.rows["size"].sum(dtype=np.int64)) != len(track.payload):
        raise ValueError("The payload of a track is not as long as its packets say.")
    rows, payload_at = _as_arrived(track.rows)
    extended, reordered = extend_sequence(rows["sequence"], rows["arrival"])
    numbers, first = np.unique(extended, return_index=True)
    types = rows["payload_type"] % PAYLOAD_TYPES_COUNT
    kinds = np.array([item.kind for item in formats], np.uint8)[types]
    # A number a duplicate repeats is one number: missing is counted among unique ones, and
    # events, which share the numbers but carry no audio, are part of them.
    media = np.isin(kinds[first], _CONTAINED)
    rank = np.flatnonzero(media)
    arrivals = rows["arrival"].astype(np.int64) * 4 // 5
    alive, back = (arrivals[first[side]] for side in _around(numbers, rank))
    numbers, kept = numbers[media], first[media]
    missing = np.diff(numbers, prepend=numbers[:1]) - np.diff(rank, prepend=rank[:1])
    clocks = np.array([item.clock_rate_hz for item in formats], np.int64)[types[kept]]
    return PacketSequence(
        stream_index=track.stream_index,
        ssrc=track.ssrc,
        media=extend_timestamp(rows["timestamp"])[kept] * SAMPLE_RATE_HZ // clocks,
        arrival=arrivals[kept],
        size=_lengths(rows["size"][kept].astype(np.int64), kinds[kept], ptime_ms),
        kind=kinds[kept],
        missing=missing,
        alive=alive,
        back=back,
        payload_at=payload_at[kept],
        counts=PacketCounts(
            received=len(rows), lost=0, duplicated=len(rows) - len(first), reordered=reordered
        ),
        payload_types=_tally(types),
        truncated=int(np.count_nonzero(rows["flags"] & FLAG_TRUNCATED)),
    )


def extend_sequence(
    sequence: npt.NDArray[np.uint16], arrival: npt.NDArray[np.uint32]
) -> tuple[Integers, int]:
    """Return the numbers extended over wraps and fresh starts, and how many came out of order.

    Both columns are in the order of arrival; arrival is in units of 100 µs.
    """
    if not len(sequence):
        return np.zeros(0, np.int64), 0
    forward = np.diff(sequence).astype(np.int64)
    waited = np.maximum(np.diff(arrival.astype(np.int64)), 0)
    step = np.where((forward < 32768) | (waited > _AMBIGUOUS_UNITS), forward, forward - 65536)
    explained = _DROPOUT_PACKETS_MAX + waited // _PACKET_UNITS_MIN
    fresh = (step > explained) | (step < -_MISORDER_PACKETS_MAX)
    walk = np.concatenate(([0], np.cumsum(np.where(fresh, 0, step))))
    starts = np.concatenate(([0], np.flatnonzero(fresh) + 1))
    highest, lowest = np.maximum.reduceat(walk, starts), np.minimum.reduceat(walk, starts)
    # Each fresh start is moved so that its lowest number follows the highest before it.
    shift = np.cumsum(np.concatenate(([0], highest[:-1] - lowest[1:] + 1)))
    extended = walk + np.repeat(shift, np.diff(starts, append=len(walk)))
    behind = extended[1:] < np.maximum.accumulate(extended)[:-1]
    return extended, int(np.count_nonzero(behind)) - _repeated(extended, behind)


def extend_timestamp(timestamp: npt.NDArray[np.uint32]) -> Integers:
    """Return timestamps, given in the order of arrival, extended over wraps; the first is 0."""
    steps = np.diff(timestamp).astype(np.int32).astype(np.int64)
    return np.concatenate((np.zeros(min(len(timestamp), 1), np.int64), np.cumsum(steps)))


def _around(numbers: Integers, rank: Integers) -> tuple[Integers, Integers]:
    """Return what stands before and after the widest hole in front of each of the numbers at `rank`."""
    before, after = np.concatenate((rank[:1], rank[:-1])), rank.copy()
    for index in np.flatnonzero(after - before > 1).tolist():
        steps = np.diff(numbers[before[index] : after[index] + 1])
        before[index] += int(np.argmax(steps))
        after[index] = before[index] + 1
    return before, after


def _repeated(extended: Integers, behind: Bools) -> int:
    """Return how many packets that came behind are copies, which are duplicates and not reordered."""
    if not behind.any():
        return 0
    _, first = np.unique(extended, return_index=True)
    copies = np.ones(len(extended), np.bool_)
    copies[first] = False
    return int(np.count_nonzero(copies[1:] & behind))


def _as_arrived(rows: Rows) -> tuple[Rows, Integers]:
    """Return the rows by arrival, without what the journal wrote twice, and where each one's payload begins.

    They may stand in another order: after a failed sync the last seconds are written again,
    and a cut writes the head of a segment anew. Such a copy has the very arrival of its
    original, and stands behind packets that came later; a duplicate made by the network does not.
    """
    payload_at = np.cumsum(rows["size"], dtype=np.int64) - rows["size"]
    arrival = rows["arrival"].astype(np.int64)
    if (np.diff(arrival) >= 0).all():
        return rows, payload_at
    _, first = np.unique(arrival << 16 | rows["sequence"], return_index=True)
    copies = np.ones(len(rows), np.bool_)
    copies[first] = False
    copies &= arrival < np.maximum.accumulate(arrival)
    order = np.flatnonzero(~copies)
    order = order[np.argsort(arrival[order], kind="stable")]
    return rows[order], payload_at[order]


def _lengths(octets: Integers, kinds: Octets, ptime_ms: int) -> Integers:
    """Return how many samples each packet lasts: an octet a sample for G.711, nothing for comfort noise."""
    lengths = np.where(kinds == Kind.OPAQUE, ptime_ms * SAMPLE_RATE_HZ // 1000, octets)
    return np.where(kinds == Kind.COMFORT_NOISE, 0, lengths)


def _tally(types: Octets) -> tuple[tuple[int, int], ...]:
    numbers, counts = np.unique(types, return_counts=True)
    return tuple((int(number), int(count)) for number, count in zip(numbers, counts, strict=True))
