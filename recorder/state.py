"""What must survive a crash of one recording session: the call as it is journalled.

A `CallState` is written to the journal, sealed under the key of the call, each time
signalling changes it; the newest one that opens is the truth after a restart. The
finaliser reads it too: it never asks the database what a call was.

Rules: plain frozen data that goes to JSON and back (`to_json`, `from_json`); no
I/O. One `CallState` is one recording: a call of two recorded users has two, with
the same `dialog` and `streams`, and keys of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

STATE_VERSION = 1


@dataclass(frozen=True)
class DialogState:
    """What RFC 3261 section 12 says a UAS keeps of a dialog, and how to reach its peer."""

    call_id: str
    local_tag: str
    remote_tag: str
    local_uri: str
    remote_uri: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int
    transport: str
    local_address: str
    remote_address: str
    remote_port: int
    session_expires_s: int | None
    answer_sdp: str
    offer_version: str


@dataclass(frozen=True)
class StreamState:
    """One m= line we answered: where it is received and what the peer may send there.

    `payload_types` maps the RTP payload type, as text, to `NAME/clock[/channels]` as
    in an rtpmap (RFC 8866 section 6.6). `channel` is `a` (caller), `b` (callee),
    `mixed`, or the label for more than two. `index` is the stream's number in the
    journal, given once and never reused within a call; `position` is the number of its
    m= line. `active` is false while the offer says inactive. `address` and `port` are ours.
    """

    index: int
    label: str
    channel: str
    address: str
    port: int
    payload_types: dict[str, str]
    ptime_ms: int = 20
    active: bool = True
    rtcp_mux: bool = False
    position: int = 0


@dataclass(frozen=True)
class PartyState:
    """Somebody metadata or headers named, with the moments of joining and leaving."""

    channel: str
    number: str
    name: str
    user_id: str | None
    from_ns: int
    to_ns: int | None = None


@dataclass(frozen=True)
class EdgeState:
    """A moment at which recording began, stopped, paused or was held, in order.

    `kind` is one of `start`, `stop`, `pause`, `resume`, `hold`, `unhold`, `keep`,
    `restart` (the recorder came back after a crash); `at_ns` is wall time in
    nanoseconds since 1970; `by` says who did it.
    """

    kind: str
    at_ns: int
    by: str | None = None


@dataclass(frozen=True)
class MetadataRevision:
    """One metadata body as it came, with our time; kept as evidence, whatever it says."""

    at_ns: int
    content_type: str
    body_base64: str
    error: str | None = None


@dataclass(frozen=True)
class CallState:
    """One recording of one recorded user, from its first INVITE on.

    `capture` is the state of its mode machine (`recorder.srs.recording_mode.Capture`).
    `cut_ns` is set from the moment an exempt party is known to have joined until the
    audio from there on is destroyed, so that a crash does not undo the cut.
    `keep_grace_h` is how long the call may still be kept after its end, by the tenant's
    policy at its beginning; `grace_until_ns` is set when that time runs. What it is measured by is
    `grace_over_s`, the monotonic time at which it is over within the start of the machine `grace_boot_id`
    names. `quarantined`: the exchange named a recorded user nobody here knows. `origin_ns` is the time by
    the call's clock at which the monotonic one of the machine's start `boot_id` was 0: by it is found out
    later how wrong that clock was.
    """

    recording_id: str
    session_id: str
    call_group: str
    tenant_id: str
    peer_id: str | None
    owner: str | None
    mode: str
    retention_class: str
    direction: str
    layout: str
    started_ns: int
    kept: bool
    dialog: DialogState
    streams: tuple[StreamState, ...]
    parties: tuple[PartyState, ...] = ()
    edges: tuple[EdgeState, ...] = ()
    metadata: tuple[MetadataRevision, ...] = ()
    flags: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    site: str | None = None
    ended_ns: int | None = None
    end_reason: str | None = None
    capture: str = "recording"
    cut_ns: int | None = None
    keep_grace_h: int = 0
    grace_until_ns: int | None = None
    grace_boot_id: str = ""
    grace_over_s: float = 0.0
    quarantined: bool = False
    exchange_ids: tuple[str, ...] = ()
    boot_id: str = ""
    origin_ns: int = 0

    def to_json(self) -> bytes:
        """Return the state as UTF-8 JSON with its version."""
        # `vars` instead of `asdict`: nothing is deeper than this, and an INVITE waits for it.
        document = {
            **vars(self),
            "version": STATE_VERSION,
            "dialog": vars(self.dialog),
            "streams": [vars(item) for item in self.streams],
            "parties": [vars(item) for item in self.parties],
            "edges": [vars(item) for item in self.edges],
            "metadata": [vars(item) for item in self.metadata],
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, document: bytes) -> CallState:
        """Read what `to_json` wrote; raises ValueError for another version or shape."""
        fields: dict[str, Any] = json.loads(document)
        if fields.pop("version", None) != STATE_VERSION:
            raise ValueError("This call state was written by another version of the recorder.")
        dialog = fields["dialog"]
        fields["dialog"] = DialogState(**{**dialog, "route_set": tuple(dialog["route_set"])})
        fields["streams"] = tuple(StreamState(**item) for item in fields["streams"])
        fields["parties"] = tuple(PartyState(**item) for item in fields["parties"])
        fields["edges"] = tuple(EdgeState(**item) for item in fields["edges"])
        fields["metadata"] = tuple(MetadataRevision(**item) for item in fields["metadata"])
        fields["flags"] = tuple(fields["flags"])
        fields["trace"] = tuple(fields["trace"])
        fields["exchange_ids"] = tuple(fields.get("exchange_ids", ()))
        return cls(**fields)
