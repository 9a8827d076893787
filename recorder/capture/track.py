"""One recording as capture knows it: its keys, its state, and what is held back of it.

A track seals what belongs to it under the segment key of the moment, new every five
seconds and at each edge. While it is held back, sealed frames wait in memory.

Rules: nothing of a held-back track is given to the journal; discarding forgets it.
No socket, no clock.
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
HELD_FRAMES_MAX = 512  # 50 s of two streams; the metadata is judged within two
_ALWAYS = (0, 2**63 - 1)


@dataclass(slots=True, eq=False)
class Track:
    """A recording between OpenTrack and CloseTrack or Discard."""

    uid: bytes
    call_key: bytes
    started_ns: int
    recording: bool
    held_back: bool
    closing: bool = False
    packets: int = 0
    refused: int = 0
    last_packet_ns: int | None = None
    window: tuple[int, int] = _ALWAYS
    held: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    lanes: Lanes | None = None
    _segment: Segment | None = None
    _segment_until: float = 0.0
    _segment_epoch: int = 0

    @classmethod
    def of(cls, command: OpenTrack) -> Track:
        """Begin a track."""
        return cls(command.uid, command.call_key, command.started_ns, command.recording, command.held_back)

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
        """Seal one frame and give it to the journal, or hold it back; `content` is rows and payloads."""
        segment = self._ready_segment(now)
        if self.held_back:
            self._hold(segment, facts, content)
            return
        self._write_key(journal, segment)
        journal.append_audio(segment, facts, content)

    def arm(self, journal: JournalWriter, now: float, row: int, stream: int) -> None:
        """Let plain packets of a stream come by its lane, when nothing speaks against that."""
        if self.recording and self.window is _ALWAYS and not self.held_back and self.lanes is not None:
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
            packets, last_ns = self.lanes.take_counts(row)
            if packets:
                self.note(packets, last_ns)
        self.rows.remove(row)

    def note(self, packets: int, last_ns: int) -> None:
        """Count packets that were sealed; `last_ns` is when the last of them came."""
        self.packets += packets
        self.last_packet_ns = max(last_ns, self.last_packet_ns or 0)

    def _hold(self, segment: Segment, facts: AudioFacts, content: bytes) -> None:
        if len(self.held) >= HELD_FRAMES_MAX:
            self.packets -= facts[3]
            self.refused += facts[3]
            return
        if self._segment_epoch == 0:
            self.held.append((FrameKind.SEGMENT_KEY, segment.key_body, b""))
            self._segment_epoch = -1
        self.held.append((FrameKind.AUDIO, *segment.seal(facts, content)))

    def release(self, journal: JournalWriter) -> None:
        """Let what was held back go to the journal."""
        for kind, *parts in self.held:
            journal.append(kind, self.uid, *parts)
        self.held = []
        self.held_back = False
