"""Heads made for a whole pass are, octet for octet, the heads made one by one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.journal import heads as layout
from recorder.journal.format import FRAME_HEAD_BYTES, FrameKind, frame_head
from recorder.journal.heads import BOUND, FIRST_COUNTER, HEAD, HEAD_BYTES, NONCE, chain, frame_bytes
from recorder.journal.segment import Segment, audio_head
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import PACKET_ROW
from tests.unit.recorder.journal.written_call import Call, audio

frames = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 64), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(frames, st.integers(16, 2**32 - 2**20))
def test_every_head_is_what_one_by_one_gives(items: list[tuple[int, int, int, int]], position: int) -> None:
    uids = [bytes([number]) * 16 for number in range(5)]
    made = np.stack([layout.template(uids[place], b"segment!", place) for place, *_ in items])
    packets = np.array([item[1] for item in items])
    ssrcs = np.array([item[2] for item in items], np.uint32)
    stamps = np.array([item[3] for item in items], np.uint32)
    layout.fill(made, packets, ssrcs, stamps)
    sizes = frame_bytes(packets)
    offsets = position + np.cumsum(sizes) - sizes
    last = np.zeros(5, np.int64)
    layout.link(made, chain(np.array([item[0] for item in items]), offsets, last), FIRST_COUNTER)
    octets = made.tobytes()
    newest: dict[int, int] = {}
    for number, (place, count, ssrc, stamp) in enumerate(items):
        one = octets[number * HEAD_BYTES : (number + 1) * HEAD_BYTES]
        body = int(sizes[number]) - FRAME_HEAD_BYTES
        assert one[:FRAME_HEAD_BYTES] == frame_head(FrameKind.AUDIO, uids[place], body, newest.get(place, 0))
        head = audio_head(one[FRAME_HEAD_BYTES:] + bytes(16))
        assert head == (b"segment!", place, FIRST_COUNTER + number, ssrc, stamp, count)
        newest[place] = int(offsets[number])
    assert {place: int(last[place]) for place in newest} == newest


def test_nonce_and_associated_data_are_where_the_reader_takes_them_from() -> None:
    one = layout.template(b"u" * 16, b"segment!", 7).tobytes()
    assert HEAD.itemsize == HEAD_BYTES == 70
    assert one[BOUND] == b"u" * 16 + one[FRAME_HEAD_BYTES:]
    assert one[NONCE] == one[FRAME_HEAD_BYTES + 8 : FRAME_HEAD_BYTES + 20]


def test_frames_of_both_ways_stand_in_one_chain(journal_dir: Path, writer: JournalWriter, call: Call) -> None:
    call.frame()
    segment = call.segment
    assert isinstance(segment, Segment)
    packets = np.array([3, 2])
    rows = np.zeros(5, PACKET_ROW)
    rows["size"] = 160
    payload = os.urandom(5 * 160)
    made = np.stack([layout.template(call.uid, segment.segment_id, index) for index in (0, 1)])
    layout.fill(made, packets, np.array([1, 2], np.uint32), np.array([0, 0], np.uint32))
    octets = writer.link(made, np.array([writer.place(call.uid)] * 2), packets)
    first, second = octets[:HEAD_BYTES], octets[HEAD_BYTES:]
    contents = (rows[:3].tobytes() + payload[:480], rows[3:].tobytes() + payload[480:])
    parts = [
        part
        for head, content in zip((first, second), contents, strict=True)
        for part in (head, segment.encrypt(head[NONCE], content, head[BOUND]))
    ]
    writer.extend(parts)
    call.sent += [payload[start : start + 160] for start in range(0, 800, 160)]
    call.frame()
    assert audio(journal_dir, call) == call.sent
    assert audio(journal_dir, call, writer.tails(call.uid)) == call.sent
