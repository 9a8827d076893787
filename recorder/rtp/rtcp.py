"""RTCP as a receive-only participant needs it: read reports, send a receiver report with a CNAME.

RFC 3550 section 6: compound packets, SR, RR, SDES, BYE; section 6.3 the interval.
A BYE of RTCP is read and nothing more: only signalling ends a recording.

Rules: bytes in, values out and back; no clock and no random generator of its own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from recorder.rtp.packet import MalformedPacket
from recorder.rtp.source import Reception

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
INTERVAL_S_MIN = 5.0
CNAME_BYTES_MAX = 255  # the length octet of an SDES item
PACKETS_MAX = 16  # a compound of more is an attack on the reader: RFC 3550 needs about five
_CNAME = 1
_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """Wall and media clock of a source at one moment; `ntp` is 64 bits, seconds in the upper half."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The canonical name of a source."""

    ssrc: int
    cname: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Sources that left."""

    ssrcs: tuple[int, ...]


ControlPacket = SenderReport | SourceDescription | Goodbye


def parse_compound(datagram: bytes) -> tuple[ControlPacket, ...]:
    """Return what a compound packet says, in order, but for kinds we don't use; raises MalformedPacket."""
    found: list[ControlPacket] = []
    for kind, count, body in _packets(datagram):
        if kind == SENDER_REPORT and len(body) >= _SENDER.size:
            found.append(SenderReport(*_SENDER.unpack_from(body)))
        elif kind == SOURCE_DESCRIPTION:
            found.extend(_descriptions(body, count))
        elif kind == GOODBYE and len(body) >= 4 * count:
            found.append(Goodbye(struct.unpack_from(f"!{count}I", body)))
    return tuple(found)


def _packets(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Walk the packets of a compound by their lengths (RFC 3550 appendix A.2)."""
    position = 0
    for _ in range(PACKETS_MAX + 1):
        if position == len(datagram):
            return
        if len(datagram) - position < _HEADER.size:
            break
        first, kind, words = _HEADER.unpack_from(datagram, position)
        end = position + 4 * (words + 1)
        if first >> 6 != 2 or end > len(datagram):
            break
        yield kind, first & 0x1F, datagram[position + _HEADER.size : end]
        position = end
    raise MalformedPacket("The peer sent an RTCP compound whose lengths do not add up.")


def _descriptions(body: bytes, count: int) -> Iterator[SourceDescription]:
    """Read the CNAME of each chunk (RFC 3550 section 6.5); a torn chunk ends the list."""
    position = 0
    for _ in range(count):
        if position + 4 > len(body):
            return
        (ssrc,) = struct.unpack_from("!I", body, position)
        position += 4
        while position + 2 <= len(body) and body[position]:
            kind, size = body[position], body[position + 1]
            if kind == _CNAME:
                text = body[position + 2 : position + 2 + size]
                yield SourceDescription(ssrc, text.decode("utf-8", "replace"))
            position += 2 + size
        position = (position // 4 + 1) * 4  # the null octet and the rest of its word


def receiver_report(
    ssrc: int, cname: str, reception: Reception | None, *, last_sr: int = 0, delay: int = 0
) -> bytes:
    """Return RR and SDES as one compound; `last_sr` and `delay` are the block's LSR and DLSR."""
    blocks = b""
    if reception is not None:
        loss = reception.fraction_lost << 24 | reception.lost & 0xFF_FFFF
        blocks = _BLOCK.pack(
            reception.ssrc, loss, reception.highest_sequence, reception.jitter & 0xFFFF_FFFF, last_sr, delay
        )
    body = struct.pack("!I", ssrc) + blocks
    report = _HEADER.pack(0x80 | (reception is not None), RECEIVER_REPORT, len(body) // 4) + body
    name = cname.encode()[:CNAME_BYTES_MAX]
    chunk = struct.pack("!IBB", ssrc, _CNAME, len(name)) + name
    chunk += bytes(4 - len(chunk) % 4)
    return report + _HEADER.pack(0x81, SOURCE_DESCRIPTION, len(chunk) // 4) + chunk


def interval_s(randomness: float) -> float:
    """Return the time to the next report for `randomness` in [0, 1) (RFC 3550 section 6.3.1).

    With two members the bandwidth share never asks for more than the minimum, so only that counts.
    """
    return INTERVAL_S_MIN * (0.5 + randomness) / (math.e - 1.5)
