"""One press of a key is one digit, whatever the network and the sender make of it."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.rtp.telephone_event import (
    DURATION_MAX,
    DigitDetector,
    MalformedEvent,
    TelephoneEvent,
    parse,
)

DIGITS = "0123456789*#ABCD"
STEP = 160
PAUSE = 480

Packet = tuple[int, bool, bytes]  # timestamp, marker, payload


def block(digit: str, duration: int, *, end: bool = False) -> bytes:
    return struct.pack("!BBH", DIGITS.index(digit), 0x80 * end | 10, duration)


def press(digit: str, at: int, length: int = 5 * STEP) -> list[Packet]:
    """Return the packets of one press that begins at timestamp `at`, by RFC 4733 section 2.5.1."""
    packets, segment, marker = [], at, True
    for held in range(STEP, length + STEP, STEP):
        end = held >= length
        while at + held - segment > DURATION_MAX:
            packets.append((segment & 0xFFFF_FFFF, marker, block(digit, DURATION_MAX)))
            segment, marker = segment + DURATION_MAX, False
        packets.append((segment & 0xFFFF_FFFF, marker, block(digit, at + held - segment, end=end)))
        marker = False
    return [*packets, packets[-1], packets[-1]]


def presses(digits: str, at: int = 1000, length: int = 5 * STEP) -> list[list[Packet]]:
    return [press(digit, at + number * (length + PAUSE), length) for number, digit in enumerate(digits)]


def heard(packets: list[Packet]) -> str:
    detector = DigitDetector()
    return "".join(detector.feed(*packet) or "" for packet in packets)


def flat(groups: list[list[Packet]]) -> list[Packet]:
    return [packet for group in groups for packet in group]


def test_an_event_is_read_as_the_rfc_draws_it() -> None:
    assert parse(b"\x0b\x8a\x03\x20") == TelephoneEvent(event=11, end=True, volume=10, duration=800)
    assert parse(b"\x05\x7f\x00\xa0more").digit == "5"
    assert not parse(b"\x05\x7f\x00\xa0").end
    assert parse(b"\x10\x0a\x00\xa0").digit is None


def test_an_event_and_its_detector_do_not_show_what_was_pressed() -> None:
    detector = DigitDetector()
    assert detector.feed(0, True, block("7", 160)) == "7"
    assert repr(detector) == "DigitDetector()"
    assert "event=" not in repr(parse(block("7", 160)))


@pytest.mark.parametrize("size", range(4))
def test_what_is_too_short_is_no_event(size: int) -> None:
    with pytest.raises(MalformedEvent):
        parse(bytes(size))
    assert DigitDetector().feed(0, True, bytes(size)) is None


def test_every_key_is_told_once_with_its_first_packet() -> None:
    detector = DigitDetector()
    for number, digit in enumerate(DIGITS):
        told = [detector.feed(*packet) for packet in press(digit, number * 2000)]
        assert told == [digit, *[None] * (len(told) - 1)]


def test_the_same_key_pressed_again_and_again_is_as_many_digits() -> None:
    assert heard(flat(presses("4444444"))) == "4444444"


def test_a_burst_is_told_in_its_order() -> None:
    assert heard(flat(presses("*48*49*44*45", length=2 * STEP))) == "*48*49*44*45"


@pytest.mark.parametrize(
    "kept", [slice(1, None), slice(-3, None), slice(-1, None), slice(0, 1), slice(0, -3)]
)
def test_any_packet_of_a_press_is_enough(kept: slice) -> None:
    """The marker, the middle or all three ends may be lost."""
    assert heard([packet for group in presses("*4488") for packet in group[kept]]) == "*4488"


@pytest.mark.parametrize("seconds", [5.1, 8.1, 8.3, 20, 60])
def test_a_key_held_long_is_one_digit(seconds: float) -> None:
    """Beyond 8.19 s it goes on in new segments with timestamps of their own."""
    long = press("5", 2**32 - 9000, int(seconds * 8000))
    after = press("5", 2**32 - 9000 + int(seconds * 8000) + PAUSE)
    assert len({timestamp for timestamp, _, _ in long}) == 1 + int(seconds * 8000 - 1) // DURATION_MAX
    assert heard(long) == "5"
    assert heard(long + after) == "55"


def test_a_key_held_long_at_a_fast_clock_is_one_digit() -> None:
    """At 48 kHz a segment ends after 1.4 s already, and a sender may break one off sooner."""
    first = [(0, True, block("9", 960)), (0, False, block("9", 40_000))]
    second = [(40_000, False, block("9", 960)), (40_000, False, block("9", 9000, end=True))]
    assert heard(first + second) == "9"


def test_the_last_packets_of_a_segment_may_be_lost() -> None:
    first = [(0, True, block("9", 160)), (0, False, block("9", 64_000))]
    second = [(DURATION_MAX, False, block("9", 160)), (DURATION_MAX, False, block("9", 320, end=True))]
    assert heard(first + second) == "9"


def test_a_press_right_after_the_end_of_another_is_its_own() -> None:
    assert heard([*press("1", 0), (5 * STEP, False, block("1", 160))]) == "11"
    assert heard([(0, True, block("1", 160)), (160, True, block("1", 160))]) == "11"


def test_a_packet_that_comes_late_is_no_new_press() -> None:
    one, two = presses("12")
    assert heard([*one[:-1], two[0], one[-1], *two[1:], one[0], two[0]]) == "12"


def test_a_sender_that_moves_the_timestamp_on_within_a_press_is_understood() -> None:
    def wandering(at: int) -> list[Packet]:
        ends = [(at + 4 * STEP + more * STEP, False, block("6", 5 * STEP, end=True)) for more in range(3)]
        return [(at + n * STEP, n == 0, block("6", (n + 1) * STEP)) for n in range(4)] + ends

    assert heard(wandering(0)) == "6"
    assert heard(wandering(0) + wandering(2000)) == "66"


def test_tones_and_signals_are_no_digits_and_part_the_keys() -> None:
    tone = (900, True, struct.pack("!BBH", 36, 10, 160))
    assert heard([*press("1", 0, 800), tone, *press("1", 1100)]) == "11"


def test_a_clock_that_begins_anew_is_followed() -> None:
    assert heard(press("1", 3_000_000) + press("2", 0)) == "12"


@settings(max_examples=100, deadline=None)
@given(
    digits=st.text(DIGITS, min_size=1, max_size=12),
    first=st.integers(0, 2**32 - 1),
    length=st.integers(2, 500).map(lambda steps: steps * STEP),
    seed=st.integers(0, 2**32),
)
def test_whatever_is_lost_doubled_or_swapped_each_press_is_one_digit(
    digits: str, first: int, length: int, seed: int
) -> None:
    """Of each press at least one packet comes, and of a long one enough to see that it goes on."""
    rng = random.Random(seed)
    arrived = []
    for group in presses(digits, first, length):
        edges = {0, len(group) - 3} | {
            number for number in range(1, len(group)) if group[number][0] != group[number - 1][0]
        }
        spared = rng.choice(range(len(group)))
        segmented = len({timestamp for timestamp, _, _ in group}) > 1
        chosen = [
            packet
            for number, packet in enumerate(group)
            if number == spared or (segmented and number in edges) or rng.random() > 0.3
        ]
        chosen = [packet for packet in chosen for _ in range(1 + (rng.random() < 0.2))]
        for number in range(len(chosen) - 1):
            if rng.random() < 0.1 and chosen[number][0] == chosen[number + 1][0]:
                chosen[number], chosen[number + 1] = chosen[number + 1], chosen[number]
        arrived += chosen
    assert heard(arrived) == digits
