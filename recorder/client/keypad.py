"""Keys pressed in a call, as telephone-event packets (RFC 4733 section 2.5.1).

A key has one packet each packet time, with the duration so far, and its end three times.
The retransmitted ends take packet times of their own, so that sequence numbers go with
packet times as those of audio do.

Rules: pure. Written out here, not by the recorder's own reader of events, so that the
client stays a second opinion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from recorder.client.call import KEYS, PACKET_MS, PACKET_OCTETS, PACKETS_PER_S, PlannedEvent

END_PACKETS = 3
"""How often the end of an event is said (RFC 4733 section 2.5.1.4)."""

GAP_PACKETS = 3
"""Audio between two keys, in packet times: exchanges want 40 ms at least."""

DURATION_MAX = 0xFFFF
"""The duration field is 16 bits: a key held longer goes on in another segment (section 2.5.1.3)."""

_VOLUME = 10  # -10 dBm0, as telephones say
_END = 0x80


@dataclass(frozen=True)
class EventPacket:
    """What goes out in a packet time in place of audio; `offset` is its timestamp from the call's first."""

    offset: int
    marker: bool
    payload: bytes


def event_packets(events: tuple[PlannedEvent, ...]) -> dict[int, EventPacket]:
    """Return the packets of all keys pressed, by the packet time in which each goes out.

    Where two plans overlap, the later one in the list counts.
    """
    found: dict[int, EventPacket] = {}
    for event in events:
        turn = round(event.at_s * PACKETS_PER_S)
        for digit in event.digits:
            pressed = _pressed(KEYS.index(digit), turn * PACKET_OCTETS, event.duration_ms // PACKET_MS)
            found.update(enumerate(pressed, start=turn))
            turn += len(pressed) + GAP_PACKETS
    return found


def _pressed(code: int, offset: int, count: int) -> list[EventPacket]:
    """Return the packets of one key held for `count` packet times."""
    packets = []
    for number in range(1, count + 1):
        held = number * PACKET_OCTETS
        before = (held - 1) // DURATION_MAX * DURATION_MAX
        flags = _VOLUME | (_END if number == count else 0)
        payload = bytes((code, flags)) + (held - before).to_bytes(2, "big")
        packets.append(EventPacket(offset + before, number == 1, payload))
    last = replace(packets[-1], marker=False)
    return [*packets, *[last] * (END_PACKETS - 1)]
