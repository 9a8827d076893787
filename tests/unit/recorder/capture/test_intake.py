"""Digits are told to who watches for star codes, and never stand in the journal."""

from __future__ import annotations

import os
import secrets
import signal
import struct
import time

from recorder.capture.intake import DIGITS_WAITING_MAX
from recorder.capture.messages import (
    CloseTrack,
    DigitPressed,
    Discard,
    RecordingSet,
    SetRecording,
    StreamActivity,
    TrackClosed,
)
from recorder.journal.reader import read_call
from tests.unit.recorder.capture.running_capture import RunningCapture, Source, rtp

KEYS = "0123456789*#ABCD"
EVENT = 101
PADDING = bytes(3) + b"\x04"


def event(key: str, duration: int = 160, *, end: bool = False) -> bytes:
    return struct.pack("!BBH", KEYS.index(key), 0x80 * end | 10, duration)


def press(source: Source, keys: str, *, ssrc: int = 77) -> None:
    """Press keys: three packets of one timestamp each, as a telephone sends them."""
    for key in keys:
        timestamp = source.sequence * 160
        for number, payload in enumerate((event(key), event(key, 320), event(key, 320, end=True))):
            second = EVENT | 0x80 * (number == 0)
            header = struct.pack("!BBHII", 0x80, second, source.sequence & 0xFFFF, timestamp, ssrc)
            source.socket.sendto(header + payload, source.to)
            source.sequence += 1


def close(capture: RunningCapture, uid: bytes, count: int = 1) -> TrackClosed:
    capture.handle.send(CloseTrack(uid))
    closed = capture.wait_for(TrackClosed, count)
    assert isinstance(closed, TrackClosed)
    return closed


def pressed(capture: RunningCapture) -> list[DigitPressed]:
    return [item for item in capture.said if isinstance(item, DigitPressed)]


def keys(capture: RunningCapture) -> str:
    return "".join(item.digit for item in pressed(capture))


def rows(capture: RunningCapture, call: tuple[bytes, bytes]) -> list[tuple[int, int, int]]:
    """Return sequence number, payload type and size of each packet in the journal."""
    return [
        (int(row["sequence"]), int(row["payload_type"]), int(row["size"]))
        for record in read_call(capture.journal_dir, *call)
        for row in record.rows
    ]


def set_recording(capture: RunningCapture, uid: bytes, recording: bool, count: int) -> None:
    capture.handle.send(SetRecording(uid, recording))
    capture.wait_for(RecordingSet, count)


def test_of_a_telephone_event_only_its_place_in_the_sequence_is_kept(capture: RunningCapture) -> None:
    call = capture.open_track()
    source, _ = capture.add_stream(call[0], event_types=(EVENT,))
    source.send(5)
    press(source, "4711")
    source.send(5)
    closed = close(capture, call[0])
    assert closed.packets == 22
    found = rows(capture, call)
    assert [sequence for sequence, _, _ in found] == list(range(22))
    assert [size for _, _, size in found] == [160] * 5 + [0] * 12 + [160] * 5
    assert [kind for _, kind, _ in found] == [8] * 5 + [EVENT] * 12 + [8] * 5
    assert [payload for payload in capture.audio(*call) if payload] == source.sent
    assert pressed(capture) == []


def test_an_event_as_long_as_audio_is_not_taken_for_audio(capture: RunningCapture) -> None:
    """All of a plain slice goes straight to the journal, so a digit must not look like one."""
    call = capture.open_track()
    source, _ = capture.add_stream(call[0], event_types=(EVENT,))
    source.send(20)
    capture.wait(lambda: len(rows(capture, call)) == 20)
    source.send(3, second=EVENT)
    source.send(20, second=EVENT | 0x80)
    source.send(1)
    close(capture, call[0])
    kept = [payload for payload in capture.audio(*call) if payload]
    assert kept == [*source.sent[:20], source.sent[-1]]
    assert len(rows(capture, call)) == 44


def test_an_event_with_padding_an_extension_or_no_end_is_emptied_as_well(capture: RunningCapture) -> None:
    call = capture.open_track()
    source, _ = capture.add_stream(call[0], event_types=(EVENT,), watch_digits=True)
    extension = struct.pack("!HH", 0xBEDE, 1) + b"levl"
    source.socket.sendto(rtp(0, event("1") + PADDING, first=0xA0, second=EVENT), source.to)
    source.socket.sendto(rtp(3, extension + event("2"), first=0x90, second=EVENT), source.to)
    source.socket.sendto(rtp(6, event("3") + secrets.token_bytes(3000), second=EVENT), source.to)
    close(capture, call[0])
    assert rows(capture, call) == [(0, EVENT, 0), (3, EVENT, 0), (6, EVENT, 0)]
    assert keys(capture) == "123"


