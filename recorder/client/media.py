"""Sending the streams of a call: RTP at 20 ms, both parties by one absolute clock.

RFC 3550 section 5.1 headers, payload type 8 (PCMA), and 101 (telephone-event, RFC 4733)
while a key is pressed. Each packet time is computed from the start of the call, never
from the packet before, so that nothing drifts.
While the session is paused packet times pass without packets, and the timestamps
go on, as those of a real sender do.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from dataclasses import dataclass, field

from recorder.client.call import (
    PACKET_MS,
    PACKET_OCTETS,
    PAYLOAD_TYPE_EVENT,
    PAYLOAD_TYPE_PCMA,
    SILENCE,
    SentPacket,
    SentStream,
    StreamPlan,
    packet_turns,
)
from recorder.client.keypad import EventPacket, event_packets

# Ports are tried in pairs; a machine without a free pair in that many tries has run out of ports.
PORT_TRIES_MAX = 200


@dataclass
class Stream:
    """One stream being sent, from an even port; the odd one above it is RTCP's."""

    label: str
    plan: StreamPlan
    rtp: socket.socket
    rtcp: socket.socket
    turns: list[list[int]]
    events: dict[int, EventPacket]
    ssrc: int
    first_sequence: int
    first_timestamp: int
    remote: tuple[str, int] | None = None
    was_wanted: bool = False
    packets: list[SentPacket] = field(default_factory=list)

    @classmethod
    def open(cls, label: str, plan: StreamPlan, host: str, count: int) -> Stream:
        """Bind a pair of ports for a stream of `count` packet times; raises OSError."""
        rtp, rtcp = _bind_pair(host)
        return cls(
            label=label,
            plan=plan,
            rtp=rtp,
            rtcp=rtcp,
            turns=packet_turns(count, plan.delivery),
            events=event_packets(plan.events),
            ssrc=secrets.randbits(32) if plan.ssrc is None else plan.ssrc,
            first_sequence=secrets.randbits(15) if plan.first_sequence is None else plan.first_sequence,
            first_timestamp=secrets.randbits(31) if plan.first_timestamp is None else plan.first_timestamp,
        )

    @property
    def port(self) -> int:
        """The port the RTP comes from."""
        port: int = self.rtp.getsockname()[1]
        return port

    def send_to(self, remote: tuple[str, int] | None) -> None:
        """Send to this address from now on, or to nobody."""
        self.remote = remote
        self.was_wanted = self.was_wanted or remote is not None

    def send_turn(self, turn: int) -> None:
        """Send the packets of one packet time, if the peer accepted the stream."""
        if self.remote is None:
            return
        for index in self.turns[turn]:
            if index >= self.plan.late_by:
                self._send(index, self.remote)

    def _send(self, index: int, remote: tuple[str, int]) -> None:
        packet, marker = self._packet(index)
        second = 0x80 * marker | packet.payload_type
        header = struct.pack("!BBHII", 0x80, second, packet.sequence, packet.timestamp, self.ssrc)
        # A recorder that is restarting refuses packets for a moment; a sender does not care.
        with contextlib.suppress(OSError):
            self.rtp.sendto(header + packet.payload, remote)
        self.packets.append(packet)

    def _packet(self, index: int) -> tuple[SentPacket, bool]:
        """Return the packet of a packet time, an event or audio, and its marker."""
        event = self.events.get(index)
        if event is None:
            payload = self.plan.audio[index * PACKET_OCTETS : (index + 1) * PACKET_OCTETS]
            payload += SILENCE * (PACKET_OCTETS - len(payload))
            units, kind, marker = index * PACKET_OCTETS, PAYLOAD_TYPE_PCMA, not self.packets
        else:
            payload = event.payload
            units, kind, marker = event.offset, PAYLOAD_TYPE_EVENT, event.marker
        packet = SentPacket(
            index=index,
            sequence=(self.first_sequence + index) & 0xFFFF,
            timestamp=(self.first_timestamp + units) & 0xFFFF_FFFF,
            payload=payload,
            sent_s=time.monotonic(),
            payload_type=kind,
        )
        return packet, marker

    def sent(self) -> SentStream:
        """Return what was sent."""
        return SentStream(self.label, self.ssrc, self.was_wanted, tuple(self.packets))

    def close(self) -> None:
        """Close both sockets."""
        self.rtp.close()
        self.rtcp.close()


class Pace:
    """Packet times by an absolute clock: turn n is at start + n * 20 ms."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    async def wait_for(self, turn: int) -> None:
        """Return when the packet time `turn` has come; at once when it has passed."""
        delay_s = self._start + turn * PACKET_MS / 1000 - self._loop.time()
        # Yields in every turn, so that a late sender still reads what the peer says.
        await asyncio.sleep(max(0.0, delay_s))

    @property
    def turn(self) -> int:
        """The packet time it is now."""
        return int(self.elapsed_s * 1000 / PACKET_MS)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self._start


def _bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(PORT_TRIES_MAX):
        rtp, rtcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        try:
            rtp.setblocking(False)
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((host, port + 1))
                return rtp, rtcp
        except OSError as error:
            last = error
        else:
            last = OSError("odd port")
        rtp.close()
        rtcp.close()
    raise OSError(f"No free pair of UDP ports on {host} ({last}).")
