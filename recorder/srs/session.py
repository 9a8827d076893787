"""One recording session: a SIP dialog, the call it carries, and the recordings made of it.

Rules: the SIP dialog is the anchor. Metadata may rename everything inside it
(BroadWorks changes all ids at a transfer) and the recording goes on. What a
recording is stands in its `CallState`; this class only keeps the recordings of one
dialog together.

Not here: what happens when (`recorder.srs.server`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from archive.decision import CallFacts, CallParticipant, Decision
from archive.model import Layout, Peer
from recorder.metadata.model import RecordingMetadata
from recorder.sdp.description import SessionDescription
from recorder.sdp.offer_answer import StreamProposal
from recorder.sip.dialog import DialogId
from recorder.sip.event import InvitationReceived
from recorder.sip.transaction import TransactionKey
from recorder.srs.call_group import exchange_ids
from recorder.srs.effects import Effect, Limits, Moment
from recorder.srs.recording_mode import Capture, Event
from recorder.srs.star_code import StarCodes
from recorder.state import CallState, MetadataRevision, PartyState, StreamState

STREAMS_MAX = 8
"""FLAC holds eight channels (RFC 9639 section 9.1.3); a conference rarely offers three streams."""

PARTIES_OF_A_CALL = 2

METADATA_REVISIONS_MAX = 500
"""A transfer chain gives tens of updates; beyond this a peer is repeating itself."""

METADATA_BYTES_MAX = 1_048_576
"""All revisions are journalled with each state of a call; a document of a real call has some 5 KB."""

PARTIES_MAX = 64
"""A conference of a telephone exchange has some ten; beyond this a peer invents them."""


class Phase(Enum):
    """Where a recording session stands."""

    OPENING = auto()  # The INVITE is here, sockets are being bound.
    WAITING = auto()  # Answered; audio waits in the kernel for the first metadata, at most 2 s.
    RUNNING = auto()  # Captured, for one or more recordings.
    IDLE = auto()  # Answered inactive: mode never, or nobody recorded.
    EXEMPT = auto()  # Answered inactive; nothing of the call is kept.
    ENDED = auto()


class Overdue(Enum):
    """Why a session can't just go on."""

    TOO_LONG = auto()
    SILENT = auto()
    LOST = auto()


@dataclass(frozen=True)
class Command:
    """What somebody wants of a recording: one of the five commands, and who wants it.

    `by` is `user:<id>`, `api-client:<id>`, `star code` or `exchange`; `ticket` names a
    command that waits for its answer.
    """

    verb: Event
    by: str
    ticket: str | None = None


@dataclass(frozen=True)
class Expected:
    """An edge that capture was asked for and has not dated yet, and the command it answers."""

    kind: str
    by: str | None
    command: Command | None = None


@dataclass
class RecordingSession:
    """What the server keeps of one dialog; `dialog_id` is the user agent's name for it."""

    session_id: str
    call_id: str
    peer: Peer | None
    address: str
    invite_key: TransactionKey | None
    dialog_id: DialogId
    opened_s: float
    opened_ns: int
    described_ns: int
    phase: Phase = Phase.OPENING
    facts: CallFacts = field(default_factory=CallFacts)
    model: RecordingMetadata = field(default_factory=RecordingMetadata)
    revisions: tuple[MetadataRevision, ...] = ()
    streams: dict[int, StreamState] = field(default_factory=dict)
    offer: SessionDescription | None = None
    proposals: tuple[StreamProposal, ...] = ()
    offer_version: str = ""
    answer_version: int = 0
    answer: bytes = b""
    delayed_offer: bool = False
    recordings: dict[bytes, CallState] = field(default_factory=dict)
    captures: dict[bytes, Capture] = field(default_factory=dict)
    decision: Decision | None = None
    judged: bool = False
    heard_s: float = 0.0
    probed_s: float | None = None
    recovering: bool = False
    left_ns: int = 0
    """Nobody listened from here until `returned_ns`; both are 0 when the recorder was never restarted."""
    returned_ns: int = 0
    pending_key: TransactionKey | None = None
    flags: tuple[str, ...] = ()
    transport: str = ""
    networks: tuple[str, ...] = ()
    barred: bool = False
    """Somebody on the do-not-record list is on the call: nothing is captured meanwhile."""
    expected: dict[bytes, deque[Expected]] = field(default_factory=dict)
    call_group: str = ""
    boot_id: str = ""
    origin_ns: int = 0
    """The time by this session's clock when the monotonic one of this start of the machine was 0."""
    ahead_ns: int = 0
    """How far that clock is ahead of the recorder's: what was set between the start of one and the other."""
    described_by_offer: bool = False
    """Whether metadata came with the last offer: media that stops without a word is a pause, not a hold."""
    recording_type: str = ""
    reminded: dict[bytes, int] = field(default_factory=dict)
    star_codes: dict[int, StarCodes] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, event: InvitationReceived, session_id: str, peer: Peer, address: str, now: Moment
    ) -> RecordingSession:
        """Begin the session of an INVITE, with media received at `address`; it keeps the clock as set now."""
        return cls(
            session_id=session_id,
            call_id=event.request.call_id,
            peer=peer,
            transport=event.flow.transport,
            address=address,
            invite_key=event.key,
            dialog_id=event.dialog_id,
            opened_s=now.monotonic_s,
            opened_ns=now.clock_ns,
            heard_s=now.monotonic_s,
            described_ns=now.clock_ns,
            boot_id=now.boot_id,
            origin_ns=now.origin_ns + now.ahead_ns,
            ahead_ns=now.ahead_ns,
        )

    def by_clock(self, now: Moment) -> Moment:
        """Return now as this session dates it: by the clock it began with, gone on evenly since."""
        return now.by_clock_ahead(self.ahead_ns) if self.ahead_ns else now

    def star_codes_of(self, position: int) -> StarCodes:
        """Return what listens for star codes on a stream."""
        return self.star_codes.setdefault(position, StarCodes())

    def flag(self, flag: str) -> None:
        """Remember a flag for every recording of the session, once."""
        if flag not in self.flags:
            self.flags = (*self.flags, flag)

    def overdue(self, limits: Limits, now: Moment) -> Overdue | None:
        """Tell what time says of the session: too long, silent and to be asked, or asked in vain."""
        if now.monotonic_s - self.opened_s > limits.session_s_max:
            return Overdue.TOO_LONG
        limit_s = limits.recovery_silence_s if self.recovering else limits.silence_s
        if self.probed_s is not None:
            wait_s = limit_s if self.recovering else limits.probe_s
            return Overdue.LOST if now.monotonic_s - self.probed_s > wait_s else None
        return Overdue.SILENT if now.monotonic_s - self.heard_s > limit_s else None

    def concerns(self, effect: Effect) -> bool:
        """Tell whether an effect is about this session."""
        key = getattr(effect, "key", None)
        return (
            getattr(effect, "session_id", None) == self.session_id
            or getattr(effect, "uid", None) in self.recordings
            or (key is not None and key in (self.invite_key, self.pending_key))
        )

    @property
    def undescribed(self) -> bool:
        """Whether metadata came, and none of it could be read."""
        return "metadata-error" in self.flags and not self.model.participants

    @property
    def held(self) -> bool:
        """Whether the peer stopped all media (hold, or a pause it made itself)."""
        return bool(self.streams) and not any(stream.active for stream in self.streams.values())

    @property
    def stopped(self) -> bool:
        """Whether nothing may be captured now, whatever the modes of the recordings say."""
        return self.held or self.barred

    def state_of(self, uid: bytes) -> CallState:
        """Return the newest state of one recording, with all the session knows now."""
        state = self.recordings[uid]
        return replace(
            state,
            layout=layout_of(self.streams, self.facts).value,
            streams=tuple(sorted(self.streams.values(), key=lambda stream: stream.index)),
            parties=merge_parties(state.parties, parties_of(self, state.parties), self.described_ns),
            metadata=self.revisions,
            flags=tuple(dict.fromkeys((*state.flags, *self.flags))),
            exchange_ids=exchange_ids(self.facts.links) or state.exchange_ids,
        )


