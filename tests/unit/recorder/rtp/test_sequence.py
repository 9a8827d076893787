"""Packets stand in the order of sending, whatever the network did to them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.rtp.batch import FLAG_TRUNCATED, PACKET_ROW
from recorder.rtp.payload_format import payload_formats
from recorder.rtp.sequence import PacketSequence, Track, arrange, extend_sequence, extend_timestamp

FORMATS = payload_formats({"8": "PCMA/8000", "101": "telephone-event/8000", "96": "opus/48000/2"})


def rows(packets: list[tuple[int, int, int]], payload_type: int = 8, size: int = 160) -> np.ndarray:
    """Packets as (sequence, timestamp, arrival in 100 µs)."""
    made = np.zeros(len(packets), PACKET_ROW)
    for column, values in zip(("sequence", "timestamp", "arrival"), zip(*packets, strict=True), strict=True):
        made[column] = values
    made["payload_type"], made["size"] = payload_type, size
    return made


def arranged(*parts: np.ndarray) -> PacketSequence:
    track = Track(0, 7)
    for part in parts:
        track.add(part, bytes(int(part["size"].sum())))
    return arrange(track, FORMATS, 20)


def test_numbers_and_timestamps_go_on_over_their_wraps() -> None:
    """65535 is followed by 0 and 2^32 - 160 by 0, without a loss."""
    packets = [((65533 + n) % 65536, (2**32 - 480 + 160 * n) % 2**32, 200 * n) for n in range(8)]
    result = arranged(rows(packets))
    assert np.diff(result.media).tolist() == [160] * 7
    assert result.missing.tolist() == [0] * 8


def test_a_reordered_packet_is_put_back_and_counted() -> None:
    """Two swapped packets, also across the wrap, are one reordering and no loss."""
    order = [65534, 0, 65535, 1]
    packets = [(n, 160 * ((n - 65534) % 65536), 200 * at) for at, n in enumerate(order)]
    result = arranged(rows(packets))
    assert np.diff(result.media).tolist() == [160, 160, 160]
    assert (result.counts.reordered, result.counts.duplicated) == (1, 0)


def test_of_duplicates_the_first_counts() -> None:
    """A copy is counted, is not a reordering, and its octets are not used."""
    packets = [(1, 0, 0), (2, 160, 200), (3, 320, 400), (2, 160, 450), (4, 480, 600)]
    result = arranged(rows(packets))
    assert (result.counts.received, result.counts.duplicated, result.counts.reordered) == (5, 1, 0)
    assert result.payload_at.tolist() == [0, 160, 320, 640]


def test_missing_numbers_stand_before_the_packet_that_follows() -> None:
    """Three numbers that never came are three missing packets at one place."""
    result = arranged(rows([(1, 0, 0), (5, 640, 800), (6, 800, 1000)]))
    assert result.missing.tolist() == [0, 3, 0]


@pytest.mark.parametrize("size", [4, 0], ids=["whole", "emptied by capture"])
def test_digits_share_the_numbers_and_are_neither_audio_nor_loss(size: int) -> None:
    """Telephone events between audio packets leave no hole in the numbers."""
    events = rows([(2, 160, 200), (3, 160, 400)], 101, size)
    result = arranged(rows([(1, 0, 0)]), events, rows([(4, 480, 600), (6, 800, 800)]))
    assert result.payload_at.tolist() == [0, 160 + 2 * size, 320 + 2 * size]
    assert result.media.tolist() == [0, 480, 800]
    assert result.missing.tolist() == [0, 0, 1]
    assert dict(result.payload_types) == {8: 3, 101: 2}


def test_what_the_journal_wrote_twice_is_one_packet_and_no_duplicate() -> None:
    """Records that were written again after a failed sync leave no trace, not even a count."""
    first = [(n, 160 * n, 200 * n) for n in range(10)]
    result = arranged(rows(first), rows(first[5:9]), rows([(10, 1600, 2000)]))
    assert (result.counts.received, result.counts.duplicated, result.counts.reordered) == (11, 0, 0)
    assert len(result.media) == 11


def test_records_in_another_order_are_read_by_arrival() -> None:
    """A cut writes the head of a segment behind later ones; its packets still come first."""
    packets = [(n, 160 * n, 200 * n) for n in range(10)]
    result = arranged(rows(packets[6:]), rows(packets[:6]))
    assert result.media.tolist() == [160 * n - 960 + 960 for n in range(10)]
    assert result.payload_at[:2].tolist() == [640, 800]
    assert result.counts.reordered == 0


def test_a_sender_that_numbers_anew_loses_nothing() -> None:
    """A jump of 30000 within 20 ms is a fresh start (RFC 3550 A.1), not 30000 losses."""
    packets = [(n, 160 * n, 200 * n) for n in range(5)] + [
        (30_000 + n, 160 * n, 200 * n) for n in range(5, 10)
    ]
    result = arranged(rows(packets))
    assert result.missing.sum() == 0
    assert len(result.media) == 10


def test_the_numbers_that_passed_in_a_long_absence_are_missing() -> None:
    """After 12 minutes without a packet, 36000 numbers later, 35999 are missing: not 29536 back."""
    result = arranged(rows([(100, 0, 0), (36_100, 36_000 * 160, 36_000 * 200)]))
    assert result.missing.tolist() == [0, 35_999]


def test_other_clocks_are_counted_in_samples_of_8_khz() -> None:
    """20 ms of Opus are 960 units of its clock and 160 samples here."""
    result = arranged(rows([(1, 0, 0), (2, 960, 200)], 96, 40))
    assert result.media.tolist() == [0, 160]
    assert result.size.tolist() == [160, 160]


def test_truncated_packets_are_counted() -> None:
    """A datagram longer than a receive slot is known by its flag."""
    one = rows([(1, 0, 0)])
    one["flags"] = FLAG_TRUNCATED
    assert arranged(one).truncated == 1


def test_a_payload_of_another_length_is_refused() -> None:
    """Octets are found by adding up sizes, so they must add up."""
    track = Track(0, 7)
    track.add(rows([(1, 0, 0)]), bytes(159))
    with pytest.raises(ValueError, match="not as long"):
        arrange(track, FORMATS, 20)


def test_a_track_of_digits_only_has_no_media() -> None:
    """Nothing to place is no error."""
    assert len(arranged(rows([(1, 0, 0)], 101, 4)).media) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 65535), st.lists(st.integers(0, 40), min_size=1, max_size=300))
def test_any_reordering_within_a_minute_is_undone(first: int, delays: list[int]) -> None:
    """However packets overtake each other, extending their numbers gives the order of sending."""
    arrival = np.array([n + delay for n, delay in enumerate(delays)])
    order = np.argsort(arrival, kind="stable")
    sequence = ((first + order) % 65536).astype(np.uint16)
    extended, reordered = extend_sequence(sequence, (arrival[order] * 200).astype(np.uint32))
    assert (extended - extended.min() == order - order.min()).all()
    assert reordered == sum(order[n] < order[:n].max() for n in range(1, len(order)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-10_000, 1_000_000), max_size=200))
def test_timestamps_extend_to_the_sums_of_their_steps(first: int, steps: list[int]) -> None:
    """Steps forward and back add up over any number of wraps."""
    values = np.cumsum([first, *steps])
    assert extend_timestamp((values % 2**32).astype(np.uint32)).tolist() == (values - first).tolist()
