"""The readable parts of many AUDIO frames at once, as numpy columns.

What stands before the sealed part of an AUDIO frame (its header and the head of its
body, 70 octets) is made here for all frames of a pass: octet for octet what
`Segment.frame` makes for one, but for a few nanoseconds each. A *template* holds what
stays the same while a segment lasts; only length, chain, counter, SSRC, timestamp and
number of packets are filled in.

The CRC of a message of fixed length is linear in its octets: it is the CRC of the
template changed by one table look-up for each octet that differs. So it costs no pass
over the header.

Rules: arithmetic only. Counters given out here begin at 2**63, those of
`Segment.frame` at 0, so that no nonce comes twice under a key.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from recorder.journal.format import FRAME_HEAD_BYTES, FRAME_MAGIC, FrameKind
from recorder.rtp.batch import PACKET_ROW, PLAIN_PAYLOAD_BYTES, Indices, Words

HEAD = np.dtype(
    [
        ("magic", "V4"),
        ("crc", "<u4"),
        ("length", "<u4"),
        ("kind", "<u2"),
        ("reserved", "<u2"),
        ("previous", "<u8"),
        ("uid", "V16"),
        ("segment_id", "V8"),
        ("stream", "<u4"),
        ("counter", "<u8"),
        ("ssrc", "<u4"),
        ("timestamp", "<u4"),
        ("packets", "<u2"),
    ]
)
HEAD_BYTES = HEAD.itemsize
NONCE = slice(48, 60)  # stream and counter
BOUND = slice(24, HEAD_BYTES)  # from uid on: the associated data
FIRST_COUNTER = 2**63
_TAG_BYTES = 16
_CHECKED = slice(8, FRAME_HEAD_BYTES)
_CHECKED_BYTES = 32
_BODY_HEAD_BYTES = HEAD_BYTES - FRAME_HEAD_BYTES
_PACKET_BYTES = PACKET_ROW.itemsize + PLAIN_PAYLOAD_BYTES
# Octets of the checked part that differ from the template's zeros: three of the length (a frame is
# below 16 MB) and four of the previous offset (a file is below 4 GB).
_LENGTH_OCTETS, _PREVIOUS_OCTETS = 3, 4
_PREVIOUS_AT = 8

Heads = npt.NDArray[np.void]


def _tables() -> npt.NDArray[np.uint32]:
    """Return, for each octet that may differ, how its value changes the CRC; shape (octets, 256)."""
    none = zlib.crc32(bytes(_CHECKED_BYTES))
    places = (*range(_LENGTH_OCTETS), *range(_PREVIOUS_AT, _PREVIOUS_AT + _PREVIOUS_OCTETS))
    found = np.zeros((len(places), 256), np.uint32)
    for row, place in enumerate(places):
        for value in range(256):
            message = bytes(place) + bytes([value]) + bytes(_CHECKED_BYTES - place - 1)
            found[row, value] = zlib.crc32(message) ^ none
    return found


_TABLES = _tables()


def template(uid: bytes, segment_id: bytes, stream: int) -> Heads:
    """Return a template of shape (): its CRC is that of a header of no length and no predecessor."""
    made: Heads = np.zeros((), HEAD)
    made["magic"] = np.void(FRAME_MAGIC)
    made["kind"] = FrameKind.AUDIO
    made["uid"] = np.void(uid)
    made["segment_id"] = np.void(segment_id)
    made["stream"] = stream
    made["crc"] = zlib.crc32(made.tobytes()[_CHECKED])
    return made


def chain(places: Indices, offsets: Indices, last: Indices) -> Indices:
    """Return the frame before each in the same call, and note in `last`, by place, the newest of each.

    `places` and `offsets` say, for frames in order, which call they are of and where they begin.
    """
    order = np.argsort(places, kind="stable")
    sorted_places, sorted_offsets = places[order], offsets[order]
    before = last[sorted_places]
    same = sorted_places[1:] == sorted_places[:-1]
    before[1:][same] = sorted_offsets[:-1][same]
    # Of several writes to one place numpy keeps the last, which is the newest here.
    last[sorted_places] = sorted_offsets
    previous = np.empty_like(before)
    previous[order] = before
    return previous


def frame_bytes(packets: Indices) -> Indices:
    """Return how long frames of so many plain packets are."""
    return packets * _PACKET_BYTES + (HEAD_BYTES + _TAG_BYTES)


def fill(heads: Heads, packets: Indices, ssrc: Words, timestamp: Words) -> None:
    """Fill in what the packets say; `heads` is a copy of the templates, one per frame."""
    heads["length"] = packets * _PACKET_BYTES + (_BODY_HEAD_BYTES + _TAG_BYTES)
    heads["packets"] = packets
    heads["ssrc"] = ssrc
    heads["timestamp"] = timestamp


def link(heads: Heads, previous: Indices, counter: int) -> None:
    """Fill in chain and counters, the first being `counter`, and complete the CRC."""
    heads["previous"] = previous
    heads["counter"] = np.arange(len(heads), dtype=np.uint64) + np.uint64(counter)
    crc = heads["crc"]
    length, before = heads["length"], previous.astype(np.uint32)
    for place in range(_LENGTH_OCTETS):
        crc ^= _TABLES[place][length >> (8 * place) & 0xFF]
    for place in range(_PREVIOUS_OCTETS):
        crc ^= _TABLES[_LENGTH_OCTETS + place][before >> (8 * place) & 0xFF]
