"""Octets are counted in the five minutes in which their packets came."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.sequence import Track
from recorder.rtp.traffic import octets_by_step

NS = 1_000_000_000
NINE_NS = int(datetime(2026, 11, 22, 9, 0, tzinfo=UTC).timestamp()) * NS


def track(*arrivals_s: float, size: int = 160) -> Track:
    """Return a track of packets that came so many seconds after the beginning."""
    rows = np.zeros(len(arrivals_s), PACKET_ROW)
    rows["arrival"] = [round(each * 10_000) for each in arrivals_s]
    rows["size"] = size
    made = Track(0, 1)
    made.add(rows, bytes(size * len(arrivals_s)))
    return made


def test_a_packet_counts_with_its_header_in_the_step_it_came_in() -> None:
    begun = NINE_NS + 290 * NS
    tracks = [track(0, 9.9999, 10, 909.9999), track(10.5, 910, size=20)]
    assert octets_by_step(tracks, begun) == (344, 172 + 32, 0, 172, 32)


def test_a_call_that_begins_with_a_step_has_its_first_packets_there() -> None:
    assert octets_by_step([track(0, 299.9999, 300)], NINE_NS) == (344, 172)


def test_nothing_came_of_nothing() -> None:
    assert octets_by_step([], NINE_NS) == ()
    assert octets_by_step([track()], NINE_NS) == ()
