"""Sockets and tracks outlive the capture process they were given to, and every end of a recording is told."""

from __future__ import annotations

import dataclasses
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from archive.model import new_id
from recorder.capture.handle import CaptureHandle
from recorder.capture.messages import (
    AddStream,
    CloseTrack,
    Command,
    Discard,
    FileClosed,
    OpenTrack,
    Ready,
    RelearnSource,
    RemoveStream,
    Report,
    SetRecording,
    Shutdown,
    TrackClosed,
)
from recorder.journal.reader import read_call
from recorder.media_plane import MediaPlane
from recorder.ports import NoPortLeft, PortRange
from recorder.srs.effects import CaptureStream
from tests.unit.recorder.capture.running_capture import Source
from tests.unit.recorder.journal.written_call import packets_of
from tests.unit.recorder.shell import NOW, STARTED_NS, eventually, free_pairs

HOST = "127.0.0.1"
SESSION = "01999999-0000-7000-8000-000000000000"
UID, KEY = b"a recorded call ", bytes(range(32))
PAIRS = 3
Tails = Mapping[str, int] | None


class Listening:
    """Stands in for a capture process: notes what it is told, and says what a test wants."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.told: list[Command] = []
        self.sockets: dict[int, tuple[socket.socket, socket.socket]] = {}
        self.saying: list[Report] = []
        self.stopped_after: int | None = None

    def send(self, command: Command) -> None:
        self.told.append(command)

    def send_stream(self, command: AddStream, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.told.append(command)
        self.sockets[command.stream_id] = (rtp, rtcp)

    def reports(self) -> list[Report]:
        said, self.saying = self.saying, []
        return said

    def stop(self) -> list[Report]:
        self.stopped_after = len(self.told)
        return []


class Plane(MediaPlane):
    """A media plane on processes that only listen."""

    def __init__(self, process_count: int = 1) -> None:
        self.started: list[Listening] = []
        first = free_pairs(PAIRS)
        super().__init__(PortRange(first, first + 2 * PAIRS - 1), self._start, process_count)
        self.start()

    def _start(self, index: int) -> CaptureHandle:
        self.started.append(Listening(index))
        return self.started[-1]  # type: ignore[return-value]

    @property
    def process(self) -> Listening:
        """The one that was started last."""
        return self.started[-1]

    @property
    def told(self) -> list[Command]:
        return self.process.told


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane()
    yield made
    made.stop()


def track(uid: bytes = UID, *, recording: bool = True) -> OpenTrack:
    return OpenTrack(uid, KEY, STARTED_NS, recording)


def stream(position: int = 0, *uids: bytes, session_id: str = SESSION) -> CaptureStream:
    return CaptureStream(session_id, position, position, uids or (UID,), ("127.0.0.0/8",), 8000, (0, 8))


def kinds(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


class Ends:
    """Remembers each end of a recording that is told."""

    def __init__(self) -> None:
        self.told: list[Tails] = []

    def __call__(self, tails: Tails) -> None:
        self.told.append(tails)


# What it tells capture.


def test_a_stream_is_handed_over_once(plane: Plane) -> None:
    """The same wish again changes nothing; other recordings or formats take the place of the old ones."""
    plane.bind(SESSION, (0,), HOST)
    plane.open_track(SESSION, track())
    plane.capture(stream(0))
    plane.capture(stream(0))
    assert kinds(plane.told) == ["OpenTrack", "AddStream"]
    plane.capture(stream(0, UID, b"another"))
    first, removed, second = plane.told[1:]
    assert isinstance(first, AddStream)
    assert isinstance(second, AddStream)
    assert removed == RemoveStream(first.stream_id)
    assert (second.stream_id, second.uids) == (first.stream_id, (UID, b"another"))


def test_every_stream_has_a_number_of_its_own(plane: Plane) -> None:
    """By which activity finds its session, until it is closed."""
    plane.bind(SESSION, (0, 1), HOST)
    plane.bind(new_id(NOW), (0,), HOST)
    plane.capture(stream(0))
    plane.capture(stream(1))
    ids = [command.stream_id for command in plane.told if isinstance(command, AddStream)]
    assert len(set(ids)) == 2
    assert [plane.session_of(stream_id) for stream_id in ids] == [SESSION, SESSION]
    plane.close(SESSION)
    assert [plane.session_of(stream_id) for stream_id in ids] == [None, None]


def test_what_was_never_bound_or_opened_is_told_to_nobody(plane: Plane) -> None:
    """Late wishes about a call that ended do no harm."""
    plane.capture(stream(0))
    plane.relearn(SESSION, 0)
    plane.set_recording(UID, recording=False)
    plane.discard(UID)
    plane.close(SESSION)
    assert plane.told == []


def test_a_source_is_learnt_anew_only_where_capture_reads(plane: Plane) -> None:
    """Sockets that were not handed over have latched nothing."""
    plane.bind(SESSION, (0,), HOST)
    plane.relearn(SESSION, 0)
    assert plane.told == []
    plane.capture(stream(0))
    plane.relearn(SESSION, 0)
    assert isinstance(plane.told[-1], RelearnSource)


def test_a_call_lives_in_one_process_and_calls_are_spread() -> None:
    """Its tracks and streams meet there; many calls use all processes."""
    plane = Plane(process_count=4)
    used = set()
    for number in range(40):
        session_id, uid = f"{SESSION[:-8]}{secrets.token_hex(4)}", number.to_bytes(16, "big")
        plane.open_track(session_id, track(uid))
        plane.bind(session_id, (0,), HOST)
        plane.capture(stream(0, uid, session_id=session_id))
        [process] = [index for index in range(4) if uid in plane.tracks_of(index)]
        assert kinds(plane.started[process].told[-2:]) == ["OpenTrack", "AddStream"]
        plane.close(session_id)
        used.add(process)
    plane.stop()
    assert used == {0, 1, 2, 3}


# Sockets.


def test_all_streams_of_a_call_get_ports_or_none_does(plane: Plane) -> None:
    """What was bound for a call that can't be taken is given back at once."""
    bound = plane.bind(SESSION, (0, 2), HOST)
    assert len(set(bound.values())) == 2
    other = new_id(NOW)
    with pytest.raises(NoPortLeft):
        plane.bind(other, (0, 1), HOST)
    assert plane.ports.free == 1
    assert set(plane.bind(other, (0,), HOST)) == {0}


