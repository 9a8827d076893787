"""One recording session: a SIP dialog, the call it carries, and the recordings made of it.

Rules: the SIP dialog is the anchor. Metadata may rename everything inside it
(BroadWorks changes all ids at a transfer) and the recording goes on. What a
recording is stands in its `CallState`; this class only keeps the recordings of one
dialog together.

Not here: what happens when (`recorder.srs.server`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from archive.model import Layout, Peer
from recorder.metadata.model import RecordingMetadata
from recorder.sdp.description import SessionDescription
from recorder.sdp.offer_answer import StreamProposal
from recorder.sip.dialog import DialogId
from recorder.sip.transaction import TransactionKey
from recorder.srs.decision import CallFacts, CallParticipant, Decision
from recorder.srs.recording_mode import Capture
from recorder.state import CallState, MetadataRevision, PartyState, StreamState

STREAMS_MAX = 8
"""FLAC holds eight channels (RFC 9639 section 9.1.3); a conference rarely offers three streams."""

METADATA_REVISIONS_MAX = 500
"""A transfer chain gives tens of updates; beyond this a peer is repeating itself."""


class Phase(Enum):
    """Where a recording session stands."""

    OPENING = auto()  # The INVITE is here, sockets are being bound.
    WAITING = auto()  # Answered; audio waits in the kernel for the first metadata, at most 2 s.
    RUNNING = auto()  # Captured, for one or more recordings.
    IDLE = auto()  # Answered inactive: mode never, or nobody recorded.
    EXEMPT = auto()  # Answered inactive; nothing of the call is kept.
    ENDED = auto()


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
    pending_key: TransactionKey | None = None
    flags: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def flag(self, flag: str) -> None:
        """Remember a flag for every recording of the session, once."""
        if flag not in self.flags:
            self.flags = (*self.flags, flag)

    @property
    def held(self) -> bool:
        """Whether the peer stopped all media (hold, or a pause it made itself)."""
        return bool(self.streams) and not any(stream.active for stream in self.streams.values())

    def state_of(self, uid: bytes) -> CallState:
        """Return the newest state of one recording, with all the session knows now."""
        state = self.recordings[uid]
        return replace(
            state,
            layout=layout_of(self.streams, self.facts).value,
            streams=tuple(sorted(self.streams.values(), key=lambda stream: stream.index)),
            parties=merge_parties(state.parties, parties_of(self)),
            metadata=self.revisions,
            flags=tuple(dict.fromkeys((*state.flags, *self.flags))),
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


def parties_of(session: RecordingSession) -> tuple[PartyState, ...]:
    """Return who is on the call now, each with the channel that carries them."""
    channels = {stream.label: stream.channel for stream in session.streams.values()}
    parties = [_party(participant, channels, session) for participant in session.facts.participants]
    if not parties:
        named = (("a", session.facts.caller), ("b", session.facts.callee))
        mixed = len(session.streams) < 2
        parties = [
            PartyState("mixed" if mixed else channel, number, "", None, session.opened_ns)
            for channel, number in named
            if number
        ]
    return tuple(parties)


def merge_parties(known: tuple[PartyState, ...], now: tuple[PartyState, ...]) -> tuple[PartyState, ...]:
    """Keep everybody who was ever there; who is seen again is the newer entry."""
    merged = {(party.number, party.channel): party for party in known}
    for party in now:
        before = merged.get((party.number, party.channel))
        merged[(party.number, party.channel)] = (
            replace(party, from_ns=before.from_ns, user_id=before.user_id or party.user_id)
            if before
            else party
        )
    return tuple(merged.values())


def _party(participant: CallParticipant, channels: dict[str, str], session: RecordingSession) -> PartyState:
    sends = [channels[label] for label in participant.labels if label in channels]
    fallback = "a" if participant.number == session.facts.caller else "b"
    channel = sends[0] if sends else ("mixed" if len(session.streams) < 2 else fallback)
    return PartyState(channel, participant.number, participant.name, None, session.opened_ns)
