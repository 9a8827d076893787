"""RTCP of all streams: what peers report is read about each second, our reports go out each five.

A receive-only participant owes its peer receiver reports with a CNAME (RFC 3550
section 6). They go where the peer's RTCP comes from; before it sent any, to the RTP
source's port plus one (section 11), or to the RTP source itself when it multiplexes
(RFC 5761).

Rules: only RTCP from a stream's networks is read. A report that can't be sent is lost,
as RTCP is; nothing here may hold up audio.
"""

from __future__ import annotations

import random
import secrets
import socket

from recorder.capture.receive import ReceiveBuffers, Received
from recorder.capture.stream import Stream, StreamTable
from recorder.rtp.packet import MalformedPacket, Protocol, protocol_of
from recorder.rtp.rtcp import SenderReport, interval_s, parse_compound, receiver_report
from recorder.rtp.source import address_of

READ_INTERVAL_S = 1.0
PASSES_MAX = 8  # a flood of RTCP is left in the socket's buffer, where it is dropped


class ControlChannel:
    """The RTCP of one capture process."""

    def __init__(self, table: StreamTable, buffers: ReceiveBuffers) -> None:
        self._table = table
        self._buffers = buffers
        self._ssrc = secrets.randbits(32)
        # RFC 7022: a name that says nothing about the host, one for the life of the process.
        self._cname = f"earwitness-{secrets.token_hex(8)}"
        self._random = random.Random(self._ssrc)  # noqa: S311 - spreads reports in time, guards nothing
        self._read_at = 0.0
        self.refused = 0

    def tend(self, now: float, now_ns: int) -> None:
        """Read and send what is due."""
        if now < self._read_at:
            return
        self._read_at = now + READ_INTERVAL_S
        self._read()
        for stream in self._table.all():
            if now >= stream.report_at:
                first = stream.report_at == 0.0
                stream.report_at = now + interval_s(self._random.random())
                if not first:
                    self._report(stream, now_ns)

    def _read(self) -> None:
        table = self._table
        for received in self._buffers.drain(table.control_descriptors, table.rows, PASSES_MAX):
            self._take(received)

    def _take(self, received: Received) -> None:
        slices = received.slices
        for row, start, count in zip(slices.rows, slices.starts, slices.counts, strict=True):
            stream = self._table.by_row[row]
            for slot in range(start, start + count):
                sockaddr = received.addresses[slot].tobytes()
                datagram = self._buffers.datagram(slot, int(received.sizes[slot]))
                if stream is None or not stream.networks.admit(sockaddr):
                    self.refused += 1
                elif self.receive(stream, datagram, sockaddr, int(received.arrival_ns[slot])):
                    stream.rtcp_peer = address_of(sockaddr)

    def receive(self, stream: Stream, datagram: bytes, sockaddr: bytes, arrival_ns: int) -> bool:
        """Read one compound packet; False when it is none, or from elsewhere."""
        if protocol_of(datagram) is not Protocol.RTCP or not stream.networks.admit(sockaddr):
            self.refused += 1
            return False
        try:
            packets = parse_compound(datagram)
        except MalformedPacket:
            self.refused += 1
            return False
        for packet in packets:
            if isinstance(packet, SenderReport):
                stream.last_sr = packet.ntp >> 16 & 0xFFFF_FFFF
                stream.last_sr_ns = arrival_ns
        return True

    def _report(self, stream: Stream, now_ns: int) -> None:
        source = address_of(self._table.sources.address[stream.row].tobytes())
        if source is None:
            return
        delay = (now_ns - stream.last_sr_ns) * 65536 // 1_000_000_000 if stream.last_sr else 0
        reception = self._table.sources.reception(stream.row)
        report = receiver_report(
            self._ssrc, self._cname, reception, last_sr=stream.last_sr, delay=delay & 0xFFFF_FFFF
        )
        if stream.multiplexed:
            _send(stream.rtp, report, source)
        else:
            _send(stream.rtcp, report, stream.rtcp_peer or (source[0], source[1] + 1))


def _send(media: socket.socket, report: bytes, peer: tuple[str, int]) -> None:
    host, port = peer
    if media.family == socket.AF_INET6 and ":" not in host:
        host = f"::ffff:{host}"
    try:
        media.sendto(report, (host, port & 0xFFFF))
    except OSError:
        return  # the peer is unreachable just now: the next report says the same and more
