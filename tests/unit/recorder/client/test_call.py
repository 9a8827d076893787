"""What a delivery script and a sent stream mean."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.client.call import (
    PACKET_OCTETS,
    PAYLOAD_TYPE_EVENT,
    SILENCE,
    CallPlan,
    Delivery,
    SentPacket,
    SentStream,
    StreamPlan,
    packet_turns,
)


def test_packets_go_in_order_without_a_script() -> None:
    assert packet_turns(4, Delivery()) == [[0], [1], [2], [3]]


def test_a_delayed_packet_goes_after_the_one_whose_turn_it_then_is() -> None:
    assert packet_turns(4, Delivery(delayed={1: 1})) == [[0], [], [2, 1], [3]]


def test_lost_packets_are_not_sent_and_doubled_ones_twice() -> None:
    script = Delivery(lost=frozenset({0, 3}), doubled=frozenset({1, 3}))
    assert packet_turns(4, script) == [[], [1, 1], [2], []]


def test_a_delay_past_the_end_is_sent_at_the_end() -> None:
    assert packet_turns(3, Delivery(delayed={2: 9, 1: 5})) == [[0], [], [1, 2]]


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(0, 30),
    lost=st.frozensets(st.integers(0, 29)),
    doubled=st.frozensets(st.integers(0, 29)),
    delayed=st.dictionaries(st.integers(0, 29), st.integers(0, 5)),
)
def test_every_packet_is_sent_as_often_as_the_script_says(
    count: int, lost: frozenset[int], doubled: frozenset[int], delayed: dict[int, int]
) -> None:
    sent = [index for turn in packet_turns(count, Delivery(lost, doubled, delayed)) for index in turn]
    expected = [index for index in range(count) if index not in lost for _ in range(1 + (index in doubled))]
    assert sorted(sent) == expected


def test_a_timeline_fills_what_was_not_sent_with_silence() -> None:
    packets = tuple(
        SentPacket(index, index, index * PACKET_OCTETS, bytes([index]) * PACKET_OCTETS) for index in (2, 4)
    )
    stream = SentStream("1", 7, active=True, packets=packets)
    assert stream.timeline() == b"\x02" * PACKET_OCTETS + SILENCE * PACKET_OCTETS + b"\x04" * PACKET_OCTETS


def test_a_key_pressed_is_silence_on_the_timeline() -> None:
    packets = (
        SentPacket(0, 0, 0, b"a" * PACKET_OCTETS),
        SentPacket(1, 1, 160, b"\x05\x0a\x00\xa0", payload_type=PAYLOAD_TYPE_EVENT),
        SentPacket(2, 2, 320, b"b" * PACKET_OCTETS),
    )
    stream = SentStream("1", 7, active=True, packets=packets)
    assert stream.timeline() == b"a" * PACKET_OCTETS + SILENCE * PACKET_OCTETS + b"b" * PACKET_OCTETS


def test_a_stream_without_packets_has_no_timeline() -> None:
    assert SentStream("1", 7, active=False, packets=()).timeline() == b""


def test_the_longer_party_says_how_long_the_call_lasts() -> None:
    plan = CallPlan("h", 1, "a", "b", StreamPlan(b"x" * 161), StreamPlan(b""))
    assert plan.packets == 2
