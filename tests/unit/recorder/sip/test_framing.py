"""Messages out of a stream, however it is cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.sip.framing import (
    BODY_SKIPPED_SIZE_BYTES_MAX,
    MESSAGE_INCOMPLETE_S_MAX,
    PING,
    STREAM_IDLE_S_MAX,
    StreamFramer,
    Streams,
)
from recorder.sip.grammar import BODY_SIZE_BYTES_MAX, HEADERS_SIZE_BYTES_MAX
from recorder.sip.message import Request
from recorder.sip.parser import parse

HEAD = b"INVITE sip:a SIP/2.0\r\nVia: x\r\n"
MESSAGE = HEAD + b"Content-Length: 5\r\n\r\nhello"
BARE = b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\n"


def feed(framer: StreamFramer, *segments: bytes) -> list[bytes]:
    return [frame.data for segment in segments for frame in framer.feed(segment, 0.0)]


def octets(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def test_a_message_in_segments_of_one_octet_is_one_message() -> None:
    framer = StreamFramer()
    assert feed(framer, *octets(MESSAGE)) == [MESSAGE]
    assert not framer.broken


def test_two_messages_in_one_segment_are_two() -> None:
    assert feed(StreamFramer(), MESSAGE + BARE + MESSAGE[:9], MESSAGE[9:]) == [MESSAGE, BARE, MESSAGE]


def test_a_double_line_break_between_messages_is_a_ping_and_others_are_passed_over() -> None:
    stream = PING + MESSAGE + b"\r\n" + PING + MESSAGE
    assert feed(StreamFramer(), stream) == [PING, MESSAGE, PING, MESSAGE]
    assert feed(StreamFramer(), *octets(PING)) == [PING]
    assert feed(StreamFramer(), b"\r\n" + MESSAGE) == [MESSAGE]
    assert feed(StreamFramer(), b"\n\n" + MESSAGE) == [MESSAGE]


def test_bare_line_feeds_end_the_header_fields_too() -> None:
    data = b"BYE sip:a SIP/2.0\nl:2\n\nhi"
    assert feed(StreamFramer(), *octets(data)) == [data]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([MESSAGE, BARE, PING]), max_size=6), st.randoms(use_true_random=False))
def test_the_messages_never_depend_on_how_the_stream_is_cut(
    messages: list[bytes], choose: random.Random
) -> None:
    stream = b"".join(messages)
    segments = []
    while stream:
        size = choose.randint(1, 40)
        segments.append(stream[:size])
        stream = stream[size:]
    assert feed(StreamFramer(), *segments) == messages


def test_body_size_bytes_max_is_kept_and_the_rest_skipped() -> None:
    framer = StreamFramer()
    for surplus in (0, 1, 100_000):
        body = b"x" * (BODY_SIZE_BYTES_MAX + surplus)
        data = HEAD + b"l: %d\r\n\r\n" % len(body) + body
        message, after = feed(framer, data[:70_000], data[70_000:] + BARE)
        assert len(message) == len(data) - surplus
        assert after == BARE
        request = parse(message)
        assert isinstance(request, Request)
        assert (413 in [defect.status for defect in request.defects]) is bool(surplus)
    assert not framer.broken


@pytest.mark.parametrize(("more", "broken"), [(0, False), (1, True)])
def test_body_skipped_size_bytes_max_is_the_most_that_is_read_and_dropped(more: int, broken: bool) -> None:
    framer = StreamFramer()
    length = BODY_SIZE_BYTES_MAX + BODY_SKIPPED_SIZE_BYTES_MAX + more
    frames = feed(framer, HEAD + b"l: %d\r\n\r\n" % length, b"x" * BODY_SIZE_BYTES_MAX)
    assert len(frames) == 1
    assert framer.broken is broken


def test_headers_size_bytes_max_is_read_and_a_flood_above_it_is_the_end() -> None:
    fill = HEADERS_SIZE_BYTES_MAX - len(HEAD) - len(b"X: \r\n\r\n")
    at = HEAD + b"X: " + b"y" * fill + b"\r\n\r\n"
    framer = StreamFramer()
    assert feed(framer, at[:1000], at[1000:]) == [at]
    assert not framer.broken
    flood = HEAD + b"X: yyyyyyyy\r\n" * 10_000
    (frame,) = feed(framer, flood)
    assert framer.broken
    request = parse(frame)
    assert isinstance(request, Request)
    assert request.defects[0].status == 513


@pytest.mark.parametrize("field", [b"l: -1", b"l: x", b"l: 5\r\nContent-Length: 5", b"c: application/sdp"])
def test_a_stream_without_one_good_content_length_is_broken_but_the_request_is_read(field: bytes) -> None:
    framer = StreamFramer()
    (frame,) = framer.feed(HEAD + field + b"\r\n\r\nhello", 0.0)
    assert framer.broken
    assert frame.defects[0].status == 400
    assert framer.feed(MESSAGE, 0.0) == []


def test_a_connection_is_given_up_when_idle_or_when_a_message_stays_incomplete() -> None:
    framer = StreamFramer()
    framer.feed(MESSAGE, 10.0)
    assert framer.deadline == 10.0 + STREAM_IDLE_S_MAX
    framer.feed(b"\r\n", 11.0)
    assert framer.deadline == 11.0 + STREAM_IDLE_S_MAX
    framer.feed(MESSAGE[:20], 20.0)
    framer.feed(MESSAGE[20:30], 30.0)
    assert framer.deadline == 20.0 + MESSAGE_INCOMPLETE_S_MAX
    framer.feed(MESSAGE[30:], 31.0)
    assert framer.deadline == 31.0 + STREAM_IDLE_S_MAX


def test_streams_close_what_is_late_once_and_read_nothing_more_of_it() -> None:
    streams = Streams()
    streams.receive(MESSAGE[:20], 1, 0.0)
    streams.receive(MESSAGE, 2, 0.0)
    assert streams.get_timer() == MESSAGE_INCOMPLETE_S_MAX
    streams.handle_timer(MESSAGE_INCOMPLETE_S_MAX)
    assert (streams.is_open(1), streams.is_open(2)) == (False, True)
    assert streams.receive(MESSAGE, 1, 33.0) == []
    assert streams.take_to_close() == [1]
    assert streams.take_to_close() == []
    streams.lost(2)
    assert streams.get_timer() is None


def test_the_work_per_octet_does_not_grow_with_the_message() -> None:
    """Each segment is scanned from where the last one ended, so a slow megabyte costs what a fast one does."""
    framer = StreamFramer()
    framer.feed(HEAD, 0.0)
    for _ in range(60_000):
        framer.feed(b"y", 0.0)
    assert framer._scanned > 60_000
