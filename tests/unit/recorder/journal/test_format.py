"""Frames are found whole or not at all, by their chain, by the index, and by walking the file."""

from __future__ import annotations

import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

from recorder.journal.format import (
    BODY_BYTES_MAX,
    CHECK_BYTES,
    FILE_HEADER_BYTES,
    FRAME_HEAD_BYTES,
    FRAME_MAGIC,
    NO_UID,
    FrameKind,
    created_ns,
    file_header,
    follow,
    frame_head,
    index_body,
    read_head,
    scan,
    tails,
)

ONE, TWO = b"one".ljust(16), b"two".ljust(16)


def build(*, index: bool = False) -> tuple[bytes, dict[bytes, list[int]]]:
    """Return a file of six frames of two calls, and where the frames of each stand."""
    content = file_header(5)
    offsets: dict[bytes, list[int]] = {ONE: [], TWO: []}
    for number, uid in enumerate((ONE, TWO, ONE, ONE, TWO, ONE)):
        body = bytes([number]) * (CHECK_BYTES + number)
        previous = offsets[uid][-1] if offsets[uid] else 0
        offsets[uid].append(len(content))
        content += frame_head(FrameKind.AUDIO, uid, len(body), previous) + body
    if index:
        body = index_body({uid: found[-1] for uid, found in offsets.items()}, len(content))
        content += frame_head(FrameKind.INDEX, NO_UID, len(body), 0) + body
    return content, offsets


def mapped(path: Path, content: bytes) -> mmap:
    path.write_bytes(content)
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def test_a_file_says_when_it_was_begun_and_another_file_is_none_of_ours() -> None:
    assert created_ns(file_header(77)) == 77
    assert created_ns(b"something else here") is None
    assert created_ns(b"") is None


def test_a_call_is_followed_backwards_without_its_neighbours() -> None:
    content, offsets = build()
    chain = follow(content, offsets[ONE][-1], ONE)
    assert chain is not None
    assert [head.offset for head in chain] == offsets[ONE]
    assert [content[head.body][0] for head in chain] == [0, 2, 3, 5]


def test_a_chain_that_leads_to_another_call_or_nowhere_is_broken() -> None:
    content, offsets = build()
    assert follow(content, offsets[TWO][-1], ONE) is None
    assert follow(content, offsets[ONE][-1] + 1, ONE) is None
    assert follow(content, 0, ONE) == []


def test_every_cut_of_a_file_leaves_exactly_its_whole_frames(tmp_path: Path) -> None:
    content, offsets = build()
    ends = sorted(head.end for uid in (ONE, TWO) for head in (follow(content, offsets[uid][-1], uid) or []))
    for size in range(FILE_HEADER_BYTES + 1, len(content) + 1):
        with mapped(tmp_path / "cut", content[:size]) as torn:
            assert [head.end for head in scan(torn)] == [end for end in ends if end <= size]


def test_a_flipped_bit_in_a_header_costs_that_frame_only(tmp_path: Path) -> None:
    content, offsets = build()
    hurt = offsets[TWO][0]
    for position in range(hurt, hurt + FRAME_HEAD_BYTES):
        broken = bytearray(content)
        broken[position] ^= 4
        with mapped(tmp_path / "hurt", bytes(broken)) as found:
            assert [head.offset for head in scan(found)] == sorted([*offsets[ONE], offsets[TWO][1]])


def test_the_index_says_where_calls_end_as_walking_the_file_does(tmp_path: Path) -> None:
    content, offsets = build()
    indexed, _ = build(index=True)
    wanted = {uid: found[-1] for uid, found in offsets.items()}
    with mapped(tmp_path / "plain", content) as plain, mapped(tmp_path / "indexed", indexed) as other:
        assert tails(plain) == tails(other) == wanted


def test_an_index_that_was_altered_is_not_believed(tmp_path: Path) -> None:
    content, offsets = build(index=True)
    broken = bytearray(content)
    broken[-CHECK_BYTES - 9] ^= 1
    with mapped(tmp_path / "hurt", bytes(broken)) as found:
        assert tails(found) == {uid: item[-1] for uid, item in offsets.items()}


@pytest.mark.parametrize(("length", "whole"), [(BODY_BYTES_MAX, True), (BODY_BYTES_MAX + 1, False)])
def test_a_length_beyond_the_limit_is_not_believed(length: int, whole: bool) -> None:
    content = file_header(0) + frame_head(FrameKind.STATE, ONE, length, 0) + bytes(length)
    assert (read_head(content, FILE_HEADER_BYTES) is not None) == whole


def test_a_body_without_room_for_its_seal_is_no_frame() -> None:
    content = file_header(0) + frame_head(FrameKind.STATE, ONE, CHECK_BYTES - 1, 0) + bytes(64)
    assert read_head(content, FILE_HEADER_BYTES) is None


def test_the_head_of_a_frame_begins_with_magic_and_the_crc_of_the_rest() -> None:
    head = frame_head(FrameKind.AUDIO, ONE, 99, 7)
    assert head[:4] == FRAME_MAGIC
    assert int.from_bytes(head[4:8], "little") == zlib.crc32(head[8:])
    assert len(head) == FRAME_HEAD_BYTES
