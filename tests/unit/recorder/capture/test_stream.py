"""A capture process takes as many streams as it has rows, and uses a row again."""

from __future__ import annotations

import socket

import pytest

from recorder.capture.messages import AddStream, OpenTrack
from recorder.capture.stream import STREAM_COUNT_MAX, Stream, StreamTable, TooManyStreams
from recorder.capture.track import Track
from tests.unit.recorder.capture.running_capture import media_socket


def add(
    table: StreamTable, number: int, *tracks: Track, events: tuple[int, ...] = (), watch: bool = False
) -> tuple[Stream, list[socket.socket]]:
    sockets = [media_socket(), media_socket()]
    uids = tuple(track.uid for track in tracks)
    command = AddStream(number, 0, uids, ("127.0.0.0/8",), 8000, (8,), events, watch)
    return table.add(command, sockets[0], sockets[1], list(tracks)), sockets


def track(uid: bytes, started_ns: int = 5) -> Track:
    return Track.of(OpenTrack(uid * 16, bytes(32), started_ns, True))


def test_the_table_ends_at_its_limit_and_closes_what_it_cannot_take() -> None:
    assert len(StreamTable().by_row) == STREAM_COUNT_MAX
    table = StreamTable(2)
    streams = [add(table, number)[0] for number in range(2)]
    sockets = [media_socket(), media_socket()]
    with pytest.raises(TooManyStreams):
        table.add(AddStream(9, 0, (), (), 8000, ()), sockets[0], sockets[1], [])
    assert all(one.fileno() == -1 for one in sockets)
    table.remove(streams[0])
    again, _ = add(table, 3)
    assert again.row == streams[0].row
    for stream in (streams[1], again):
        table.remove(stream)
    assert len(table) == 0


def test_a_stream_goes_on_for_the_track_that_is_left() -> None:
    table = StreamTable(2)
    one, two = track(b"1", 5), track(b"2", 7)
    stream, _ = add(table, 0, one, two)
    assert table.origin_ns[stream.row] == 5
    assert table.of(one) == table.of(two) == [stream]
    table.detach(one)
    assert table.origin_ns[stream.row] == 7
    assert table.of(one) == []
    assert stream.tracks == [two]
    table.remove(stream)


def test_sockets_and_rows_stand_in_the_same_order() -> None:
    table = StreamTable(3)
    made = [add(table, number) for number in range(3)]
    table.remove(made[0][0])
    assert table.rows.tolist() == [stream.row for stream, _ in made[1:]]
    assert table.descriptors == [sockets[0].fileno() for _, sockets in made[1:]]
    assert table.control_descriptors == [sockets[1].fileno() for _, sockets in made[1:]]
    for stream, _ in made[1:]:
        table.remove(stream)


def test_a_payload_type_is_expected_when_it_was_answered_or_none_was() -> None:
    table = StreamTable(1)
    stream, _ = add(table, 0)
    assert stream.expects(8)
    assert not stream.expects(9)
    stream.payload_types = frozenset()
    assert stream.expects(9)
    table.remove(stream)


def test_a_pass_looks_for_the_events_of_all_streams_and_each_stream_has_its_own() -> None:
    table = StreamTable(3)
    assert not any(table.event_octets)
    first, second, third = (
        add(table, number, events=events)[0] for number, events in enumerate([(101,), (101, 96), ()])
    )
    assert [octet for octet in range(256) if table.event_octets[octet]] == [96, 101, 128 + 96, 128 + 101]
    assert [sorted(table.event_types[s.row].nonzero()[0]) for s in (first, second, third)] == [
        [101],
        [96, 101],
        [],
    ]
    table.remove(second)
    assert [octet for octet in range(256) if table.event_octets[octet]] == [101, 128 + 101]
    table.remove(first)
    assert not any(table.event_octets)
    assert not table.event_types.any()
    table.remove(third)


def test_digits_are_watched_until_the_last_recording_is_forgotten() -> None:
    """What somebody types into a call that became exempt is nobody's business."""
    table = StreamTable(3)
    one, two = track(b"1"), track(b"2")
    stream, _ = add(table, 0, one, two, watch=True)
    unrecorded, _ = add(table, 1, watch=True)
    pressed = bytes((1, 10, 0, 160))
    assert stream.digit(5, 0, True, pressed) == unrecorded.digit(5, 0, True, pressed) == "1"
    table.detach(one)
    assert stream.digit(5, 800, True, pressed) == "1"
    table.detach(two)
    assert stream.digit(5, 1600, True, pressed) is None
    for each in (stream, unrecorded):
        table.remove(each)


def test_a_stream_whose_recordings_were_forgotten_before_it_came_is_not_watched() -> None:
    table = StreamTable(1)
    command = AddStream(1, 0, (b"x" * 16,), (), 8000, (), (101,), True)
    stream = table.add(command, media_socket(), media_socket(), [])
    assert stream.digit(5, 0, True, bytes((1, 10, 0, 160))) is None
    table.remove(stream)


def test_a_stream_that_is_not_watched_hears_no_digit() -> None:
    table = StreamTable(1)
    stream, _ = add(table, 0, track(b"1"), events=(101,))
    assert stream.digit(5, 0, True, bytes((1, 10, 0, 160))) is None
    table.remove(stream)


def test_another_ssrc_has_timestamps_of_its_own() -> None:
    table = StreamTable(1)
    stream, _ = add(table, 0, track(b"1"), watch=True)
    pressed = bytes((1, 10, 0, 160))
    assert stream.digit(5, 8000, True, pressed) == "1"
    assert stream.digit(6, 7000, True, pressed) == "1"
    assert stream.digit(6, 7000, True, pressed) is None
    table.remove(stream)