def test_some_streams_of_a_call_can_be_closed(plane: Plane) -> None:
    """Each is drained by capture a last time; its port is free again."""
    plane.bind(SESSION, (0, 1), HOST)
    plane.capture(stream(0))
    plane.capture(stream(1))
    one, two = (command.stream_id for command in plane.told if isinstance(command, AddStream))
    plane.close(SESSION, (1,))
    assert plane.told[-1] == RemoveStream(two)
    assert plane.ports.free == PAIRS - 1
    assert [each.fileno() == -1 for each in plane.process.sockets[two]] == [True, True]
    plane.close(SESSION)
    assert plane.told[-1] == RemoveStream(one)
    assert plane.ports.free == PAIRS


def test_a_call_of_before_a_restart_gets_its_very_port(plane: Plane) -> None:
    """The peer goes on sending there; a port somebody took is an error and takes none of ours."""
    port = free_pairs(1)
    plane.bind_again(SESSION, 0, HOST, port)
    plane.capture(stream(0))
    [(rtp, rtcp)] = plane.process.sockets.values()
    assert (rtp.getsockname()[1], rtcp.getsockname()[1]) == (port, port + 1)
    with pytest.raises(OSError, match="in use"):
        plane.bind_again(new_id(NOW), 0, HOST, port)


def test_at_the_end_every_process_is_told_before_one_is_waited_for() -> None:
    """They write their last second at the same time; then all sockets are closed."""
    plane = Plane(process_count=2)
    plane.bind(SESSION, (0,), HOST)
    plane.capture(stream(0))
    plane.stop()
    assert [process.told[-1] for process in plane.started] == [Shutdown(), Shutdown()]
    assert all(process.stopped_after == len(process.told) for process in plane.started)
    [sockets] = [pair for process in plane.started for pair in process.sockets.values()]
    assert [each.fileno() for each in sockets] == [-1, -1]


