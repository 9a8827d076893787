"""What a recording is: the words every package shares, as frozen types.

Rules: standard library only, no I/O, no clock, no SQL. Times are aware
`datetime` in UTC; durations are whole milliseconds from the start of the
recording (`_ms`). Ids are strings made by `new_id` (UUID version 7, so that they
sort by time); nothing a peer sends ever becomes an id.

Not here: how a recording is stored (`archive.catalogue`, `archive.store`), who may
hear it (`archive.access`) and how long it is kept (`retention.policy`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

TenantId = NewType("TenantId", str)
PeerId = NewType("PeerId", str)
UserId = NewType("UserId", str)
RecordingId = NewType("RecordingId", str)
SessionId = NewType("SessionId", str)
CallGroupId = NewType("CallGroupId", str)


def new_id(now: datetime) -> str:
    """Return a UUID version 7 (RFC 9562 section 5.7) of the millisecond `now`, as 36 characters."""
    milliseconds = int(now.timestamp() * 1000)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class RecordingMode(StrEnum):
    """The five modes of a user (DESIGN 2.1)."""

    ALWAYS = "always"
    ALWAYS_PAUSE = "always-pause"
    ON_DEMAND = "on-demand"
    ON_DEMAND_START = "on-demand-start"
    NEVER = "never"


class RetentionClass(StrEnum):
    """How long a recording is kept, by the licence in force when it starts."""

    DAYS_90 = "90d"
    DAYS_365 = "365d"
    YEARS_7_1000 = "7y-1000"
    YEARS_7_3500 = "7y-3500"


class RecordingState(StrEnum):
    """Where a recording stands in its life; only `available` and `partial` can be played."""

    RECORDING = "recording"
    UNKEPT = "unkept"
    GRACE = "grace"
    QUARANTINED = "quarantined"
    PROCESSING = "processing"
    AVAILABLE = "available"
    PARTIAL = "partial"
    DELETING = "deleting"
    DESTROYED = "destroyed"
    FAILED = "failed"


PLAYABLE_STATES = frozenset({RecordingState.AVAILABLE, RecordingState.PARTIAL})

KEPT_STATES = PLAYABLE_STATES | {RecordingState.FAILED}
"""Archived, and kept until its term is over or two people let it go."""

GOING_STATES = frozenset({RecordingState.DELETING, RecordingState.DESTROYED})
"""It goes or is gone: its objects are missing by design."""


class Layout(StrEnum):
    """How the parties stand in the audio: one a channel, all in one, or more than two channels."""

    TWO_PARTY = "two-party"
    MIXED = "mixed"
    MULTI = "multi"


class Direction(StrEnum):
    """Seen from the recorded user."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


class Role(StrEnum):
    """What an account may do in its tenant."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    """Of the provider, in a tenant where nobody else is; runs the instance and hears nothing."""


CUSTOMER_ROLES = (Role.USER, Role.ADMINISTRATOR, Role.AUDITOR)
"""The roles a customer gives its people."""


class SpanKind(StrEnum):
    """Why a stretch of a channel sounds as it does."""

    SPEECH = "speech"
    SILENCE = "silence"
    PAUSE = "pause"
    HOLD = "hold"
    LOSS = "loss"
    LATE = "late"


class OutcomeKind(StrEnum):
    """The one way in which an accepted session ended (invariant I3)."""

    RECORDED = "recorded"
    NOT_KEPT = "not kept"
    MODE_NEVER = "mode never"
    NOBODY_RECORDED = "nobody recorded"
    FAILED = "failed"


class ObjectKind(StrEnum):
    """The sealed objects of one recording, in the order in which they are uploaded."""

    AUDIO = "audio"
    PEAKS = "peaks"
    TIMELINE = "timeline"
    METADATA = "metadata"
    RECORD = "record"


class AboveCap(StrEnum):
    """What becomes of recordings above the minutes of a 7-year licence (DESIGN 2.4)."""

    KEEP = "keep"
    """Kept for 7 years like the others, and flagged."""
    DAYS_90 = "90d"
    STOP = "stop"
    """Not recorded until the next month."""


KEEP_GRACE_H_MAX = 72
"""DESIGN 2.1: a call nobody kept may wait for a decision for three days, and no longer."""


EXPORTS_ALONE_DEFAULT = 100
"""Recordings one person takes out within a day without a second one: a matter, not an archive."""

EXPORTS_ALONE_MAX = 10_000
"""As many as one export has; above that the limit would be none."""


TRAFFIC_STEP_S = 300
"""Peaks of traffic are told of five minutes, as networks are watched; days begin with a step."""

TRASH_DAYS_DEFAULT = 7
"""A slip of two people is noticed within a week."""

IDLE_MINUTES_DEFAULT = 30
"""A browser left alone this long is one that anybody may sit down at; listening is no such thing."""

IDLE_MINUTES_MIN = 5
"""Fewer and somebody who reads a page is asked all day whether they are still there."""

IDLE_MINUTES_MAX = 120
"""A long meeting; beyond it a browser left alone is open to who comes by."""

TRASH_DAYS_MAX = 30
"""What somebody wanted gone for a reason does not stay for longer than a month because of a window."""


@dataclass(frozen=True)
class TenantPolicy:
    """What a customer decided for all of its people; the defaults hold where nobody decided."""

    keep_grace_h: int = 0
    above_cap: AboveCap = AboveCap.KEEP
    purpose_required: bool = False
    """Whether it takes a purpose to open a recording of somebody else."""
    exports_alone_max: int = EXPORTS_ALONE_DEFAULT
    """Recordings one person exports within a day without a second person; 0 is every export by two."""
    trash_days: int = TRASH_DAYS_DEFAULT
    """How long what two people let go before its term can be put back; 0 is not at all."""
    idle_minutes: int = IDLE_MINUTES_DEFAULT
    """After how many minutes without anything done a browser is signed out."""


@dataclass(frozen=True)
class Tenant:
    """A customer of the operator."""

    id: TenantId
    name: str
    domain: str
    policy: TenantPolicy = TenantPolicy()
    operates: bool = False
    """Whether it is the provider's own: its people are operators, and it has no calls."""


