"""One RTP packet as RFC 3550 section 5.1 draws it: the readable truth of the header.

`recorder.rtp.batch` reads the same header for thousands of packets at once; a
property test holds the two together. Packets that carry a CSRC list, a header
extension or padding are read here.

Rules: bytes in, values out. Nothing of a packet is trusted before its lengths
were compared with the size of the datagram (RFC 3550 appendix A.1).

Not here: which source may send (`recorder.rtp.source`), what the payload means.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from recorder.errors import PeerViolation

HEADER_BYTES = 12
_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


class MalformedPacket(PeerViolation):
    """The peer sent a datagram whose RTP or RTCP header contradicts its size; it is refused and counted."""


class Protocol(Enum):
    """What a datagram on a media port is, by its first two bytes (RFC 7983 section 7, RFC 5761 section 4)."""

    RTP = "rtp"
    RTCP = "rtcp"
    OTHER = "other"


def protocol_of(datagram: bytes) -> Protocol:
    """Tell RTP, RTCP and everything else (STUN, DTLS, TURN channels, noise) apart."""
    if len(datagram) < 2 or not 128 <= datagram[0] <= 191:
        return Protocol.OTHER
    # RFC 5761 keeps payload types 64 to 95 free, so that RTCP's 192 to 223 can't be a marked RTP packet.
    return Protocol.RTCP if datagram[1] & 0x60 == 0x40 else Protocol.RTP


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """A packet taken apart; `payload` is without CSRC list, extension and padding."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    csrcs: tuple[int, ...] = ()
    extension_profile: int | None = None
    extension: bytes = b""

    @classmethod
    def parse(cls, datagram: bytes, *, truncated: bool = False) -> RtpPacket:
        """Read one datagram; raises MalformedPacket.

        Of a `truncated` datagram the end is missing, so its padding can't be counted and is left in.
        """
        if protocol_of(datagram) is not Protocol.RTP or len(datagram) < HEADER_BYTES:
            raise MalformedPacket("The peer sent a datagram that is no RTP packet of version 2.")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
        start = HEADER_BYTES + 4 * (first & 0x0F)
        csrcs = struct.unpack_from(f"!{first & 0x0F}I", datagram.ljust(start, b"\0"), HEADER_BYTES)
        profile, extension = None, b""
        if first & 0x10:
            profile, extension = _extension(datagram, start)
            start += _EXTENSION.size + len(extension)
        end = len(datagram)
        if first & 0x20 and not truncated:
            end -= _padding(datagram, start)
        if start > end:
            raise MalformedPacket("The peer sent an RTP packet whose header is longer than its datagram.")
        return cls(
            payload_type=second & 0x7F,
            marker=bool(second & 0x80),
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=datagram[start:end],
            csrcs=csrcs,
            extension_profile=profile,
            extension=extension,
        )


def _extension(datagram: bytes, start: int) -> tuple[int, bytes]:
    """Return profile and content of the header extension (RFC 3550 section 5.3.1)."""
    if len(datagram) < start + _EXTENSION.size:
        raise MalformedPacket("The peer sent an RTP packet that ends inside its header extension.")
    profile, words = _EXTENSION.unpack_from(datagram, start)
    content = datagram[start + _EXTENSION.size : start + _EXTENSION.size + 4 * words]
    if len(content) < 4 * words:
        raise MalformedPacket("The peer sent an RTP packet that ends inside its header extension.")
    return profile, content


def _padding(datagram: bytes, start: int) -> int:
    """Return how many octets at the end are padding (RFC 3550 section 5.1, bit P)."""
    count = datagram[-1]
    if count == 0 or count > len(datagram) - start:
        raise MalformedPacket("The peer sent an RTP packet with impossible padding.")
    return count
