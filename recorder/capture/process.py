"""The capture process: every 200 ms all sockets into the journal, and in between what signalling asks.

The loop sleeps until the next tick or a command. A command that makes an edge drains
its call's sockets at once, so that edges do not wait for a tick. The journal is synced
by a thread each 400 ms; with the tick that keeps what a crash can lose below a second.

Rules: nothing in the loop may wait for a disk's sync, a full pipe or the collector of
garbage. When signalling goes (end of file on the connection) everything is written,
synced and closed; its successor starts a new process that waits for the journal's lock.
Keys of calls are only in the memory of this process: no core dump, no debugger.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from recorder.capture.control import ControlChannel
from recorder.capture.intake import Counts, Intake
from recorder.capture.mailbox import Mailbox, receive_descriptors
from recorder.capture.messages import (
    AddStream,
    CloseTrack,
    Command,
    Discard,
    FileClosed,
    JournalTrouble,
    OpenTrack,
    Ready,
    RecordingSet,
    RelearnSource,
    RemoveStream,
    SetRecording,
    Shutdown,
    StreamActivity,
    TrackClosed,
)
from recorder.capture.receive import ReceiveBuffers, keep_stamping, prepare
from recorder.capture.stream import Stream, StreamTable, TooManyStreams
from recorder.capture.track import Track
from recorder.journal.writer import JournalWriter
from recorder.steady_clock import SteadyClock

TICK_S = 0.2
SYNC_S = 0.4
ACTIVITY_S = 2.0
COLLECT_S = 10.0
LOCK_WAIT_S = 60.0  # a predecessor that writes its last second to a slow disk is waited for
COMMANDS_MAX = 256  # at a time, so that a burst of calls never delays a tick by more than some milliseconds
EDGE_PASSES_MAX = 64  # a full socket buffer holds 40 times what one pass takes of it
TICK_PASSES_MAX = (
    1024  # ten times a backlog of five seconds of 4000 calls; a flood must not stop the commands
)
_PR_SET_DUMPABLE = 4

_log = structlog.get_logger()


class Capture:
    """All that one capture process holds."""

    def __init__(
        self,
        index: int,
        journal: JournalWriter,
        connection: Connection,
        fd_socket: socket.socket,
        clock: SteadyClock,
    ) -> None:
        self._index = index
        self._journal = journal
        self._connection = connection
        self._fd_socket = fd_socket
        self._mailbox = Mailbox(connection)
        self._table = StreamTable()
        self._clock = clock
        self._buffers = ReceiveBuffers(clock=clock)
        self._control = ControlChannel(self._table, self._buffers)
        self._intake = Intake(self._table, self._buffers, journal, self._control.receive)
        self._tracks: dict[bytes, Track] = {}
        self._closing: list[tuple[int, Track]] = []
        self._trouble: str | None = None
        self._late_s = 0.0
        self._activity_at = time.monotonic() + ACTIVITY_S
        self._collect_at = time.monotonic() + COLLECT_S
        self._sync_now = threading.Event()
        self.ending = False

    def run(self) -> None:
        """Capture until signalling says or shows that it is over."""
        syncer = threading.Thread(target=self._sync_always, name="journal sync", daemon=True)
        syncer.start()
        self._mailbox.put(Ready(self._index))
        poller = select.poll()
        poller.register(self._connection.fileno(), select.POLLIN)
        due = time.monotonic() + TICK_S
        while not self.ending:
            wait_s = due - time.monotonic()
            if poller.poll(max(0.0, wait_s * 1000)):
                self._obey()
            now = time.monotonic()
            if now >= due:
                self._late_s = max(self._late_s, now - due)
                self._tick(now)
                due = max(due + TICK_S, now)
        self._sync_now.set()
        syncer.join(SYNC_S)
        self._end()

    def _sync_always(self) -> None:
        while not self.ending:
            self._sync_now.wait(SYNC_S)
            self._sync_now.clear()
            self._journal.sync()

    def _tick(self, now: float) -> None:
        self._drain(self._table.descriptors, self._table.rows, TICK_PASSES_MAX)
        self._journal.commit()
        self._control.tend(now, self._clock.wall_ns())
        self._report(now)
        if now >= self._collect_at:
            # The young generations only: the time this takes is bounded by what ten seconds made.
            self._collect_at = now + COLLECT_S
            gc.collect(1)

    def _drain(self, descriptors: list[int], rows: npt.NDArray[np.int64], passes_max: int) -> None:
        now, epoch = time.monotonic(), self._journal.epoch
        for track in self._tracks.values():
            track.refresh(now, epoch)
        for received in self._buffers.drain(descriptors, rows, passes_max):
            self._intake.take(received, now)
        for pressed in self._intake.take_digits():
            self._mailbox.put(pressed)

    def _drain_streams(self, streams: list[Stream]) -> None:
        rows = np.array([stream.row for stream in streams], np.int64)
        self._drain([stream.rtp.fileno() for stream in streams], rows, EDGE_PASSES_MAX)

    def _obey(self) -> None:
        try:
            for _ in range(COMMANDS_MAX):
                if self.ending or not self._connection.poll():
                    break
                self._handle(self._connection.recv())
        except (EOFError, OSError):
            self.ending = True

    def _handle(self, command: Command) -> None:
        match command:
            case OpenTrack(uid=uid):
                self._tracks.setdefault(uid, Track.of(command))
            case AddStream():
                self._add_stream(command)
            case RelearnSource(stream_id) | RemoveStream(stream_id):
                stream = self._table.get(stream_id)
                if stream is not None:
                    self._change_stream(stream, remove=isinstance(command, RemoveStream))
            case Shutdown():
                self.ending = True
            case SetRecording(uid) | Discard(uid) | CloseTrack(uid):
                track = self._tracks.get(uid)
                if track is not None:
                    self._change_track(track, command)

    def _add_stream(self, command: AddStream) -> None:
        descriptors = receive_descriptors(self._fd_socket, command.stream_id)
        rtp, rtcp = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        tracks = [self._tracks[uid] for uid in command.uids if uid in self._tracks]
        try:
            self._table.add(command, rtp, rtcp, tracks)
        except TooManyStreams as error:
            _log.error("stream refused", process=self._index, reason=str(error))
            return
        prepare(rtp)
        prepare(rtcp)

    def _change_stream(self, stream: Stream, *, remove: bool) -> None:
        self._drain_streams([stream])
        if remove:
            self._table.remove(stream)
        else:
            self._table.sources.forget(stream.row)
            stream.rtcp_peer = None

    def _change_track(self, track: Track, command: SetRecording | Discard | CloseTrack) -> None:
        match command:
            case SetRecording():
                self._set_recording(track, command)
            case Discard():
                self._forget(track)
            case CloseTrack():
                self._drain_streams(self._table.of(track))
                self._close(track)

    def _set_recording(self, track: Track, command: SetRecording) -> None:
        streams = self._table.of(track)
        # What was taken before obeyed the old state, and the edge says so.
        taken_ns = max((int(self._table.sources.last_ns[stream.row]) for stream in streams), default=0)
        edge_ns = max(command.at_ns, taken_ns + 1) if command.at_ns else self._clock.wall_ns()
        track.begin_edge(edge_ns, recording=command.recording)
        self._drain_streams(streams)
        track.end_edge(recording=command.recording)
        self._mailbox.put(RecordingSet(track.uid, command.recording, edge_ns))

    def _forget(self, track: Track) -> None:
        self._table.detach(track)
        self._tracks.pop(track.uid, None)

    def _close(self, track: Track) -> None:
        self._forget(track)
        self._closing.append((self._journal.commit(), track))
        self._sync_now.set()

    def _report(self, now: float) -> None:
        self._report_closed()
        for closed in self._journal.take_closed():
            self._mailbox.put(FileClosed(closed.name, closed.uids))
        if self._journal.trouble != self._trouble:
            self._trouble = self._journal.trouble
            _log.warning("journal", process=self._index, trouble=self._trouble)
            self._mailbox.put(JournalTrouble(self._trouble is not None, self._trouble or "It works again."))
        # An activity report that can't be sent is old news when it can.
        if now >= self._activity_at and self._mailbox.idle:
            self._activity_at = now + ACTIVITY_S
            self._mailbox.put(self._activity())

    def _report_closed(self) -> None:
        durable = [item for item in self._closing if self._journal.is_durable(item[0])]
        for item in durable:
            self._closing.remove(item)
            track = item[1]
            tails = self._journal.tails(track.uid)
            self._mailbox.put(TrackClosed(track.uid, tails, track.packets))
            self._journal.forget(track.uid)

    def _activity(self) -> StreamActivity:
        counts, self._intake.counts = self._intake.counts, Counts()
        late_ms, self._late_s = int(self._late_s * 1000), 0.0
        last_ns = self._table.sources.last_ns
        return StreamActivity(
            last_packet_ns={stream.stream_id: int(last_ns[stream.row]) for stream in self._table.all()},
            packets=counts.packets,
            refused=counts.refused,
            kernel_drops=counts.kernel_drops,
            late_ms=late_ms,
            octets=counts.octets,
        )

    def _end(self) -> None:
        """Take what came up to now, make it durable, and report what was waited for."""
        self._drain(self._table.descriptors, self._table.rows, TICK_PASSES_MAX)
        # Closing the journal lets a successor in, which binds these very ports for the calls that run.
        self._table.close()
        self._journal.close()
        self._report(time.monotonic())
        self._mailbox.close(timeout_s=2.0)


def run(
    index: int, journal_dir: str, origin_ns: int, connection: Connection, fd_socket: socket.socket
) -> None:
    """Be capture process `index` until the connection ends; raises JournalUnavailable when it can't begin.

    `origin_ns` is that of signalling's steady clock.
    """
    harden()
    stamping = keep_stamping()
    journal = JournalWriter(Path(journal_dir) / f"capture-{index}")
    journal.open(LOCK_WAIT_S)
    capture = Capture(index, journal, connection, fd_socket, SteadyClock(origin_ns))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for signalling, which then tells us
    signal.signal(signal.SIGTERM, lambda *_: setattr(capture, "ending", True))
    # What exists now lives as long as the process, and a full collection would stall the tick.
    gc.collect()
    gc.freeze()
    gc.disable()
    with stamping:
        capture.run()


def harden() -> None:
    """Keep the memory of this process, with its keys, off disks, and let it have many sockets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Run with the arguments that `recorder.capture.handle` gives: index, folder, origin, descriptors."""
    index, journal_dir, origin_ns, connection, fd_socket = sys.argv[1:]
    commands, descriptors = Connection(int(connection)), socket.socket(fileno=int(fd_socket))
    run(int(index), journal_dir, int(origin_ns), commands, descriptors)