# The end of a recording.


def test_the_end_of_a_recording_is_told_with_its_place_in_the_journal(plane: Plane) -> None:
    """Once, and only to who asked for it; other reports are passed on."""
    ends = Ends()
    plane.open_track(SESSION, track())
    plane.close_track(UID, ends)
    closed = TrackClosed(UID, {"capture-0/epoch-00000001.journal": 64}, 5)
    plane.process.saying = [Ready(0), closed, FileClosed("name", frozenset())]
    assert plane.take(0) == [Ready(0), FileClosed("name", frozenset())]
    plane.process.saying = [closed]
    assert plane.take(0) == []
    assert ends.told == [closed.tails]
    assert plane.tracks_of(0) == []


def test_the_end_of_what_was_never_captured_is_told_at_once(plane: Plane) -> None:
    """All of the journal is searched for it."""
    ends = Ends()
    plane.close_track(UID, ends)
    assert ends.told == [None]


def test_a_recording_of_before_a_restart_is_searched_for_in_all_of_the_journal(plane: Plane) -> None:
    """The process that closes it knows only its own part."""
    ends = Ends()
    plane.open_track(SESSION, track(), recovered=True)
    plane.close_track(UID, ends)
    plane.process.saying = [TrackClosed(UID, {"name": 64}, 5)]
    plane.take(0)
    assert ends.told == [None]


def test_what_is_asked_of_a_recording_goes_to_its_process(plane: Plane) -> None:
    """To begin, to stop, and to end."""
    plane.open_track(SESSION, track(recording=False))
    plane.set_recording(UID, recording=True)
    plane.set_recording(UID, recording=False)
    plane.close_track(UID, Ends())
    assert plane.told[1:] == [
        SetRecording(UID, recording=True),
        SetRecording(UID, recording=False),
        CloseTrack(UID),
    ]


def test_a_discarded_recording_is_told_once_and_never_again(plane: Plane) -> None:
    """Not to a new process either."""
    plane.open_track(SESSION, track())
    plane.discard(UID)
    plane.discard(UID)
    assert plane.told[1:] == [Discard(UID)]
    plane.restart(0)
    assert plane.told == []


# A capture process died.


def test_a_new_process_is_told_all_in_the_order_it_needs(plane: Plane) -> None:
    """Tracks as they are now, then their streams, then what is to be closed."""
    ends = Ends()
    plane.bind(SESSION, (0, 1), HOST)
    plane.open_track(SESSION, track())
    plane.open_track(SESSION, track(b"another"))
    plane.capture(stream(0))
    plane.set_recording(b"another", recording=False)
    plane.close_track(UID, ends)
    before = plane.process.sockets
    plane.restart(0)
    assert kinds(plane.told) == ["OpenTrack", "OpenTrack", "AddStream", "CloseTrack", "SetRecording"]
    asked = plane.told[4]
    assert isinstance(asked, SetRecording)
    # What came before it was asked for still obeys the old state.
    assert plane.told[:2] == [track(), dataclasses.replace(track(b"another"), until_ns=asked.at_ns)]
    assert plane.process.sockets == before
    assert ends.told == []
    plane.process.saying = [TrackClosed(UID, {"name": 64}, 0)]
    plane.take(0)
    assert ends.told == [None]


def test_only_what_the_process_had_goes_to_its_successor() -> None:
    """The calls of the others are not touched."""
    plane = Plane(process_count=2)
    for number, uid in enumerate((b"even", b"odd")):
        session_id = f"{SESSION[:-1]}{number}"
        plane.bind(session_id, (0,), HOST)
        plane.open_track(session_id, track(uid))
        plane.capture(stream(0, uid, session_id=session_id))
    plane.restart(1)
    assert [command.uid for command in plane.told if isinstance(command, OpenTrack)] == [b"odd"]
    assert [command.uids for command in plane.told if isinstance(command, AddStream)] == [(b"odd",)]
    assert kinds(plane.started[0].told) == ["OpenTrack", "AddStream"]
    plane.stop()


