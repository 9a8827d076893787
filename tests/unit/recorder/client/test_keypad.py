"""Keys are pressed as RFC 4733 says, and the recorder's reader of events agrees."""

from __future__ import annotations

import pytest

from recorder.client.call import KEYS, PACKET_OCTETS, PlannedEvent
from recorder.client.keypad import DURATION_MAX, END_PACKETS, GAP_PACKETS, event_packets
from recorder.rtp.telephone_event import DigitDetector, parse


def heard(*events: PlannedEvent) -> str:
    detector = DigitDetector()
    packets = event_packets(events)
    told = [
        detector.feed(packets[turn].offset, packets[turn].marker, packets[turn].payload)
        for turn in sorted(packets)
    ]
    return "".join(digit for digit in told if digit)


def test_a_key_is_one_timestamp_a_growing_duration_and_three_ends() -> None:
    packets = event_packets((PlannedEvent(0.2, "*"),))
    assert list(packets) == list(range(10, 17))
    assert {packet.offset for packet in packets.values()} == {10 * PACKET_OCTETS}
    assert [packet.marker for packet in packets.values()] == [True] + [False] * 6
    events = [parse(packet.payload) for packet in packets.values()]
    assert [event.duration for event in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [event.end for event in events] == [False] * 4 + [True] * END_PACKETS
    assert {(event.digit, event.volume) for event in events} == {("*", 10)}


def test_keys_follow_each_other_with_audio_between() -> None:
    packets = event_packets((PlannedEvent(0, "48"),))
    assert sorted(packets) == [*range(7), *range(7 + GAP_PACKETS, 14 + GAP_PACKETS)]
    assert heard(PlannedEvent(0, "*4489"), PlannedEvent(3, "*48")) == "*4489*48"


def test_every_key_has_its_code() -> None:
    assert heard(PlannedEvent(0, KEYS, 40)) == KEYS


def test_a_key_held_long_goes_on_in_segments() -> None:
    packets = event_packets((PlannedEvent(0, "5", 20_000),))
    assert len(packets) == 1000 + END_PACKETS - 1
    assert sorted({packet.offset for packet in packets.values()}) == [0, DURATION_MAX, 2 * DURATION_MAX]
    assert sum(packet.marker for packet in packets.values()) == 1
    assert heard(PlannedEvent(0, "5", 20_000), PlannedEvent(21, "5")) == "55"


def test_of_plans_that_overlap_the_later_counts() -> None:
    packets = event_packets((PlannedEvent(0, "1", 200), PlannedEvent(0.1, "2")))
    assert parse(packets[4].payload).digit == "1"
    assert parse(packets[5].payload).digit == "2"


@pytest.mark.parametrize(
    ("at_s", "digits", "duration_ms"), [(0, "", 100), (0, "x", 100), (-1, "1", 100), (0, "1", 19)]
)
def test_what_is_no_key_can_not_be_pressed(at_s: float, digits: str, duration_ms: int) -> None:
    with pytest.raises(ValueError, match="keys"):
        PlannedEvent(at_s, digits, duration_ms)