def test_the_same_payload_type_is_audio_where_the_answer_says_so(capture: RunningCapture) -> None:
    one, two = capture.open_track(), capture.open_track()
    events, _ = capture.add_stream(one[0], event_types=(EVENT,))
    audio, _ = capture.add_stream(two[0], event_types=(96,))
    for _ in range(10):
        events.send(1, size=20, second=EVENT)
        audio.send(1, size=20, second=EVENT)
    close(capture, one[0])
    close(capture, two[0], 2)
    assert capture.audio(*one) == [b""] * 10
    assert capture.audio(*two) == audio.sent


def test_every_recording_of_a_stream_is_spared_the_digits(capture: RunningCapture) -> None:
    calls = [capture.open_track() for _ in range(2)]
    source, _ = capture.add_stream(*(uid for uid, _ in calls), event_types=(EVENT,), watch_digits=True)
    source.send(2)
    press(source, "9")
    source.send(2)
    for number, call in enumerate(calls, start=1):
        close(capture, call[0], number)
        assert [size for _, _, size in rows(capture, call)] == [160, 160, 0, 0, 0, 160, 160]
    assert keys(capture) == "9"


def test_a_watched_digit_is_told_once_with_its_stream_and_time(capture: RunningCapture) -> None:
    call = capture.open_track()
    capture.add_stream(call[0], event_types=(EVENT,))
    source, _ = capture.add_stream(call[0], index=1, event_types=(EVENT,), watch_digits=True)
    before_ns = time.time_ns()
    press(source, "*48")
    source.send(3)
    press(source, "*49")
    capture.wait(lambda: len(pressed(capture)) == 6)
    close(capture, call[0])
    told = pressed(capture)
    assert keys(capture) == "*48*49"
    assert {item.stream_id for item in told} == {capture.stream_id}
    times = [item.at_ns for item in told]
    assert before_ns <= times[0]
    assert times == sorted(times)
    assert times[-1] <= time.time_ns()
    assert "*" not in repr(told)


def test_digits_are_told_before_a_start_in_a_pause_and_after_a_stop(capture: RunningCapture) -> None:
    call = capture.open_track(recording=False)
    source, _ = capture.add_stream(call[0], event_types=(EVENT,), watch_digits=True)
    source.send(3)
    press(source, "*44")
    capture.wait(lambda: keys(capture) == "*44")
    set_recording(capture, call[0], True, 1)
    source.send(3)
    kept = source.sent[-3:]
    set_recording(capture, call[0], False, 2)
    source.send(3)
    press(source, "12*49")
    capture.wait(lambda: keys(capture) == "*4412*49")
    close(capture, call[0])
    assert capture.audio(*call) == kept
    assert keys(capture) == "*4412*49"


def test_a_stream_without_recording_is_heard_when_it_is_watched(capture: RunningCapture) -> None:
    source, _ = capture.add_stream(event_types=(EVENT,), watch_digits=True)
    press(source, "*44")
    capture.wait(lambda: keys(capture) == "*44")


def test_nothing_is_heard_of_a_call_that_was_discarded(capture: RunningCapture) -> None:
    gone, marker = capture.open_track(), capture.open_track()
    source, _ = capture.add_stream(gone[0], event_types=(EVENT,), watch_digits=True)
    press(source, "1")
    capture.wait(lambda: keys(capture) == "1")
    capture.handle.send(Discard(gone[0]))
    set_recording(capture, marker[0], True, 1)
    press(source, "23")
    capture.wait(lambda: sum(a.packets for a in capture.said if isinstance(a, StreamActivity)) == 9)
    assert keys(capture) == "1"
    assert capture.audio(*gone) == [b""] * 3


def test_a_strangers_keys_are_not_heard(capture: RunningCapture) -> None:
    call = capture.open_track()
    source, _ = capture.add_stream(call[0], event_types=(EVENT,), watch_digits=True)
    stranger = capture.another_source(source.to)
    source.send(1)
    capture.wait(lambda: len(rows(capture, call)) == 1)
    press(stranger, "*48")
    press(source, "7")
    close(capture, call[0])
    assert keys(capture) == "7"


def test_a_flood_of_digits_is_told_in_part(capture: RunningCapture) -> None:
    call = capture.open_track()
    source, _ = capture.add_stream(call[0], event_types=(EVENT,), watch_digits=True)
    press(source, "#")
    capture.wait(lambda: keys(capture) == "#")
    os.kill(capture.handle.pid, signal.SIGSTOP)
    for number in range(DIGITS_WAITING_MAX + 5):
        source.socket.sendto(rtp(100 + 5 * number, event(KEYS[number % 10]), second=EVENT), source.to)
    os.kill(capture.handle.pid, signal.SIGCONT)
    closed = close(capture, call[0])
    assert closed.packets == 3 + DIGITS_WAITING_MAX + 5
    assert keys(capture) == "#" + (KEYS[:10] * 4)[:DIGITS_WAITING_MAX]