def test_a_stream_that_changed_after_a_restart_is_replaced(plane: Plane) -> None:
    """The new process has it, so it is removed there first."""
    plane.bind(SESSION, (0,), HOST)
    plane.open_track(SESSION, track())
    plane.capture(stream(0))
    plane.restart(0)
    plane.capture(dataclasses.replace(stream(0), payload_types=(9,)))
    assert kinds(plane.told) == ["OpenTrack", "AddStream", "RemoveStream", "AddStream"]


# With real processes.


class Running:
    """A media plane on a real capture process, a journal, and a client that sends."""

    def __init__(self, journal_dir: Path) -> None:
        self.journal_dir = journal_dir
        first = free_pairs(PAIRS)
        self._started: list[CaptureHandle] = []
        self.plane = MediaPlane(PortRange(first, first + 2 * PAIRS - 1), self._start, 1)
        self.plane.start()
        port = self.plane.bind(SESSION, (0,), HOST)[0]
        self.source = Source((HOST, port))
        self.plane.open_track(SESSION, track())
        self.plane.capture(stream(0))

    def _start(self, index: int) -> CaptureHandle:
        self._started.append(CaptureHandle(index, self.journal_dir))
        return self._started[-1]

    @property
    def handle(self) -> CaptureHandle:
        return self.plane.handles[0]

    def send(self, count: int) -> None:
        self.source.send(count)

    def audio(self, tails: Tails = None) -> list[bytes]:
        """Return every payload that stands in the journal."""
        records = read_call(self.journal_dir, UID, KEY, tails)
        return [payload for record in records for payload in packets_of(record)]

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.handle.pid, number)

    def replace(self) -> None:
        """Do as signalling when it finds the process dead."""
        eventually(lambda: not self.handle.alive(), "the death of the process")
        self.plane.take(0)
        self.handle.stop()
        self.plane.restart(0)

    def wait_for_end(self, ends: Ends) -> Tails:
        def told() -> bool:
            self.plane.take(0)
            return bool(ends.told)

        eventually(told, "the end of the recording")
        [tails] = ends.told
        return tails

    def end(self) -> None:
        if self.handle.alive():
            self.kill(signal.SIGCONT)
        self.plane.stop()
        self.source.socket.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "journal")
    yield made
    made.end()


def test_a_recording_that_ends_is_whole_at_the_place_that_is_told(running: Running) -> None:
    """Packets that lie in the socket at that moment are part of it."""
    running.send(20)
    ends = Ends()
    running.plane.close_track(UID, ends)
    tails = running.wait_for_end(ends)
    assert tails
    assert running.audio(tails) == running.source.sent


def test_a_killed_capture_process_loses_nothing_that_came_after(running: Running) -> None:
    """Packets wait in sockets that signalling holds too; the new process gets the very same ones."""
    running.send(20)
    eventually(lambda: len(running.audio()) == 20, "the first packets")
    running.kill()
    eventually(lambda: not running.handle.alive(), "the death of the process")
    running.send(30)
    dead = running.handle
    running.replace()
    assert running.handle.pid != dead.pid
    running.send(10)
    ends = Ends()
    running.plane.close_track(UID, ends)
    assert running.wait_for_end(ends) is None
    assert running.audio() == running.source.sent
    assert len(list(running.journal_dir.glob("capture-0/*.journal"))) == 2


def test_a_recording_that_was_closing_when_the_process_died_ends_all_the_same(running: Running) -> None:
    """The process never read the wish; its successor is told it again."""
    running.send(10)
    eventually(lambda: len(running.audio()) == 10, "the packets")
    running.kill(signal.SIGSTOP)
    ends = Ends()
    running.plane.close_track(UID, ends)
    running.plane.close(SESSION)
    running.kill()
    running.replace()
    assert running.wait_for_end(ends) is None
    assert running.audio() == running.source.sent
    assert running.plane.ports.free == PAIRS
