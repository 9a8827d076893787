"""Which packets of a pass count, and what becomes of them: from matrices to sealed frames.

Three ways, by slice (the packets of one stream in one pass): a *plain* slice, all
160-octet payloads of one SSRC from the latched source, is sealed straight from the
matrices; a *whole* one, all regular packets of other sizes, has its payloads joined
first; any other is taken packet by packet, where sources are latched and refused,
RTCP is told apart, and extensions, CSRC lists and padding are read.

Rules: a packet from elsewhere is counted and goes nowhere. Every frame is of one
stream and one SSRC, in the order of arrival. What no track wants is dropped here
without having been looked at. A telephone-event loses its payload here, recorded or
not: its row, with size 0, keeps its place in the sequence, and the digit is told to
nobody but who watches the stream for star codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recorder.capture.messages import DigitPressed
from recorder.capture.receive import ReceiveBuffers, Received
from recorder.capture.stream import Stream, StreamTable
from recorder.journal.heads import BOUND, HEAD_BYTES, NONCE, fill
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import (
    FLAG_MARKER,
    FLAG_TRUNCATED,
    HEADER_BYTES,
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

DIGITS_WAITING_MAX = 32
"""Digits of one stream between two times they are taken (a tick): no keypad is pressed 160 times a second,
and after a stall of the network two seconds of dialling still fit."""


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
        self._digits: dict[int, list[DigitPressed]] = {}

    def take_digits(self) -> list[DigitPressed]:
        """Return the digits pressed in watched streams since the last time, each stream's in order."""
        if not self._digits:
            return []
        pressed, self._digits = self._digits, {}
        return [item for digits in pressed.values() for item in digits]

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
        events = self._events(received, columns)
        if events is not None:
            self._hear(received, columns, np.flatnonzero(events & np.repeat(whole, slices.counts)))
            columns = _emptied(columns, events)
        origin_ns = np.repeat(self._table.origin_ns[slices.rows], slices.counts)
        rows = packet_rows(columns, arrival_units(received.arrival_ns, origin_ns))
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

    def _events(self, received: Received, columns: HeaderColumns) -> Bools | None:
        """Say which packets are telephone-events by the answer of their stream; None when there are none.

        Nearly every pass ends at the first look: does any packet have a type that is one anywhere?
        """
        found = received.headers[:, 1].tobytes().translate(self._table.event_octets)
        if 1 not in found:
            return None
        slots = np.flatnonzero(np.frombuffer(found, np.uint8))
        events: Bools = np.zeros(received.total, np.bool_)
        payload_types = columns.word[slots] >> 16 & 0x7F
        events[slots] = self._table.event_types[received.slices.owners[slots], payload_types]
        return events

    def _hear(self, received: Received, columns: HeaderColumns, slots: Indices) -> None:
        """Let the streams that are watched for star codes hear the telephone-events in these slots."""
        owners = received.slices.owners[slots]
        for slot, row in zip(slots.tolist(), owners.tolist(), strict=True):
            stream = self._table.by_row[row]
            if stream is not None and stream.watch_digits:
                marker = bool(columns.word[slot] & 0x0080_0000)
                payload = self._buffers.payload(slot, int(received.sizes[slot]))
                ssrc, timestamp = int(columns.ssrc[slot]), int(columns.timestamp[slot])
                digit = stream.digit(ssrc, timestamp, marker, payload)
                self._press(stream, digit, int(received.arrival_ns[slot]))

    def _press(self, stream: Stream, digit: str | None, arrival_ns: int) -> None:
        if digit is None:
            return
        waiting = self._digits.setdefault(stream.stream_id, [])
        if len(waiting) < DIGITS_WAITING_MAX:
            waiting.append(DigitPressed(stream.stream_id, digit, arrival_ns))

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
            own["arrival"] = arrival_units(arrival_ns[chosen], track.origin_ns)
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
                packet = self._without_digit(stream, packet, int(received.arrival_ns[slot]))
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

    def _without_digit(self, stream: Stream, packet: RtpPacket, arrival_ns: int) -> RtpPacket:
        """Return the packet; when it is a telephone-event, heard and without its payload."""
        if packet.payload_type not in stream.event_types:
            return packet
        digit = stream.digit(packet.ssrc, packet.timestamp, packet.marker, packet.payload)
        self._press(stream, digit, arrival_ns)
        return replace(packet, payload=b"")

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


def _emptied(columns: HeaderColumns, events: Bools) -> HeaderColumns:
    """Return the columns as if these packets had come without a payload."""
    size = np.where(events, np.uint32(HEADER_BYTES), columns.size)
    return replace(columns, size=size, plain=columns.plain & ~events)


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
