"""What is sealed under which key: segments of audio, and states of a call.

A call key (in the slots file) seals the call's states and wraps its segment keys.
A segment is at most five seconds of one call under a random key of its own, so that
a late exempt call can be cut: what may not exist loses its key.

    SEGMENT_KEY   segment id (8), nonce (12), AES-256-GCM under the call key of
                  segment key (32) and started_ns (8); associated data "segment", uid, id
    AUDIO         segment id (8), stream (4), counter (8), SSRC (4), first timestamp (4),
                  packets (2), then AES-256-GCM under the segment key of the rows and
                  payloads; nonce = stream and counter, associated data = uid and all before
    STATE         nonce (12), AES-256-GCM under the call key; associated data "state", uid

Rules: a counter is never used twice under a key, as a segment lives in one object of
one process. No files, no clock. Numbers are little endian.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.journal.format import JournalError
from recorder.rtp.batch import PACKET_ROW, Rows

KEY_BYTES = 32
SEGMENT_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_AUDIO = struct.Struct("<8sIQIIH")
_NONCE = slice(SEGMENT_ID_BYTES, SEGMENT_ID_BYTES + _NONCE_BYTES)
_SEGMENT_SECRET = struct.Struct("<32sQ")


class SealError(JournalError):
    """A body does not open under the key it should open with: it was altered, torn, or belongs elsewhere."""


AudioFacts = tuple[int, int, int, int]  # stream index, SSRC, first timestamp and number of packets


class AudioHead(NamedTuple):
    """The readable part of an AUDIO body."""

    segment_id: bytes
    stream_index: int
    counter: int
    ssrc: int
    timestamp: int
    packets: int


@dataclass(frozen=True, slots=True)
class AudioRecord:
    """The packets of one stream and SSRC of one tick, as they came.

    `rows` has dtype PACKET_ROW; `payload` is their payloads one after the other, as
    long as the column `size` says.
    """

    stream_index: int
    ssrc: int
    rows: Rows
    payload: bytes


@dataclass(frozen=True, slots=True)
class SegmentKey:
    """A segment key as the reader holds it; `started_ns` is what arrival counts from."""

    segment_id: bytes
    key: bytes
    started_ns: int


class Segment:
    """A segment being written: seals audio and never repeats a nonce.

    `encrypt` is for `recorder.journal.heads`, whose counters are others than those here.
    """

    __slots__ = ("_counter", "encrypt", "key_body", "segment_id", "uid")

    def __init__(self, uid: bytes, call_key: bytes, started_ns: int) -> None:
        key = os.urandom(KEY_BYTES)
        self.uid = uid
        self.segment_id = os.urandom(SEGMENT_ID_BYTES)
        self.key_body = wrap_segment_key(call_key, uid, SegmentKey(self.segment_id, key, started_ns))
        self.encrypt = AESGCM(key).encrypt
        self._counter = 0

    def seal(self, facts: AudioFacts, content: bytes) -> tuple[bytes, bytes]:
        """Return the readable and the sealed part of an AUDIO body.

        `content` is the rows of the packets followed by their payloads.
        """
        stream, ssrc, timestamp, packets = facts
        counter = self._counter
        self._counter = counter + 1
        head = _AUDIO.pack(self.segment_id, stream, counter, ssrc, timestamp, packets)
        return head, self.encrypt(head[_NONCE], content, self.uid + head)


def wrap_segment_key(call_key: bytes, uid: bytes, segment: SegmentKey) -> bytes:
    """Return a SEGMENT_KEY body."""
    nonce = os.urandom(_NONCE_BYTES)
    secret = _SEGMENT_SECRET.pack(segment.key, segment.started_ns)
    bound = b"segment" + uid + segment.segment_id
    return segment.segment_id + nonce + AESGCM(call_key).encrypt(nonce, secret, bound)


def unwrap_segment_key(cipher: AESGCM, uid: bytes, body: bytes) -> SegmentKey | None:
    """Open a SEGMENT_KEY body with the call key's `cipher`; None when it is wrapped under another key.

    Another key is no damage: a cut leaves the segments it dropped behind like that.
    """
    segment_id, nonce = body[:SEGMENT_ID_BYTES], body[_NONCE]
    try:
        secret = cipher.decrypt(nonce, body[_NONCE.stop :], b"segment" + uid + segment_id)
    except InvalidTag:
        return None
    key, started_ns = _SEGMENT_SECRET.unpack(secret)
    return SegmentKey(segment_id, key, started_ns)


def audio_head(body: bytes) -> AudioHead:
    """Read what stands before the sealed part; raises SealError when there is too little."""
    if len(body) < _AUDIO.size + _TAG_BYTES:
        raise SealError("An audio frame of the journal is too short to be one.")
    return AudioHead._make(_AUDIO.unpack_from(body))


def open_audio(cipher: AESGCM, uid: bytes, body: bytes, head: AudioHead) -> AudioRecord:
    """Open an AUDIO body with its segment's `cipher`; raises SealError."""
    try:
        content = cipher.decrypt(body[_NONCE], body[_AUDIO.size :], uid + body[: _AUDIO.size])
    except InvalidTag as error:
        raise SealError("An audio frame of the journal does not open: the disk altered it.") from error
    split = head.packets * PACKET_ROW.itemsize
    rows: Rows = np.frombuffer(content, PACKET_ROW, head.packets)
    return AudioRecord(head.stream_index, head.ssrc, rows, content[split:])


def seal_state(call_key: bytes, uid: bytes, blob: bytes) -> bytes:
    """Return a STATE body."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(call_key).encrypt(nonce, blob, b"state" + uid)


def open_state(cipher: AESGCM, uid: bytes, body: bytes) -> bytes | None:
    """Open a STATE body with the call key's `cipher`; None when another key sealed it, or it is damaged."""
    try:
        return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], b"state" + uid)
    except InvalidTag:
        return None
