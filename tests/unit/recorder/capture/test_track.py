"""A track seals under a key that is never old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder.capture.lane import Lanes
from recorder.capture.messages import OpenTrack
from recorder.capture.track import SEGMENT_S, Track
from recorder.journal.reader import read_call, segment_keys
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import PACKET_ROW

UID, KEY = b"the call's uid..", bytes(32)
CONTENT = np.zeros(1, PACKET_ROW).tobytes()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalWriter]:
    made = JournalWriter(tmp_path / "capture-0")
    made.open()
    yield made
    made.close()


def track(*, recording: bool = True) -> Track:
    return Track.of(OpenTrack(UID, KEY, 0, recording))


def seal(one: Track, journal: JournalWriter, now: float = 0.0) -> None:
    one.refresh(now, journal.epoch)
    one.seal(journal, now, (0, 1, 2, 1), CONTENT)
    journal.commit()


def test_a_segment_lasts_five_seconds_and_ends_at_each_edge(tmp_path: Path, journal: JournalWriter) -> None:
    one = track()
    seal(one, journal, 0.0)
    seal(one, journal, SEGMENT_S - 1.1)
    assert len(segment_keys(tmp_path, UID, KEY)) == 1
    seal(one, journal, SEGMENT_S)
    assert len(segment_keys(tmp_path, UID, KEY)) == 2
    one.begin_edge(0, recording=True)
    one.end_edge(recording=True)
    seal(one, journal, SEGMENT_S + 0.1)
    assert len(segment_keys(tmp_path, UID, KEY)) == 3
    assert len(list(read_call(tmp_path, UID, KEY))) == 4


@pytest.mark.parametrize(
    ("before", "after", "chosen"),
    [
        (True, False, [True, False]),
        (False, True, [False, True]),
        (True, True, [True, True]),
    ],
)
def test_during_an_edge_packets_are_chosen_by_their_arrival(
    before: bool, after: bool, chosen: list[bool]
) -> None:
    one = track(recording=before)
    one.begin_edge(100, recording=after)
    assert one.recording
    assert one.chosen(np.array([99, 100])).tolist() == chosen
    one.end_edge(recording=after)
    assert one.recording == after


def test_from_nothing_to_nothing_nothing_is_chosen() -> None:
    one = track(recording=False)
    one.begin_edge(100, recording=False)
    assert not one.recording


def test_a_lane_is_armed_only_while_every_packet_is_kept_as_it_comes(journal: JournalWriter) -> None:
    lanes = Lanes(4)
    one, idle = track(), track(recording=False)
    for row, each in enumerate((one, idle)):
        each.attach(lanes, row)
        each.arm(journal, 0.0, row, 0)
    assert lanes.armed.tolist() == [True, False, False, False]
    one.begin_edge(5, recording=False)
    assert not lanes.armed.any()


@pytest.mark.parametrize("reason", ["age", "file", "detached"])
def test_a_lane_is_disarmed_when_its_segment_may_not_be_used_any_more(
    journal: JournalWriter, reason: str
) -> None:
    lanes, one = Lanes(1), track()
    one.attach(lanes, 0)
    seal(one, journal)
    one.arm(journal, 0.0, 0, 0)
    one.refresh(SEGMENT_S - 1.1, journal.epoch)
    assert lanes.armed[0]
    if reason == "age":
        one.refresh(SEGMENT_S, journal.epoch)
    elif reason == "file":
        one.refresh(0.0, journal.epoch + 1)
    else:
        one.detach(0)
    assert not lanes.armed[0]
    assert lanes.encrypt[0] is None


def test_what_came_by_a_lane_is_counted_when_the_stream_ends() -> None:
    lanes, one = Lanes(2), track()
    one.attach(lanes, 1)
    lanes.count(np.array([1]), np.array([7]))
    one.detach(1)
    assert (one.packets, one.rows) == (7, [])
    assert lanes.take_count(1) == 0
