"""Signalling's side of media: sockets by session, tracks by recording, and the capture processes behind them.

Rules: signalling binds every socket and keeps its own descriptor, so that the port
stays bound, and packets wait in the kernel, when a capture process dies; the next
process gets the same sockets. One call lives in one capture process.

Not here: what is captured and why (`recorder.srs`), how (`recorder.capture`).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from recorder.capture.handle import CaptureHandle
from recorder.capture.messages import (
    AddStream,
    CloseTrack,
    Discard,
    OpenTrack,
    RecordingSet,
    RelearnSource,
    RemoveStream,
    Report,
    SetRecording,
    Shutdown,
    TrackClosed,
)
from recorder.ports import MediaSockets, PortRange
from recorder.srs.effects import CaptureStream
from recorder.steady_clock import SteadyClock

Closed = Callable[[Mapping[str, int] | None], None]
"""Gets what `TrackClosed` says of the journal, or None when all of the journal has to be searched."""

_log = structlog.get_logger()


@dataclass
class _Line:
    """One m= line with its sockets, and what capture was told of it."""

    sockets: MediaSockets
    stream_id: int
    process: int
    added: AddStream | None = None


@dataclass
class _Track:
    """One recording as capture has it, to tell it again to a new process.

    `asked` is what capture was told and has not said to have done. `split`: an earlier
    process wrote a part of it, of which the one that runs now knows nothing.
    """

    opened: OpenTrack
    process: int
    asked: deque[SetRecording] = field(default_factory=deque)
    split: bool = False
    closing: Closed | None = None


@dataclass
class MediaPlane:
    """All sockets and tracks of the recorder."""

    ports: PortRange
    start_capture: Callable[[int], CaptureHandle]
    process_count: int
    clock: SteadyClock = field(default_factory=SteadyClock)
    handles: list[CaptureHandle] = field(default_factory=list)
    _lines: dict[tuple[str, int], _Line] = field(default_factory=dict)
    _tracks: dict[bytes, _Track] = field(default_factory=dict)
    _streams: dict[int, tuple[str, int]] = field(default_factory=dict)
    _next_stream_id: int = 1

    def start(self) -> None:
        """Start the capture processes."""
        self.handles = [self.start_capture(index) for index in range(self.process_count)]

    def session_of(self, stream_id: int) -> str | None:
        """Return the session a stream belongs to."""
        line = self._streams.get(stream_id)
        return line[0] if line else None

    def line_of(self, stream_id: int) -> tuple[str, int] | None:
        """Return the session a stream belongs to, and the number of its m= line there."""
        return self._streams.get(stream_id)

    def bind(self, session_id: str, positions: tuple[int, ...], address: str) -> dict[int, int]:
        """Bind sockets for m= lines and return their RTP ports; raises NoPortLeft and binds nothing."""
        bound: dict[int, MediaSockets] = {}
        try:
            for position in positions:
                bound[position] = self.ports.bind(address)
        except Exception:
            for sockets in bound.values():
                self.ports.release(sockets)
            raise
        for position, sockets in bound.items():
            self._keep(session_id, position, sockets)
        return {position: sockets.port for position, sockets in bound.items()}

    def bind_again(self, session_id: str, position: int, address: str, port: int) -> None:
        """Bind the port a stream had before a restart; raises OSError when another program took it."""
        self._keep(session_id, position, self.ports.bind_again(address, port))

    def open_track(self, session_id: str, opened: OpenTrack, *, recovered: bool = False) -> None:
        """Let the session's capture process journal a recording, or go on with one of before a restart."""
        process = self._process_of(session_id)
        self._tracks[opened.uid] = _Track(opened, process, split=recovered)
        self.handles[process].send(opened)

    def capture(self, effect: CaptureStream) -> None:
        """Hand the sockets of an m= line to capture, once; again when its recordings or formats changed."""
        line = self._lines.get((effect.session_id, effect.position))
        if line is None:
            return
        added = AddStream(
            stream_id=line.stream_id,
            index=effect.index,
            uids=effect.uids,
            networks=effect.networks,
            clock_rate_hz=effect.clock_rate_hz,
            payload_types=effect.payload_types,
            event_types=effect.event_types,
            watch_digits=effect.watch_digits,
        )
        if added == line.added:
            return
        handle = self.handles[line.process]
        if line.added is not None:
            handle.send(RemoveStream(line.stream_id))
        line.added = added
        handle.send_stream(added, line.sockets.rtp, line.sockets.rtcp)

    def relearn(self, session_id: str, position: int) -> None:
        """Let a stream latch its source anew."""
        line = self._lines.get((session_id, position))
        if line and line.added:
            self.handles[line.process].send(RelearnSource(line.stream_id))

    def set_recording(self, uid: bytes, recording: bool) -> None:  # noqa: FBT001
        """Begin or stop journalling; the report `RecordingSet` dates the edge."""
        track = self._tracks.get(uid)
        if track:
            command = SetRecording(uid, recording, self.clock.wall_ns())
            track.asked.append(command)
            self.handles[track.process].send(command)

    def discard(self, uid: bytes) -> None:
        """Forget a recording and what is in memory of it; its sockets go on being drained."""
        track = self._tracks.pop(uid, None)
        if track:
            self.handles[track.process].send(Discard(uid))

    def close_track(self, uid: bytes, done: Closed) -> None:
        """End a recording; `done` is called when all of it is in the journal."""
        track = self._tracks.get(uid)
        if track is None:
            done(None)
            return
        track.closing = done
        self.handles[track.process].send(CloseTrack(uid))

    def close(self, session_id: str, positions: tuple[int, ...] = ()) -> None:
        """Close the sockets of a session, after capture has drained them a last time."""
        for key in [
            key for key in self._lines if key[0] == session_id and (not positions or key[1] in positions)
        ]:
            line = self._lines.pop(key)
            self._streams.pop(line.stream_id, None)
            if line.added is not None:
                self.handles[line.process].send(RemoveStream(line.stream_id))
            self.ports.release(line.sockets)

    def take(self, process: int) -> list[Report]:
        """Return what a capture process reported, with the ends of tracks already passed on."""
        passed: list[Report] = []
        for report in self.handles[process].reports():
            if isinstance(report, TrackClosed):
                track = self._tracks.pop(report.uid, None)
                if track and track.closing:
                    self._close(track.closing, None if track.split else report.tails)
            else:
                if isinstance(report, RecordingSet):
                    self._note_set(report)
                passed.append(report)
        return passed

    def _note_set(self, report: RecordingSet) -> None:
        """Remember that capture did what it was asked first."""
        track = self._tracks.get(report.uid)
        if track and track.asked:
            track.asked.popleft()
            track.opened = dataclasses.replace(track.opened, recording=report.recording)

    def _close(self, done: Callable[[dict[str, int] | None], None], tails: dict[str, int] | None) -> None:
        try:
            done(tails)
        except Exception:  # noqa: BLE001 - the log has it, and the others go on
            # The other reports of this reading are of other calls.
            _log.exception("the end of a recording could not be handled")

    def tracks_of(self, process: int) -> list[bytes]:
        """Return the recordings a capture process makes."""
        return [uid for uid, track in self._tracks.items() if track.process == process]

    def restart(self, process: int) -> None:
        """Put a new capture process in the place of one that ended, with all its tracks and sockets."""
        handle = self.handles[process] = self.start_capture(process)
        tracks = [track for track in self._tracks.values() if track.process == process]
        for track in tracks:
            track.split = True
            # What waits in the sockets came before and after what was asked meanwhile, and has to obey it.
            until_ns = track.asked[0].at_ns if track.asked and track.opened.recording else None
            handle.send(dataclasses.replace(track.opened, until_ns=until_ns))
        for line in self._lines.values():
            if line.process == process and line.added is not None:
                handle.send_stream(line.added, line.sockets.rtp, line.sockets.rtcp)
        for track in tracks:
            for command in track.asked:
                handle.send(command)
            if track.closing:
                handle.send(CloseTrack(track.opened.uid))

    def stop(self) -> None:
        """End all capture processes; what they hold is written first."""
        for handle in self.handles:
            handle.send(Shutdown())
        for handle in self.handles:
            handle.stop()
        for line in self._lines.values():
            line.sockets.close()

    def _keep(self, session_id: str, position: int, sockets: MediaSockets) -> None:
        line = _Line(sockets, self._next_stream_id, self._process_of(session_id))
        self._lines[(session_id, position)] = line
        self._streams[line.stream_id] = (session_id, position)
        self._next_stream_id += 1

    def _process_of(self, session_id: str) -> int:
        """Spread sessions over the capture processes by their random ids."""
        return int(session_id[-8:], 16) % self.process_count
