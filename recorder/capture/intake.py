"""Which packets of a pass count, and what becomes of them: from matrices to sealed frames.

Three ways, by slice (the packets of one stream in one pass): a *plain* slice, all
160-octet payloads of one SSRC from the latched source, is sealed straight from the
matrices; a *whole* one, all regular packets of other sizes, has its payloads joined
first; any other is taken packet by packet, where sources are latched and refused,
RTCP is told apart, and extensions, CSRC lists and padding are read.

Rules: a packet from elsewhere is counted and goes nowhere. Every frame is of one
stream and one SSRC, in the order of arrival. What no track wants is dropped here
without having been looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.capture.receive import ReceiveBuffers, Received
from recorder.capture.stream import Stream, StreamTable
from recorder.journal.heads import BOUND, HEAD_BYTES, NONCE, fill
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import (
    FLAG_MARKER,
    FLAG_TRUNCATED,
    PACKET_ROW,
    PLAIN_PAYLOAD_BYTES,
    Bools,
    HeaderColumns,
    Indices,
    Nanoseconds,
    Rows,
    Slices,
    arrival_units,
    header_columns,
    packet_rows,
)
from recorder.rtp.packet import MalformedPacket, Protocol, RtpPacket, protocol_of

ControlHandler = Callable[[Stream, bytes, bytes, int], bool]
Packets = tuple[Rows, list[bytes], Nanoseconds]  # rows, payloads and arrivals of the same packets
_ROW_BYTES = PACKET_ROW.itemsize


@dataclass(slots=True)
class Counts:
    """What came since the last report."""

    packets: int = 0
    octets: int = 0
    refused: int = 0
    ignored: int = 0
    truncated: int = 0
    kernel_drops: int = 0


class Intake:
    """Takes passes apart and feeds the tracks."""

    def __init__(
        self, table: StreamTable, buffers: ReceiveBuffers, journal: JournalWriter, control: ControlHandler
    ) -> None:
        self._table = table
        self._buffers = buffers
        self._journal = journal
        self._control = control
        self.counts = Counts()

    def take(self, received: Received, now: float) -> None:
        """Deal with everything a pass brought."""
        slices, sources = received.slices, self._table.sources
        columns = header_columns(received.headers, received.sizes)
        self._learn(received, columns)
        ours = sources.match(slices, received.addresses)
        good = columns.regular & ours & ~received.truncated
        good &= columns.ssrc == np.repeat(columns.ssrc[slices.starts], slices.counts)
        whole = np.logical_and.reduceat(good, slices.starts)
        for row, drops in received.drops:
            self._note_drops(row, drops)
        if whole.all():
            self._observe(slices, columns, received.arrival_ns)
        elif whole.any():
            self._observe(*_compress(slices, columns, received.arrival_ns, whole))
        started_ns = np.repeat(self._table.started_ns[slices.rows], slices.counts)
        rows = packet_rows(columns, arrival_units(received.arrival_ns, started_ns))
        self._seal(received, columns, rows, whole, now)
        for position in np.flatnonzero(~whole).tolist():
            self._take_singly(received, position, ours, now)

    def _learn(self, received: Received, columns: HeaderColumns) -> None:
        """Latch streams that have no source yet to their first regular packet from an allowed network."""
        slices, sources = received.slices, self._table.sources
        for position in np.flatnonzero(~sources.latched(slices.rows)).tolist():
            row, start = int(slices.rows[position]), int(slices.starts[position])
            stream = self._table.by_row[row]
            for slot in range(start, start + int(slices.counts[position])):
                payload_type = int(columns.word[slot]) >> 16 & 0x7F
                if stream is None or not columns.regular[slot] or not stream.expects(payload_type):
                    continue
                if stream.networks.admit(received.addresses[slot].tobytes()):
                    sources.latch(row, received.addresses[slot])
                    break

    def _observe(self, slices: Slices, columns: HeaderColumns, arrival_ns: Nanoseconds) -> None:
        sources = self._table.sources
        sources.adopt(slices.rows, columns.ssrc[slices.starts])
        sources.observe(slices, columns.word, columns.timestamp, arrival_ns)
        self.counts.packets += len(columns.word)
        self.counts.octets += int(columns.size.sum())

    def _seal(self, received: Received, columns: HeaderColumns, rows: Rows, whole: Bools, now: float) -> None:
        """Send whole slices to their tracks: the plain ones of armed lanes all at once, others one by one."""
        slices, lanes = received.slices, self._table.lanes
        plain = np.logical_and.reduceat(columns.plain, slices.starts) & whole
        for row in slices.rows[plain & ~lanes.armed[slices.rows]].tolist():
            stream = self._table.by_row[row]
            if stream is not None and len(stream.tracks) == 1:
                stream.tracks[0].arm(self._journal, now, row, stream.index)
        straight = plain & lanes.armed[slices.rows]
        if straight.any():
            self._seal_straight(received, columns, rows, np.flatnonzero(straight))
        for position in np.flatnonzero(whole & ~straight).tolist():
            stream = self._table.by_row[int(slices.rows[position])]
            if stream is None or not any(track.recording for track in stream.tracks):
                continue
            start = int(slices.starts[position])
            end = start + int(slices.counts[position])
            pieces = [self._buffers.payload(slot, int(columns.size[slot])) for slot in range(start, end)]
            packets = (rows[start:end], pieces, received.arrival_ns[start:end])
            self._deliver(stream, int(columns.ssrc[start]), packets, now)

    def _seal_straight(
        self, received: Received, columns: HeaderColumns, rows: Rows, positions: Indices
    ) -> None:
        """Seal the plain slices at `positions` of the pass under the segments of their lanes.

        The loop runs for each stream and tick: it does nothing but cut, seal and gather.
        """
        slices, lanes = received.slices, self._table.lanes
        streams, starts, counts = slices.rows[positions], slices.starts[positions], slices.counts[positions]
        ends = starts + counts
        heads = lanes.heads(streams)
        fill(heads, counts, columns.ssrc[starts], columns.timestamp[starts])
        octets = self._journal.link(heads, lanes.place[streams], counts)
        facts, payloads, encrypt = rows.tobytes(), self._buffers.payloads, lanes.encrypt
        parts: list[bytes] = []
        at = 0
        for stream, fact, fact_end, payload, payload_end in zip(
            streams.tolist(),
            (starts * _ROW_BYTES).tolist(),
            (ends * _ROW_BYTES).tolist(),
            (starts * PLAIN_PAYLOAD_BYTES).tolist(),
            (ends * PLAIN_PAYLOAD_BYTES).tolist(),
            strict=True,
        ):
            head = octets[at : at + HEAD_BYTES]
            at += HEAD_BYTES
            content = facts[fact:fact_end] + payloads[payload:payload_end]
            seal = encrypt[stream]
            assert seal is not None
            parts += (head, seal(head[NONCE], content, head[BOUND]))
        self._journal.extend(parts)
        lanes.count(streams, counts)

    def _deliver(self, stream: Stream, ssrc: int, packets: Packets, now: float) -> None:
        """Give packets of one SSRC to each track that records, with arrivals by its own beginning."""
        rows, pieces, arrival_ns = packets
        for track in stream.tracks:
            if not track.recording:
                continue
            chosen = track.chosen(arrival_ns)
            if not chosen.any():
                continue
            own = rows[chosen]
            own["arrival"] = arrival_units(arrival_ns[chosen], track.started_ns)
            wanted = [piece for piece, keep in zip(pieces, chosen.tolist(), strict=True) if keep]
            facts = (stream.index, ssrc, int(own["timestamp"][0]), len(own))
            content = b"".join((own.tobytes(), *wanted))
            track.seal(self._journal, now, facts, content)
            track.packets += len(own)

    def _take_singly(self, received: Received, position: int, ours: Bools, now: float) -> None:
        """Decide packet by packet on one slice, then deliver what was admitted by SSRC."""
        slices = received.slices
        stream = self._table.by_row[int(slices.rows[position])]
        if stream is None:
            return
        start, count = int(slices.starts[position]), int(slices.counts[position])
        mine = ours[start : start + count]
        admitted: dict[int, list[tuple[RtpPacket, int, bool]]] = {}
        for slot in range(start, start + count):
            known = bool(mine[slot - start])
            packet = self._admit(stream, received, slot, ours=known)
            if packet is not None and not known:
                # Another source was learned just now, and those after it in this slice are its too.
                one = Slices(slices.rows[position : position + 1], np.zeros(1, np.int64), np.array([count]))
                mine = self._table.sources.match(one, received.addresses[start : start + count])
            if packet is not None:
                item = (packet, int(received.arrival_ns[slot]), bool(received.truncated[slot]))
                admitted.setdefault(packet.ssrc, []).append(item)
        for ssrc, items in admitted.items():
            rows = np.array([_row(packet, truncated) for packet, _, truncated in items], PACKET_ROW)
            arrivals = np.array([arrival_ns for _, arrival_ns, _ in items], np.int64)
            self._observe_singly(stream, rows, ssrc, arrivals)
            pieces = [packet.payload for packet, _, _ in items]
            self._deliver(stream, ssrc, (rows, pieces, arrivals), now)

    def _admit(self, stream: Stream, received: Received, slot: int, *, ours: bool) -> RtpPacket | None:
        """Return the packet in a slot when it counts; note why when it does not."""
        sources, arrival_ns = self._table.sources, int(received.arrival_ns[slot])
        if not ours and not sources.may_change(stream.row, arrival_ns):
            # Most of what can be thrown at a port ends here, before any of it was looked at.
            self.counts.refused += 1
            return None
        address = received.addresses[slot]
        datagram = self._buffers.datagram(slot, int(received.sizes[slot]))
        protocol = protocol_of(datagram)
        if protocol is Protocol.OTHER:
            self.counts.ignored += 1
            return None
        if protocol is Protocol.RTCP:
            if self._control(stream, datagram, address.tobytes(), arrival_ns):
                stream.multiplexed = True
            return None
        truncated = bool(received.truncated[slot])
        try:
            packet = RtpPacket.parse(datagram, truncated=truncated)
        except MalformedPacket:
            self.counts.refused += 1
            return None
        if not ours and not self._relearn(stream, packet, address):
            self.counts.refused += 1
            return None
        sources.last_ns[stream.row] = arrival_ns
        self.counts.truncated += truncated
        self.counts.octets += len(datagram)
        return packet

    def _relearn(self, stream: Stream, packet: RtpPacket, address: npt.NDArray[np.uint64]) -> bool:
        """Latch a stream to another source when that is one of its peer's."""
        allowed = stream.expects(packet.payload_type) and stream.networks.admit(address.tobytes())
        if allowed:
            self._table.sources.latch(stream.row, address)
        return allowed

    def _observe_singly(self, stream: Stream, rows: Rows, ssrc: int, arrivals: Nanoseconds) -> None:
        slices = Slices(np.array([stream.row]), np.array([0]), np.array([len(rows)]))
        sources = self._table.sources
        sources.adopt(slices.rows, np.array([ssrc], np.uint32))
        sources.observe(slices, rows["sequence"].astype(np.uint32), rows["timestamp"], arrivals)
        self.counts.packets += len(rows)

    def _note_drops(self, row: int, drops: int) -> None:
        stream = self._table.by_row[row]
        if stream is not None:
            self.counts.kernel_drops += (drops - stream.drops) & 0xFFFF_FFFF
            stream.drops = drops


def _row(packet: RtpPacket, truncated: bool) -> tuple[int, int, int, int, int, int]:  # noqa: FBT001
    flags = packet.marker * FLAG_MARKER | truncated * FLAG_TRUNCATED
    return (packet.sequence, len(packet.payload), packet.timestamp, 0, packet.payload_type, flags)


def _compress(
    slices: Slices, columns: HeaderColumns, arrival_ns: Nanoseconds, chosen: Bools
) -> tuple[Slices, HeaderColumns, Nanoseconds]:
    """Return a batch of the chosen slices only."""
    packets = np.repeat(chosen, slices.counts)
    counts = slices.counts[chosen]
    return (
        Slices(slices.rows[chosen], np.cumsum(counts) - counts, counts),
        HeaderColumns(
            word=columns.word[packets],
            timestamp=columns.timestamp[packets],
            ssrc=columns.ssrc[packets],
            size=columns.size[packets],
            regular=columns.regular[packets],
            plain=columns.plain[packets],
        ),
        arrival_ns[packets],
    )
