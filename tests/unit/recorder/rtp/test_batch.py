"""The batch reader and the one-packet reader agree on every datagram."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.rtp.batch import (
    ARRIVAL_UNIT_NS,
    FLAG_MARKER,
    PACKET_ROW,
    Slices,
    arrival_units,
    header_columns,
    packet_rows,
)
from recorder.rtp.packet import MalformedPacket, RtpPacket

octets = st.integers(0, 255)
plausible = st.builds(
    lambda first, second, rest: bytes((first, second)) + rest,
    st.sampled_from([0x80, 0x80, 0x80, 0x81, 0x90, 0xA0, 0x00, 0x16, 0xC0]),
    octets,
    st.one_of(st.binary(min_size=170, max_size=170), st.binary(max_size=400)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(plausible, min_size=1, max_size=8))
def test_a_packet_that_is_regular_in_a_batch_parses_alone_to_the_same_values(datagrams: list[bytes]) -> None:
    headers = np.array([list(item[:12].ljust(12, b"\0")) for item in datagrams], np.uint8)
    sizes = np.array([len(item) for item in datagrams], np.uint32)
    columns = header_columns(headers, sizes)
    rows = packet_rows(columns, np.zeros(len(datagrams), np.uint32))
    for position, datagram in enumerate(datagrams):
        if not columns.regular[position]:
            continue
        packet = RtpPacket.parse(datagram)
        row = rows[position]
        assert packet.payload == datagram[12:]
        assert int(columns.ssrc[position]) == packet.ssrc
        assert int(row["sequence"]) == packet.sequence
        assert int(row["timestamp"]) == packet.timestamp
        assert int(row["size"]) == len(packet.payload)
        assert int(row["payload_type"]) == packet.payload_type
        assert bool(row["flags"] & FLAG_MARKER) == packet.marker
        assert bool(columns.plain[position]) == (len(packet.payload) == 160)


@settings(max_examples=100, deadline=None)
@given(plausible)
def test_a_packet_that_parses_without_options_is_regular_in_a_batch(datagram: bytes) -> None:
    headers = np.array([list(datagram[:12].ljust(12, b"\0"))], np.uint8)
    columns = header_columns(headers, np.array([len(datagram)], np.uint32))
    try:
        RtpPacket.parse(datagram)
        optional = bool(datagram[0] & 0x3F)
    except MalformedPacket:
        optional = True
    assert bool(columns.regular[0]) == (not optional)


def test_a_row_is_fourteen_octets_as_the_journal_holds_it() -> None:
    header = np.frombuffer(struct.pack("!BBHII", 0x80, 0x88, 0x0102, 0x03040506, 9), np.uint8).reshape(1, 12)
    columns = header_columns(header.copy(), np.array([172], np.uint32))
    rows = packet_rows(columns, np.array([0x0A0B0C0D], np.uint32))
    assert PACKET_ROW.itemsize == 14
    assert rows.tobytes().hex() == "0201" + "a000" + "06050403" + "0d0c0b0a" + "08" + "01"


def test_arrival_counts_tenths_of_milliseconds_and_never_wraps() -> None:
    started = 1_000_000_000_000
    arrivals = np.array([started - 5, started + 3 * ARRIVAL_UNIT_NS + 7, started + 2**33 * ARRIVAL_UNIT_NS])
    assert arrival_units(arrivals, started).tolist() == [0, 3, 2**32 - 1]


def test_slices_name_the_owner_of_each_packet() -> None:
    slices = Slices(np.array([4, 9]), np.array([0, 2]), np.array([2, 3]))
    assert slices.owners.tolist() == [4, 4, 9, 9, 9]
