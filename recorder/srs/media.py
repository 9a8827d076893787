"""From an offer to streams and an answer: which m= lines are recorded, and in which channel.

Rules: an m= line keeps its number in the journal (`StreamState.index`) for the whole
call, whatever re-INVITEs change about it. The answer is recvonly, or inactive where
nothing may be recorded.

Not here: sockets and ports, which come in as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from recorder.sdp import offer_answer
from recorder.sdp.description import Attribute, SessionDescription
from recorder.sdp.offer_answer import StreamProposal
from recorder.srs.session import STREAMS_MAX, RecordingSession, channel_of
from recorder.state import StreamState

_RECORDED_MAX = STREAMS_MAX

TELEPHONE_EVENT = "101"
"""What everybody sends digits as; a peer that forgets to name it must not have them kept as audio."""


def wanted_positions(proposals: tuple[StreamProposal, ...], session: RecordingSession) -> tuple[int, ...]:
    """Return the accepted m= lines that have no sockets yet, at most as many as can be recorded."""
    new = [
        proposal.position
        for proposal in proposals
        if proposal.accepted and proposal.position not in session.streams
    ]
    return tuple(new[: max(0, _RECORDED_MAX - len(session.streams))])


def take_streams(
    session: RecordingSession, proposals: tuple[StreamProposal, ...], ports: Mapping[int, int]
) -> None:
    """Bring the streams of a session to what is proposed; `ports` has those of new positions."""
    accepted = [item for item in proposals if item.accepted and _port(session, item, ports)]
    for proposal in accepted:
        known = session.streams.get(proposal.position)
        channel = channel_of(proposal.label, proposal.position, len(accepted), session.facts)
        session.streams[proposal.position] = StreamState(
            index=known.index if known else len(session.streams),
            label=proposal.label,
            channel=_kept_channel(known, channel),
            address=known.address if known else session.address,
            port=_port(session, proposal, ports),
            payload_types=_payload_types(known, proposal),
            ptime_ms=proposal.ptime_ms,
            active=proposal.active,
            rtcp_mux=proposal.rtcp_mux,
            position=proposal.position,
        )
        if proposal.label_synthesised:
            session.flag("label-synthesised")
    positions = {proposal.position for proposal in accepted}
    for position, stream in session.streams.items():
        if position not in positions:
            session.streams[position] = replace(stream, active=False)


def name_channels(session: RecordingSession) -> None:
    """Let metadata that came later say which stream is the caller's, while nothing was recorded."""
    count = sum(1 for stream in session.streams.values() if stream.port)
    for position, stream in session.streams.items():
        channel = channel_of(stream.label, position, count, session.facts)
        session.streams[position] = replace(stream, channel=channel)


def write_answer(
    session: RecordingSession,
    offer: SessionDescription,
    proposals: tuple[StreamProposal, ...],
    *,
    inactive: bool = False,
) -> bytes:
    """Return the answer to `offer` in the streams' own ports, and keep it for an unchanged offer."""
    ports = {position: stream.port for position, stream in session.streams.items()}
    accepted = tuple(
        item if not item.accepted or item.position in ports else replace(item, accepted=False)
        for item in proposals
    )
    session.answer_version += 1
    described = offer_answer.answer(
        offer,
        accepted,
        ports,
        address=session.address,
        session_id=session.opened_ns // 1000,
        version=session.answer_version,
        inactive=inactive,
    )
    session.answer = described.to_bytes()
    session.offer_version = offer.origin_version
    return session.answer


def write_inactive_answer(session: RecordingSession, offer: bytes | None) -> bytes:
    """Return an answer on which nothing is received, to any offer or none; never raises."""
    session.answer_version += 1
    session.answer = offer_answer.inactive_answer(
        offer, session.address, session_id=session.opened_ns // 1000, version=session.answer_version
    )
    return session.answer


def write_first_offer(session: RecordingSession, ports: Mapping[int, int]) -> None:
    """Make the offer of a session whose client sent none: one stream of G.711 (RFC 3261 section 13.2.1)."""
    proposal = StreamProposal(0, "audio", "1", True, True, True, {8: "PCMA/8000", 0: "PCMU/8000"})
    take_streams(session, (proposal,), ports)
    described = offer_answer.delayed_offer(session.address, ports[0], session.opened_ns // 1000)
    session.answer = described.to_bytes()


def write_offer(session: RecordingSession) -> bytes:
    """Return an offer of our own in a running session: what was answered last, every stream open."""
    described = SessionDescription.parse(session.answer)
    positions = {position for position, stream in session.streams.items() if stream.port}
    sections = tuple(
        replace(section, attributes=tuple(_opened(item) for item in section.attributes))
        if position in positions
        else section
        for position, section in enumerate(described.media)
    )
    session.answer_version += 1
    origin = replace(described.origin, version=str(session.answer_version))
    session.answer = replace(described, media=sections, origin=origin).to_bytes()
    return session.answer


def _opened(attribute: Attribute) -> Attribute:
    return Attribute("recvonly") if attribute.name == "inactive" else attribute


def clock_rate_hz(stream: StreamState) -> int:
    """Return the RTP clock of a stream's first audio format; 8000 for everything of the telephone."""
    for number, encoding in stream.payload_types.items():
        rate = encoding.split("/")[1:2]
        if rate and rate[0].isdigit() and int(number) not in event_types(stream):
            return int(rate[0])
    return 8000


def event_types(stream: StreamState) -> tuple[int, ...]:
    """Return the payload types of telephone-event in a stream (RFC 4733)."""
    return tuple(
        sorted(
            int(number)
            for number, encoding in stream.payload_types.items()
            if encoding.partition("/")[0].lower() == "telephone-event"
        )
    )


def _port(session: RecordingSession, proposal: StreamProposal, ports: Mapping[int, int]) -> int:
    known = session.streams.get(proposal.position)
    return known.port if known else ports.get(proposal.position, 0)


def _kept_channel(known: StreamState | None, channel: str) -> str:
    """Keep the channel a stream was given: parties change, the lane they are heard in does not."""
    return known.channel if known else channel


def _payload_types(known: StreamState | None, proposal: StreamProposal) -> dict[str, str]:
    """Merge what was and what is offered, so that a packet of the old format still decodes."""
    before = known.payload_types if known else {TELEPHONE_EVENT: "telephone-event/8000"}
    return {**before, **{str(number): name for number, name in proposal.payload_types.items()}}
