"""One RTP packet is read as RFC 3550 draws it, and refused when its lengths lie."""

from __future__ import annotations

import struct

import pytest

from recorder.rtp.packet import MalformedPacket, Protocol, RtpPacket, protocol_of


def datagram(first: int = 0x80, second: int = 8, rest: bytes = b"") -> bytes:
    return struct.pack("!BBHII", first, second, 4711, 160, 0xCAFE) + rest


def test_a_plain_packet_gives_its_fields_and_payload() -> None:
    packet = RtpPacket.parse(datagram(second=0x80 | 101, rest=b"event"))
    assert packet == RtpPacket(101, True, 4711, 160, 0xCAFE, b"event")


def test_the_csrc_list_is_read_and_is_not_part_of_the_payload() -> None:
    packet = RtpPacket.parse(datagram(0x82, rest=struct.pack("!II", 7, 9) + b"audio"))
    assert packet.csrcs == (7, 9)
    assert packet.payload == b"audio"


def test_the_header_extension_is_read_and_is_not_part_of_the_payload() -> None:
    packet = RtpPacket.parse(datagram(0x90, rest=struct.pack("!HH", 0xBEDE, 1) + b"levl" + b"audio"))
    assert (packet.extension_profile, packet.extension, packet.payload) == (0xBEDE, b"levl", b"audio")


def test_padding_is_taken_off() -> None:
    assert RtpPacket.parse(datagram(0xA0, rest=b"audio\0\0\3")).payload == b"audio"


def test_padding_of_a_truncated_datagram_is_left_in_as_its_length_is_lost() -> None:
    assert RtpPacket.parse(datagram(0xA0, rest=b"audio"), truncated=True).payload == b"audio"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x80",
        datagram()[:11],
        datagram(0x40),
        datagram(0x81),
        datagram(0x90, rest=b"\xbe"),
        datagram(0x90, rest=struct.pack("!HH", 0xBEDE, 2) + b"levl"),
        datagram(0xA0, rest=b"audio\0"),
        datagram(0xA0, rest=b"audio\x07"),
        datagram(second=200),
    ],
)
def test_a_packet_whose_header_contradicts_its_size_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedPacket, match="The peer sent"):
        RtpPacket.parse(octets)


@pytest.mark.parametrize(
    ("octets", "protocol"),
    [
        (b"\x00\x01" + bytes(18), Protocol.OTHER),  # STUN
        (b"\x16\xfe" + bytes(18), Protocol.OTHER),  # DTLS
        (b"\x40\x00" + bytes(18), Protocol.OTHER),  # TURN channel
        (b"\xc0\x08", Protocol.OTHER),
        (b"\x80", Protocol.OTHER),
        (b"\x80\xc8", Protocol.RTCP),
        (b"\x81\xcf", Protocol.RTCP),
        (b"\x80\x08", Protocol.RTP),
        (b"\x80\x88", Protocol.RTP),
        (b"\xbf\xff", Protocol.RTP),
    ],
)
def test_what_shares_a_port_is_told_apart_by_its_first_octets(octets: bytes, protocol: Protocol) -> None:
    assert protocol_of(octets) is protocol
