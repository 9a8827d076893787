"""The machine's clock was set by years while a recorder ran: a call that begins since loses nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from recorder.capture.messages import CloseTrack, RecordingSet, SetRecording, TrackClosed
from recorder.journal.cut import cut
from recorder.journal.reader import read_call
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import ARRIVAL_UNIT_NS
from tests.unit.recorder.capture.running_capture import PATIENCE_S, RunningCapture

YEARS_8_NS = 8 * 365 * 86400 * 1_000_000_000


@pytest.mark.parametrize("ahead_ns", [YEARS_8_NS, -YEARS_8_NS])
def test_edges_are_exact_and_arrivals_count_from_the_beginning_of_the_call(
    tmp_path: Path, ahead_ns: int
) -> None:
    capture = RunningCapture(tmp_path / "journal", ahead_ns)
    try:
        begun_s = time.monotonic()
        uid, key = capture.open_track()
        source, _ = capture.add_stream(uid)
        kept: list[bytes] = []
        for number, recording in enumerate((False, True, False)):
            source.send(7)
            kept += source.sent[-7:] if not recording else []
            asked_ns = capture.clock.wall_ns()
            capture.handle.send(SetRecording(uid, recording, asked_ns))
            edge = capture.wait_for(RecordingSet, number + 1)
            assert isinstance(edge, RecordingSet)
            assert 0 <= edge.edge_ns - asked_ns < PATIENCE_S * 1e9
        source.send(5)
        capture.handle.send(CloseTrack(uid))
        capture.wait_for(TrackClosed)
        took = (time.monotonic() - begun_s) * 1e9 / ARRIVAL_UNIT_NS
        rows = [row for record in read_call(capture.journal_dir, uid, key) for row in record.rows]
        arrivals = [int(row["arrival"]) for row in rows]
        assert capture.audio(uid, key) == kept
        assert arrivals == sorted(arrivals)
        assert 0 < arrivals[0] <= arrivals[-1] <= took
    finally:
        capture.end()


@pytest.mark.parametrize("ahead_ns", [YEARS_8_NS, -YEARS_8_NS])
def test_a_cut_takes_what_came_since_by_the_clock_of_the_call(tmp_path: Path, ahead_ns: int) -> None:
    capture = RunningCapture(tmp_path / "journal", ahead_ns)
    try:
        uid, key = capture.open_track()
        source, _ = capture.add_stream(uid)
        source.send(7)
        capture.wait(lambda: len(capture.audio(uid, key)) == 7)
        at_ns = time.time_ns()
        source.send(7)
        capture.handle.send(CloseTrack(uid))
        capture.wait_for(TrackClosed)
    finally:
        capture.end()
    slots = SlotsFile(tmp_path / "slots", bytes(32))
    slots.open()
    slots.allocate(uid, key, at_ns)
    writer = JournalWriter(capture.journal_dir / "signalling")
    writer.open()
    new_key = cut(capture.journal_dir, slots, writer, uid, key, at_ns)
    writer.close()
    assert capture.audio(uid, new_key) == source.sent[:7]
