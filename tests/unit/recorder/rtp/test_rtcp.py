"""RTCP compounds are read by their lengths, and our own report is one that a peer can read."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.rtp.packet import MalformedPacket
from recorder.rtp.rtcp import (
    CNAME_BYTES_MAX,
    INTERVAL_S_MIN,
    PACKETS_MAX,
    Goodbye,
    SenderReport,
    SourceDescription,
    interval_s,
    parse_compound,
    receiver_report,
)
from recorder.rtp.source import Reception

SENDER_REPORT = struct.pack("!BBHIQIII", 0x80, 200, 6, 7, 0x1122334455667788, 160, 50, 8000)
GOODBYE = struct.pack("!BBHI", 0x81, 203, 1, 7)


def test_a_compound_gives_clock_name_and_goodbye_in_order() -> None:
    name = receiver_report(7, "peer@example", None)
    assert parse_compound(SENDER_REPORT + name + GOODBYE) == (
        SenderReport(7, 0x1122334455667788, 160, 50, 8000),
        SourceDescription(7, "peer@example"),
        Goodbye((7,)),
    )


def test_our_report_holds_the_block_of_rfc_3550_section_6_4() -> None:
    report = receiver_report(1, "x", Reception(7, 64, -2, 65537, 12), last_sr=0xAABBCCDD, delay=65536)
    assert report[:8] == struct.pack("!BBHI", 0x81, 201, 7, 1)
    assert struct.unpack("!IIIIII", report[8:32]) == (7, 64 << 24 | 0xFFFFFE, 65537, 12, 0xAABBCCDD, 65536)
    assert len(report) % 4 == 0


def test_a_report_before_the_first_packet_has_no_block() -> None:
    assert receiver_report(1, "x", None)[:8] == struct.pack("!BBHI", 0x80, 201, 1, 1)


@pytest.mark.parametrize("length", [CNAME_BYTES_MAX, CNAME_BYTES_MAX + 1])
def test_a_name_is_cut_to_what_its_length_can_say(length: int) -> None:
    (found,) = parse_compound(receiver_report(1, "n" * length, None))
    assert found == SourceDescription(1, "n" * CNAME_BYTES_MAX)


def test_a_compound_of_too_many_packets_is_refused() -> None:
    assert len(parse_compound(GOODBYE * PACKETS_MAX)) == PACKETS_MAX
    with pytest.raises(MalformedPacket):
        parse_compound(GOODBYE * (PACKETS_MAX + 1))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_whatever_comes_is_read_or_refused_but_never_breaks_the_reader(noise: bytes, cut: int) -> None:
    for octets in (noise, (SENDER_REPORT + receiver_report(7, "n", None))[:cut], b"\x81\xca" + noise):
        with contextlib.suppress(MalformedPacket):
            assert len(parse_compound(octets)) <= 32 * PACKETS_MAX


def test_reports_are_about_five_seconds_apart() -> None:
    assert 0.4 * INTERVAL_S_MIN < interval_s(0.0) < interval_s(0.999) < 1.3 * INTERVAL_S_MIN
