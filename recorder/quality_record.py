"""The documents kept beside the audio: the timeline with its quality record, and the metadata as it came.

The timeline says why each stretch of each channel sounds as it does, what each stream
lost, and where the codec changed. The metadata document is evidence: every rs-metadata
body as received, each hashed together with the hash before it, so that none can be
changed, dropped or added without the last hash changing.

Rules: pure; JSON with camelCase names, the same octets for the same call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from archive.model import PacketCounts, Recording, Span
from recorder.rtp.g711 import Law
from recorder.state import CallState, MetadataRevision

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHAIN_BEGIN = "0" * 64
"""Stands as the hash before the first revision."""


@dataclass(frozen=True)
class StreamQuality:
    """What one SSRC of one stream sent; `codecs` counts packets by encoding name."""

    stream: int
    label: str
    channel: str
    ssrc: int
    packets: PacketCounts
    codecs: Mapping[str, int]


@dataclass(frozen=True)
class CodecSegment:
    """The samples of a channel that came by one companding law: its octets can be got back."""

    channel: str
    law: Law
    from_sample: int
    to_sample: int


def moment(at_ns: int) -> datetime:
    """Return nanoseconds since 1970 as an aware time in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def rfc3339(at: datetime) -> str:
    """Return a time in UTC as RFC 3339 has it."""
    return at.isoformat().replace("+00:00", "Z")


def span_json(span: Span) -> dict[str, str | int | None]:
    """Return a span as the API shows it."""
    return {
        "kind": span.kind.value,
        "channel": span.channel,
        "fromMs": span.from_ms,
        "toMs": span.to_ms,
        "by": span.by,
    }


def timeline_document(
    recording: Recording,
    edges: Iterable[tuple[str, int, int, str | None]],
    streams: Sequence[StreamQuality],
    segments: Sequence[CodecSegment],
) -> bytes:
    """Return the JSON of `GET .../timeline`; `edges` are `(kind, at_ms, at_ns, by)`."""
    content = {
        "version": 1,
        "recordingId": recording.id,
        "startedAt": rfc3339(recording.started_at),
        "endedAt": rfc3339(recording.ended_at),
        "durationMs": recording.duration_ms,
        "recordedMs": recording.recorded_ms,
        "layout": recording.layout.value,
        "channels": list(recording.channels),
        "sampleRateHz": recording.sample_rate_hz,
        "spans": [span_json(span) for span in recording.spans],
        "edges": [
            {"kind": kind, "atMs": at_ms, "at": rfc3339(moment(at_ns)), "by": by}
            for kind, at_ms, at_ns, by in edges
        ],
        "packets": asdict(recording.packets),
        "streams": [
            {
                "stream": stream.stream,
                "label": stream.label,
                "channel": stream.channel,
                "ssrc": f"{stream.ssrc:08x}",
                "packets": asdict(stream.packets),
                "codecs": dict(stream.codecs),
            }
            for stream in streams
        ],
        "codecs": [
            {
                "channel": segment.channel,
                "codec": segment.law.value,
                "fromSample": segment.from_sample,
                "toSample": segment.to_sample,
            }
            for segment in segments
        ],
        "flags": list(recording.flags),
    }
    return _encode(content)


def metadata_document(state: CallState) -> bytes:
    """Return the JSON of `GET .../metadata`: every revision, chained by SHA-256."""
    revisions, head = [], CHAIN_BEGIN
    for revision in state.metadata:
        fields = _revision(revision)
        # The hash covers the canonical JSON of the revision (sorted names, no spaces), after the hash before.
        head = hashlib.sha256(head.encode() + _canonical(fields)).hexdigest()
        revisions.append({**fields, "hash": head})
    content = {
        "version": 1,
        "recordingId": state.recording_id,
        "callId": state.dialog.call_id,
        "revisions": revisions,
        "head": head,
    }
    return _encode(content)


def chain_holds(document: bytes) -> bool:
    """Say whether every revision of a metadata document still has the hash it was written with."""
    content = json.loads(document)
    head = CHAIN_BEGIN
    for revision in content["revisions"]:
        fields = {name: value for name, value in revision.items() if name != "hash"}
        head = hashlib.sha256(head.encode() + _canonical(fields)).hexdigest()
        if head != revision["hash"]:
            return False
    return bool(head == content["head"])


def _revision(revision: MetadataRevision) -> dict[str, str | None]:
    return {
        "at": rfc3339(moment(revision.at_ns)),
        "contentType": revision.content_type,
        "bodyBase64": revision.body_base64,
        "error": revision.error,
    }


def _canonical(content: Mapping[str, str | None]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _encode(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