@dataclass(frozen=True)
class Peer:
    """A trusted session recording client: who may offer calls to us, and for whom."""

    id: PeerId
    name: str
    addresses: tuple[str, ...]
    tenant_id: TenantId | None
    dialect: str = "auto"
    srtp: str = "allow"
    star_codes: bool = False
    enabled: bool = True
    """Switched off, its calls are refused; its addresses stay its own."""


@dataclass(frozen=True)
class User:
    """A person of a tenant, as the recorder and the rights need them."""

    id: UserId
    tenant_id: TenantId
    login: str
    numbers: tuple[str, ...] = ()
    broadworks_id: str | None = None
    role: Role = Role.USER
    access: str = "own"
    site: str | None = None
    licence: RetentionClass | None = None
    mode: RecordingMode = RecordingMode.NEVER
    own_modes: tuple[RecordingMode, ...] = ()
    """The modes this person may choose from; none where the administrator alone decides."""
    keep_next_until: datetime | None = None
    """The next on-demand call that begins before this moment is kept."""
    booked_month: date | None = None
    """The first day of the newest month with minutes, Europe/Amsterdam."""
    booked_s: int = 0
    """Seconds booked in `booked_month`."""
    left_at: datetime | None = None
    """Since when this person is gone; their recordings are not."""


@dataclass(frozen=True)
class Party:
    """Somebody on the call, where they are heard, and when they were there."""

    channel: str
    number: str
    name: str = ""
    user_id: UserId | None = None
    from_ms: int = 0
    to_ms: int | None = None


@dataclass(frozen=True)
class Span:
    """A stretch of time in one channel, and the reason for what is (not) heard there."""

    kind: SpanKind
    channel: str
    from_ms: int
    to_ms: int
    by: str | None = None


@dataclass(frozen=True)
class PacketCounts:
    """RTP packets of all streams of a recording (RFC 3550 appendix A.3)."""

    received: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0


@dataclass(frozen=True)
class StoredObject:
    """One sealed object in the store, pinned: nothing else at that key is ever read."""

    kind: ObjectKind
    key: str
    version_id: str
    plaintext_bytes: int
    ciphertext_bytes: int
    segments: int
    plaintext_sha256: str
    ciphertext_sha256: str
    commitment: str
    media_type: str


@dataclass(frozen=True)
class Recording:
    """All the catalogue knows of one recording of one recorded user."""

    id: RecordingId
    tenant_id: TenantId
    session_id: SessionId
    call_id: str
    call_group: CallGroupId
    state: RecordingState
    mode: RecordingMode
    owner: UserId | None
    peer_id: PeerId | None
    direction: Direction
    layout: Layout
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    recorded_ms: int
    parties: tuple[Party, ...]
    retention_class: RetentionClass
    retain_until: datetime
    spans: tuple[Span, ...] = ()
    packets: PacketCounts = PacketCounts()
    sha256: str = ""
    channels: tuple[str, ...] = ("a", "b")
    sample_rate_hz: int = 8000
    flags: tuple[str, ...] = ()
    on_hold: bool = False
    site: str | None = None


@dataclass(frozen=True)
class CaseRecording(Recording):
    """A recording as somebody reads it who was admitted to cases: with those of theirs that hold it.

    No program keeps one: what is stored and sealed is a `Recording`.
    """

    case_ids: frozenset[str] = frozenset()

    @classmethod
    def of(cls, recording: Recording, case_ids: Iterable[str]) -> CaseRecording:
        """Return a recording with the cases that hold it."""
        known = {each.name: getattr(recording, each.name) for each in fields(Recording)}
        return cls(**known, case_ids=frozenset(case_ids))


@dataclass(frozen=True)
class ArchivedRecording:
    """A recording with its stored objects and the wrapped data key that opens them."""

    recording: Recording
    objects: tuple[StoredObject, ...]
    kek_id: str
    wrapped_key: bytes


@dataclass(frozen=True)
class FinishedRecording:
    """What the finaliser hands over: facts and plain bytes in memory, nothing on a disk."""

    recording: Recording
    audio: bytes
    audio_media_type: str
    peaks: bytes
    timeline: bytes
    metadata: bytes
    octets: tuple[int, ...] = ()
    """As `SessionOutcome.octets`."""


@dataclass(frozen=True)
class SessionOutcome:
    """How one offered recording session ended; never made for an exempt call (invariant I8)."""

    session_id: SessionId
    call_id: str
    kind: OutcomeKind
    reason: str
    started_at: datetime
    ended_at: datetime
    peer_id: PeerId | None = None
    tenant_id: TenantId | None = None
    recording_ids: tuple[RecordingId, ...] = ()
    trace: tuple[str, ...] = field(default=())
    transport: str = ""
    """How the signalling came: udp, tcp or tls; '' where nobody told."""
    site: str | None = None
    """Where the recorded person works."""
    octets: tuple[int, ...] = ()
    """Of RTP, in each TRAFFIC_STEP_S on the clock; the first step holds the beginning."""
    exchange_ids: tuple[str, ...] = ()
    """What the exchange calls the call; never a telephone number."""