def layout_of(streams: dict[int, StreamState], facts: CallFacts) -> Layout:
    """Tell the layout: one stream is mixed, two are the two parties, more are a conference."""
    audio = [stream for stream in streams.values() if stream.port]
    if len(audio) > 2:
        return Layout.MULTI
    if len(audio) == 2 and not facts.mixed:
        return Layout.TWO_PARTY
    return Layout.MIXED if len(audio) < 2 else Layout.MULTI


def channel_of(label: str, position: int, count: int, facts: CallFacts) -> str:
    """Name the channel of a stream: `a` is the caller, `b` the callee.

    The sender of the stream decides, never the order of labels (a Sonus sample crosses
    them); only where metadata says nothing the first m= line is taken for the caller.
    """
    if count == 1 or facts.mixed:
        return "mixed" if count == 1 else str(position + 1)
    if count > 2:
        return str(position + 1)
    if any(label in participant.labels for participant in facts.participants):
        return "a" if label in facts.caller_labels else "b"
    return "a" if position == 0 else "b"


def parties_of(session: RecordingSession, known: tuple[PartyState, ...] = ()) -> tuple[PartyState, ...]:
    """Return who is on the call now, each with the channel that carries them.

    Who sends nothing now stays where `known` has them.
    """
    channels = {stream.label: stream.channel for stream in session.streams.values()}
    lanes = {party.number: party.channel for party in known if party.number}
    parties = [_party(participant, channels, lanes, session) for participant in session.facts.participants]
    if not parties:
        named = (("a", session.facts.caller), ("b", session.facts.callee))
        mixed = len(session.streams) < 2
        parties = [
            PartyState("mixed" if mixed else channel, number, "", None, session.opened_ns)
            for channel, number in named
            if number
        ]
    return tuple(parties)


def merge_parties(
    known: tuple[PartyState, ...], present: tuple[PartyState, ...], at_ns: int
) -> tuple[PartyState, ...]:
    """Keep everybody who was ever there, up to `PARTIES_MAX`; who came or went since did so at `at_ns`.

    Until both ends of the call are known, whoever is named was there from the beginning.
    """
    merged = {(party.number, party.channel): party for party in known}
    here = {(party.number, party.channel) for party in present}
    for key, party in merged.items():
        if present and key not in here and party.to_ns is None:
            merged[key] = replace(party, to_ns=at_ns)
    for party in present:
        before = merged.get((party.number, party.channel))
        if before is None and len(merged) >= PARTIES_MAX:
            continue
        joined_ns = party.from_ns if len(known) < PARTIES_OF_A_CALL else at_ns
        merged[(party.number, party.channel)] = (
            replace(party, from_ns=before.from_ns, user_id=before.user_id or party.user_id)
            if before
            else replace(party, from_ns=joined_ns)
        )
    return tuple(merged.values())


def _party(
    participant: CallParticipant, channels: dict[str, str], lanes: dict[str, str], session: RecordingSession
) -> PartyState:
    sends = [channels[label] for label in participant.labels if label in channels]
    fallback = lanes.get(participant.number, "a" if participant.number == session.facts.caller else "b")
    channel = sends[0] if sends else ("mixed" if len(session.streams) < PARTIES_OF_A_CALL else fallback)
    return PartyState(channel, participant.number, participant.name, None, session.opened_ns)
