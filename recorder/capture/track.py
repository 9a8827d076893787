"""One recording as capture knows it: its keys and its state.

A track seals what belongs to it under the segment key of the moment, new every five
seconds and at each edge.

Rules: no socket, no clock. Audio is never held back here: while a call is not judged,
it waits in sockets that capture was not given yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from recorder.capture.lane import Lanes
from recorder.capture.messages import OpenTrack
from recorder.journal.format import FrameKind
from recorder.journal.segment import AudioFacts, Segment
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import Bools, Nanoseconds

SEGMENT_S = 5.0
_ALWAYS = (0, 2**63 - 1)


@dataclass(slots=True, eq=False)
class Track:
    """A recording between OpenTrack and CloseTrack or Discard."""

    uid: bytes
    call_key: bytes
    started_ns: int
    origin_ns: int
    """What `started_ns` is by the recorder's clock, by which packets arrive."""
    recording: bool
    packets: int = 0
    window: tuple[int, int] = _ALWAYS
    rows: list[int] = field(default_factory=list)
    lanes: Lanes | None = None
    _segment: Segment | None = None
    _segment_until: float = 0.0
    _segment_epoch: int = 0

    @classmethod
    def of(cls, command: OpenTrack) -> Track:
        """Begin a track."""
        window = _ALWAYS if command.until_ns is None else (_ALWAYS[0], command.until_ns)
        return cls(
            uid=command.uid,
            call_key=command.call_key,
            started_ns=command.started_ns,
            origin_ns=command.started_ns - command.ahead_ns,
            recording=command.recording,
            window=window,
        )

    def begin_edge(self, edge_ns: int, *, recording: bool) -> None:
        """Let the packets of the next drain obey the old state before `edge_ns` and the new one after."""
        self._disarm()
        if recording and not self.recording:
            self.window = (edge_ns, _ALWAYS[1])
            self.renew()
        elif self.recording and not recording:
            self.window = (_ALWAYS[0], edge_ns)
        self.recording = self.recording or recording

    def end_edge(self, *, recording: bool) -> None:
        """Be in the new state, under a new segment key."""
        self.window = _ALWAYS
        self.recording = recording
        self.renew()

    def chosen(self, arrival_ns: Nanoseconds) -> Bools:
        """Say which packets lie in the window of the edge."""
        first, last = self.window
        return np.logical_and(arrival_ns >= first, arrival_ns < last)

    def renew(self) -> None:
        """Begin a new segment with the next packet."""
        self._segment = None
        self._disarm()

    def refresh(self, now: float, epoch: int) -> None:
        """Give up a segment that is old enough, and repeat its key in a new file; once a tick."""
        if now >= self._segment_until:
            self.renew()
        elif epoch != self._segment_epoch:
            self._disarm()

    def _disarm(self) -> None:
        if self.lanes is not None:
            for row in self.rows:
                self.lanes.disarm(row)

    def seal(self, journal: JournalWriter, now: float, facts: AudioFacts, content: bytes) -> None:
        """Seal one frame and give it to the journal; `content` is rows and payloads."""
        segment = self._ready_segment(now)
        self._write_key(journal, segment)
        journal.append_audio(segment, facts, content)

    def arm(self, journal: JournalWriter, now: float, row: int, stream: int) -> None:
        """Let plain packets of a stream come by its lane, when nothing speaks against that."""
        if self.recording and self.window is _ALWAYS and self.lanes is not None:
            segment = self._ready_segment(now)
            self._write_key(journal, segment)
            self.lanes.arm(row, segment, stream, journal.place(self.uid))

    def _ready_segment(self, now: float) -> Segment:
        if self._segment is None:
            self._segment = Segment(self.uid, self.call_key, self.started_ns)
            # Calls that began together part here, so that their keys are not all renewed in one tick.
            self._segment_until = now + SEGMENT_S - self.uid[-1] / 256
            self._segment_epoch = 0
        return self._segment

    def _write_key(self, journal: JournalWriter, segment: Segment) -> None:
        """Write the segment's key where it is not yet: each file holds the keys of what stands in it."""
        if self._segment_epoch != journal.epoch:
            journal.append(FrameKind.SEGMENT_KEY, self.uid, segment.key_body)
            self._segment_epoch = journal.epoch

    def attach(self, lanes: Lanes, row: int) -> None:
        """Be fed by the stream of a row."""
        self.lanes = lanes
        self.rows.append(row)

    def detach(self, row: int) -> None:
        """Be no longer fed by it; what came by its lane is counted here."""
        if self.lanes is not None:
            self.lanes.disarm(row)
            self.packets += self.lanes.take_count(row)
        self.rows.remove(row)
