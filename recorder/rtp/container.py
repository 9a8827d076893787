"""The container `audio/x-earwitness-rtp`: packets of a codec nothing here decodes, as they came.

    octets 0 to 7     EWRTP001
    4 octets          length of the header, big-endian
    header            JSON: {"version", "recordingId", "startedAt", "rowBytes", "row": [[name, type], ...],
                      "tracks": [{"stream", "label", "channel", "ssrc", "packets", "payloadBytes",
                      "payloadTypes": {"18": "G729/8000"}}, ...]}
    for each track    its rows, then its payloads

A row is one RTP packet in the order of arrival, little-endian: sequence number, length of
the payload, timestamp, arrival (units of 100 µs since `startedAt`), payload type, flags
(bit 0 is the marker). The payloads follow in the same order without anything between.

Rules: pure. Not here: what the codecs mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.sequence import Track

MEDIA_TYPE = "audio/x-earwitness-rtp"
MAGIC = b"EWRTP001"


@dataclass(frozen=True)
class RawTrack:
    """A track with what signalling knows of its stream."""

    track: Track
    label: str
    channel: str
    payload_types: Mapping[str, str]


def write(recording_id: str, started_at: str, tracks: Sequence[RawTrack]) -> bytes:
    """Return the container of these tracks; `started_at` is RFC 3339."""
    described = [
        {
            "stream": raw.track.stream_index,
            "label": raw.label,
            "channel": raw.channel,
            "ssrc": f"{raw.track.ssrc:08x}",
            "packets": len(raw.track.rows),
            "payloadBytes": len(raw.track.payload),
            "payloadTypes": dict(raw.payload_types),
        }
        for raw in tracks
    ]
    header = json.dumps(
        {
            "version": 1,
            "recordingId": recording_id,
            "startedAt": started_at,
            "rowBytes": PACKET_ROW.itemsize,
            "row": [[name, PACKET_ROW[name].str] for name in PACKET_ROW.names or ()],
            "tracks": described,
        },
        separators=(",", ":"),
    ).encode()
    parts = [MAGIC, len(header).to_bytes(4, "big"), header]
    for raw in tracks:
        parts += [raw.track.rows.tobytes(), raw.track.payload.tobytes()]
    return b"".join(parts)
