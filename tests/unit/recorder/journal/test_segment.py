"""What is sealed opens under its own key, in its own place, and nowhere else."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.journal.segment import (
    SealError,
    Segment,
    SegmentKey,
    audio_head,
    open_audio,
    open_state,
    seal_state,
    unwrap_segment_key,
    wrap_segment_key,
)
from recorder.rtp.batch import PACKET_ROW

UID, OTHER = b"one call's uid..", b"another call's.."
KEY = bytes(32)
ROWS = np.array([(1, 5, 160, 2, 8, 0), (2, 0, 320, 3, 13, 1)], PACKET_ROW)
CONTENT = ROWS.tobytes() + b"audio"
FACTS = (3, 0xCAFE, 160, 2)


def cipher_of(segment: Segment) -> AESGCM:
    found = unwrap_segment_key(AESGCM(KEY), UID, segment.key_body)
    assert found is not None
    return AESGCM(found.key)


def test_audio_comes_back_as_rows_and_payload() -> None:
    segment = Segment(UID, KEY, 5)
    body = b"".join(segment.seal(FACTS, CONTENT))
    head = audio_head(body)
    record = open_audio(cipher_of(segment), UID, body, head)
    assert (head.stream_index, head.ssrc, head.timestamp, head.packets) == FACTS
    assert (record.stream_index, record.ssrc, record.payload) == (3, 0xCAFE, b"audio")
    assert record.rows.tolist() == ROWS.tolist()


def test_no_nonce_comes_twice() -> None:
    segment = Segment(UID, KEY, 5)
    assert len({segment.seal(FACTS, CONTENT)[0][8:20] for _ in range(20)}) == 20


def test_audio_does_not_open_in_another_call_or_with_any_bit_changed() -> None:
    segment = Segment(UID, KEY, 5)
    body = b"".join(segment.seal(FACTS, CONTENT))
    cipher = cipher_of(segment)
    with pytest.raises(SealError):
        open_audio(cipher, OTHER, body, audio_head(body))
    for position in range(len(body)):
        altered = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
        with pytest.raises(SealError):
            open_audio(cipher, UID, altered, audio_head(altered))


def test_a_body_too_short_to_be_audio_is_broken() -> None:
    with pytest.raises(SealError):
        audio_head(bytes(20))


def test_a_segment_key_opens_under_its_call_key_alone() -> None:
    segment = SegmentKey(os.urandom(8), os.urandom(32), 123)
    body = wrap_segment_key(KEY, UID, segment)
    assert unwrap_segment_key(AESGCM(KEY), UID, body) == segment
    assert unwrap_segment_key(AESGCM(bytes(31) + b"\1"), UID, body) is None
    assert unwrap_segment_key(AESGCM(KEY), OTHER, body) is None
    assert segment.key not in body


def test_a_state_opens_under_its_call_key_alone() -> None:
    body = seal_state(KEY, UID, b'{"state": 1}')
    assert open_state(AESGCM(KEY), UID, body) == b'{"state": 1}'
    assert open_state(AESGCM(bytes(31) + b"\1"), UID, body) is None
    assert open_state(AESGCM(KEY), OTHER, body) is None
    assert b"state" not in body
