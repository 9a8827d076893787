"""What comes in at a port is in the journal, exactly, through edges, stalls, crashes and strangers."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from recorder.capture import process
from recorder.capture.mailbox import Mailbox
from recorder.capture.messages import (
    AddStream,
    CloseTrack,
    Discard,
    FileClosed,
    RecordingSet,
    RelearnSource,
    RemoveStream,
    SetRecording,
    Shutdown,
    StreamActivity,
    TrackClosed,
)
from recorder.capture.process import COMMANDS_MAX
from recorder.journal.reader import read_call
from recorder.journal.writer import JournalWriter
from recorder.rtp.rtcp import SourceDescription, parse_compound
from recorder.steady_clock import SteadyClock
from tests.unit.recorder.capture.running_capture import (
    NETWORKS,
    PATIENCE_S,
    RunningCapture,
    media_socket,
    rtp,
)


def close(capture: RunningCapture, uid: bytes, count: int = 1) -> TrackClosed:
    capture.handle.send(CloseTrack(uid))
    closed = capture.wait_for(TrackClosed, count)
    assert isinstance(closed, TrackClosed)
    return closed


def wait_for_audio(capture: RunningCapture, uid: bytes, key: bytes, count: int) -> None:
    capture.wait(lambda: len(capture.audio(uid, key)) >= count)


def activity(capture: RunningCapture) -> list[StreamActivity]:
    return [item for item in capture.said if isinstance(item, StreamActivity)]


def wait_for_refused(capture: RunningCapture, count: int) -> None:
    capture.wait(lambda: sum(item.refused for item in activity(capture)) >= count)
    assert sum(item.refused for item in activity(capture)) == count


def test_every_packet_is_in_the_journal_in_order_with_its_arrival(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(100)
    source.send(3, size=4, second=0x80 | 101)
    source.send(20, size=80)
    closed = close(capture, uid)
    assert capture.audio(uid, key, closed.tails) == source.sent
    assert closed.packets == 123
    rows = [row for record in read_call(capture.journal_dir, uid, key) for row in record.rows]
    assert [int(row["sequence"]) for row in rows] == list(range(123))
    assert [int(row["timestamp"]) for row in rows] == [160 * number for number in range(123)]
    arrivals = [int(row["arrival"]) for row in rows]
    assert arrivals == sorted(arrivals)


def test_no_plain_audio_stands_in_the_journal(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(50)
    closed = close(capture, uid)
    content = capture.journal_bytes()
    assert len(content) > 50 * 160
    assert not any(payload[:16] in content for payload in source.sent)
    assert key not in content
    assert closed.packets == 50


def test_two_recordings_of_one_stream_each_get_all_of_it(capture: RunningCapture) -> None:
    one, two = capture.open_track(), capture.open_track(recording=False)
    source, _ = capture.add_stream(one[0], two[0])
    source.send(30)
    capture.handle.send(SetRecording(two[0], True))
    capture.wait_for(RecordingSet)
    source.send(30)
    close(capture, one[0])
    close(capture, two[0], 2)
    assert capture.audio(*one) == source.sent
    assert capture.audio(*two) == source.sent[30:]


def test_an_edge_is_exact_to_the_packet_in_both_directions(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    kept: list[bytes] = []
    for number in range(6):
        source.send(7)
        recording = number % 2 == 1
        if not recording:
            kept += source.sent[-7:]
        capture.handle.send(SetRecording(uid, recording))
        edge = capture.wait_for(RecordingSet, number + 1)
        assert isinstance(edge, RecordingSet)
        assert edge.recording == recording
    source.send(5)
    kept += source.sent[-5:]
    close(capture, uid)
    assert capture.audio(uid, key) == kept
    content = capture.journal_bytes()
    assert not any(payload[:16] in content for payload in source.sent)


def test_a_packet_that_arrived_before_the_edge_obeys_the_old_state_though_it_was_read_after(
    capture: RunningCapture,
) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(1)
    wait_for_audio(capture, uid, key, 1)
    os.kill(capture.handle.pid, signal.SIGSTOP)
    source.send(40)
    capture.handle.send(SetRecording(uid, False))
    os.kill(capture.handle.pid, signal.SIGCONT)
    edge = capture.wait_for(RecordingSet)
    assert isinstance(edge, RecordingSet)
    source.send(40)
    close(capture, uid)
    assert capture.audio(uid, key) == source.sent[:41]


def test_packets_from_elsewhere_are_refused_and_change_nothing(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    stranger = capture.another_source(source.to)
    source.send(1)
    wait_for_audio(capture, uid, key, 1)
    for _ in range(20):
        source.send(5)
        stranger.send(5)
    close(capture, uid)
    assert capture.audio(uid, key) == source.sent
    wait_for_refused(capture, 100)


def test_nobody_outside_the_peers_networks_is_ever_latched(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid, networks=("192.0.2.0/24",))
    source.send(10)
    closed = close(capture, uid)
    wait_for_refused(capture, 10)
    assert closed.packets == 0
    assert capture.audio(uid, key) == []


def test_a_peer_that_moved_is_followed_after_a_new_offer_or_a_second_of_silence(
    capture: RunningCapture,
) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(1)
    wait_for_audio(capture, uid, key, 1)
    capture.handle.send(RelearnSource(capture.stream_id))
    moved = capture.another_source(source.to)
    capture.handle.send(SetRecording(uid, True))
    capture.wait_for(RecordingSet)
    moved.send(5)
    wait_for_audio(capture, uid, key, 6)
    again = capture.another_source(source.to)
    deadline = time.monotonic() + PATIENCE_S
    heard = 0
    while heard <= 6:
        assert time.monotonic() < deadline
        again.send(1)
        capture.wait(lambda: True)
        heard = len(capture.audio(uid, key))
        time.sleep(0.02)
    close(capture, uid)
    found = capture.audio(uid, key)[6:]
    assert 0 < len(found) < len(again.sent)
    assert found == again.sent[-len(found) :]


def test_a_change_of_ssrc_is_kept_and_told_apart(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    for ssrc in (1, 2, 1):
        source.send(5, ssrc=ssrc)
    close(capture, uid)
    records = list(read_call(capture.journal_dir, uid, key))
    numbers = {
        ssrc: [int(n) for r in records if r.ssrc == ssrc for n in r.rows["sequence"]] for ssrc in (1, 2)
    }
    assert numbers == {1: [0, 1, 2, 3, 4, 10, 11, 12, 13, 14], 2: [5, 6, 7, 8, 9]}


def test_what_is_no_rtp_is_passed_over_and_what_has_options_is_read(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(2)
    for noise in (b"\x00\x01" + bytes(18), b"\x16\xfe" + bytes(30), b"", b"\x80"):
        source.socket.sendto(noise, source.to)
    options = rtp(
        2, struct.pack("!I", 9) + struct.pack("!HH", 0xBEDE, 1) + b"levl" + b"audio\0\2", first=0xB1
    )
    source.socket.sendto(options, source.to)
    source.socket.sendto(rtp(3, b"", first=0x9F), source.to)
    source.socket.sendto(rtp(4, bytes(2000)), source.to)
    close(capture, uid)
    wait_for_refused(capture, 1)
    assert capture.audio(uid, key) == [*source.sent, b"audio", bytes(1488)]
    rows = [row for record in read_call(capture.journal_dir, uid, key) for row in record.rows]
    assert [int(row["flags"]) for row in rows] == [0, 0, 0, 2]


def test_ipv6_is_captured_as_ipv4_is(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid, networks=("::1/128",), address="::1")
    stranger = capture.another_source(source.to, "::1")
    source.send(30)
    wait_for_audio(capture, uid, key, 30)
    stranger.send(5)
    close(capture, uid)
    wait_for_refused(capture, 5)
    assert capture.audio(uid, key) == source.sent


def test_what_is_discarded_is_forgotten_and_its_sockets_are_still_emptied(capture: RunningCapture) -> None:
    gone, other = capture.open_track(), capture.open_track()
    source, _ = capture.add_stream(gone[0])
    capture.handle.send(Discard(gone[0]))
    capture.handle.send(CloseTrack(gone[0]))
    capture.handle.send(SetRecording(other[0], True))
    capture.wait_for(RecordingSet)
    source.send(40)
    capture.wait(lambda: sum(item.packets for item in activity(capture)) == 40)
    close(capture, other[0])
    capture.end()
    assert gone[0] not in capture.journal_bytes()
    assert [item.uid for item in capture.said if isinstance(item, TrackClosed)] == [other[0]]


def test_a_stall_of_two_seconds_loses_nothing(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    sources = [capture.add_stream(uid, index=index)[0] for index in range(4)]
    for source in sources:
        source.send(1)
    wait_for_audio(capture, uid, key, 4)
    os.kill(capture.handle.pid, signal.SIGSTOP)
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        for source in sources:
            source.send(1)
        time.sleep(0.02)
    os.kill(capture.handle.pid, signal.SIGCONT)
    closed = close(capture, uid)
    assert closed.packets == sum(len(source.sent) for source in sources)
    found = set(capture.audio(uid, key))
    assert found == {payload for source in sources for payload in source.sent}


def test_after_a_kill_everything_that_was_synced_is_readable_and_a_successor_goes_on(
    capture: RunningCapture,
) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    marker, marker_key = capture.open_track()
    follower, _ = capture.add_stream(marker)
    source.send(60)
    # The other track's TrackClosed says that everything written before it is durable.
    wait_for_audio(capture, uid, key, 60)
    follower.send(1)
    close(capture, marker)
    source.send(10)
    capture.kill()
    capture.wait(lambda: not capture.handle.alive())
    found = capture.audio(uid, key)
    assert found[:60] == source.sent[:60]
    assert found == source.sent[: len(found)]
    assert len(capture.audio(marker, marker_key)) == 1
    successor = RunningCapture(capture.journal_dir)
    successor.end()
    assert capture.audio(uid, key) == found


def test_when_signalling_goes_everything_is_written_and_the_process_ends(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(1)
    wait_for_audio(capture, uid, key, 1)
    source.send(25)
    capture.handle._mailbox.close(1)
    capture.handle._connection.close()
    assert capture.handle._process.wait(PATIENCE_S) == 0
    assert capture.audio(uid, key) == source.sent
    capture.handle._connection = type(capture.handle._connection)(os.open(os.devnull, os.O_RDONLY))


def test_a_process_waits_for_the_journal_of_its_predecessor(tmp_path: Path) -> None:
    first = RunningCapture(tmp_path / "journal")
    from recorder.capture.handle import CaptureHandle

    waiting = CaptureHandle(0, tmp_path / "journal")
    assert waiting.reports() == []
    first.end()
    deadline = time.monotonic() + PATIENCE_S
    while not waiting.reports():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    waiting.stop()


def test_activity_says_when_each_stream_was_last_heard(capture: RunningCapture) -> None:
    uid, _ = capture.open_track(recording=False)
    source, _ = capture.add_stream(uid)
    capture.add_stream(uid, index=1)
    before = time.time_ns()
    source.send(10)
    capture.wait(lambda: any(item.packets for item in activity(capture)))
    told = next(item for item in activity(capture) if item.packets)
    assert (told.packets, told.octets, told.kernel_drops) == (10, 1720, 0)
    heard = told.last_packet_ns
    assert heard[1] >= before
    assert heard[2] == 0


def test_receiver_reports_go_to_where_rtcp_came_from(capture: RunningCapture) -> None:
    uid, _ = capture.open_track()
    source, control = capture.add_stream(uid)
    peer = capture.another_source(control.getsockname())
    source.send(20)
    peer.socket.sendto(
        struct.pack("!BBHIQIII", 0x80, 200, 6, 77, 1 << 40, 160, 50, 8000), control.getsockname()
    )
    peer.socket.setblocking(True)
    peer.socket.settimeout(PATIENCE_S)
    report = peer.socket.recv(1500)
    assert struct.unpack_from("!BBHII", report) == (0x81, 201, 7, struct.unpack_from("!I", report, 4)[0], 77)
    assert struct.unpack_from("!I", report, 16)[0] == 19
    assert struct.unpack_from("!I", report, 24)[0] == 1 << 24
    (name,) = parse_compound(report)
    assert isinstance(name, SourceDescription)
    assert name.cname.startswith("earwitness-")


def test_a_removed_stream_is_emptied_a_last_time_and_its_port_is_free(capture: RunningCapture) -> None:
    uid, key = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(10)
    capture.handle.send(RemoveStream(capture.stream_id))
    capture.handle.send(RemoveStream(capture.stream_id))
    close(capture, uid)
    assert capture.audio(uid, key) == source.sent


def test_more_commands_than_one_turn_takes_are_all_obeyed(capture: RunningCapture) -> None:
    uid, _ = capture.open_track()
    for number in range(COMMANDS_MAX + 10):
        capture.handle.send(SetRecording(uid, number % 2 == 0))
    capture.wait_for(RecordingSet, COMMANDS_MAX + 10)
    assert isinstance(capture.said[-1], RecordingSet)


def test_a_file_is_reported_when_it_is_complete(capture: RunningCapture) -> None:
    uid, _ = capture.open_track()
    source, _ = capture.add_stream(uid)
    source.send(1)
    close(capture, uid)
    capture.end()
    closed = capture.wait_for(FileClosed)
    assert closed == FileClosed("capture-0/epoch-00000001.journal", frozenset({uid}))


@pytest.mark.parametrize("name", ["RLIMIT_CORE", "RLIMIT_NOFILE"])
def test_the_process_leaves_no_core_and_may_have_all_the_sockets_it_can(name: str) -> None:
    program = (
        "import resource; from recorder.capture.process import harden; harden();"
        f"print(resource.getrlimit(resource.{name}), open('/proc/self/status').read().count('Name'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(item for item in sys.path if item)}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    soft, hard = result.stdout.split(")")[0].strip("(").split(", ")
    assert soft == hard
    assert (soft == "0") == (name == "RLIMIT_CORE")


def test_a_capture_process_can_not_be_dumped(capture: RunningCapture) -> None:
    environ = Path(f"/proc/{capture.handle.pid}/limits").read_text()
    assert next(line for line in environ.splitlines() if "core file" in line).split()[4:6] == ["0", "0"]
    assert process.TICK_S + process.SYNC_S < 1.0
    assert socket.SO_RCVBUF


def test_who_lets_its_successor_into_the_journal_has_let_go_of_the_ports(tmp_path: Path) -> None:
    """A recorder that starts again binds the ports of the calls that run as soon as the journal is free."""
    said, heard = socket.socketpair()
    offered, taken = socket.socketpair()
    media = [media_socket(), media_socket()]
    ports = [each.getsockname() for each in media]
    bound: list[bool] = []

    class Watched(JournalWriter):
        def close(self) -> None:
            for port in ports:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as successor:
                    successor.bind(port)
                    bound.append(True)
            super().close()

    journal = Watched(tmp_path / "capture-0")
    journal.open()
    capture = process.Capture(0, journal, Connection(heard.detach()), taken, SteadyClock())
    mailbox = Mailbox(Connection(said.detach()), offered)
    descriptors = (os.dup(media[0].fileno()), os.dup(media[1].fileno()))
    mailbox.put(AddStream(1, 0, (), NETWORKS, 8000, (8,)), 1, descriptors)
    mailbox.put(Shutdown())
    for each in media:
        each.close()
    capture.run()
    mailbox.close(timeout_s=1.0)
    offered.close()
    taken.close()
    assert bound == [True, True]
