"""A call to place and what became of it: the words of the session recording client.

Rules: plain frozen data. Nothing here is random: which packets are lost, sent twice
or sent late is listed by packet number, so that a test knows what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SAMPLE_RATE_HZ = 8000
PACKET_MS = 20
PACKET_OCTETS = SAMPLE_RATE_HZ * PACKET_MS // 1000
PACKETS_PER_S = 1000 // PACKET_MS

PAYLOAD_TYPE_PCMA = 8
PAYLOAD_TYPE_EVENT = 101

KEYS = "0123456789*#ABCD"
"""The keys of a telephone in the order of their event codes (RFC 4733 section 3.2)."""

# The A-law code of the smallest positive sample, which ITU-T G.711 uses for silence.
SILENCE = b"\xd5"


class Dialect(StrEnum):
    """How the session is described: by the RFCs, or as BroadWorks does with two streams or one."""

    RFC7865 = "rfc7865"
    BROADWORKS = "broadworks"
    BROADWORKS_MIXED = "broadworks-mixed"


class Transport(StrEnum):
    """What carries the SIP messages."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class PauseBy(StrEnum):
    """How the client says that it pauses: by the direction, or by an address of zero (RFC 2543)."""

    INACTIVE = "inactive"
    ZERO_ADDRESS = "zero-address"


class Ending(StrEnum):
    """How a placed call ended."""

    REFUSED = "refused"
    HUNG_UP = "hung up"
    HUNG_UP_BY_PEER = "hung up by peer"
    BYE_UNANSWERED = "bye unanswered"


@dataclass(frozen=True)
class Delivery:
    """What the network does to a stream, by packet number from 0.

    `lost` packets are not sent, `doubled` ones twice, and a `delayed` one is sent that
    many packet times later, after the packet whose turn it then is.
    """

    lost: frozenset[int] = frozenset()
    doubled: frozenset[int] = frozenset()
    delayed: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedEvent:
    """Keys pressed one after the other from `at_s` on, each for `duration_ms`, in place of audio.

    Raises ValueError for what is no key of a telephone.
    """

    at_s: float
    digits: str
    duration_ms: int = 100

    def __post_init__(self) -> None:
        if not self.digits or set(self.digits) - set(KEYS) or self.at_s < 0 or self.duration_ms < PACKET_MS:
            raise ValueError(f"An event is keys out of {KEYS} at a time of the call, each of 20 ms or more.")


@dataclass(frozen=True)
class StreamPlan:
    """One labelled stream to send: A-law octets, keys pressed, and where its RTP counters begin.

    None for `ssrc`, `first_sequence` and `first_timestamp` chooses one as RFC 3550
    section 5.1 asks; `late_by` packets at the beginning are never sent.
    """

    audio: bytes
    delivery: Delivery = Delivery()
    ssrc: int | None = None
    first_sequence: int | None = None
    first_timestamp: int | None = None
    late_by: int = 0
    events: tuple[PlannedEvent, ...] = ()


@dataclass(frozen=True)
class InDialogRequest:
    """A request to send `at_s` seconds into the call: an UPDATE with new metadata, an INFO with a header.

    An INVITE whose body is metadata, or nothing, is sent with the offer of the moment.
    """

    at_s: float
    method: str
    content_type: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TlsIdentity:
    """Who the client believes over TLS, and whom it shows itself as; all are PEM files.

    The server's certificate must name the host of the plan, and come from `authorities`, or from one
    this machine trusts. `certificate` and `key` are shown to a server that asks for one.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class CallPlan:
    """A call between two parties, and how its recording session is offered.

    Numbers are telephone numbers or whole SIP URIs. The longer stream says how long
    the call lasts. A pause stops the packets and offers no media, `pause_by` the way given
    or that of the dialect; a resume offers `sendonly` again. A client that `sends_while_paused`
    stops no packet. `recorded` names the party whose subscriber BroadWorks records. `metadata`
    stands in place of what the client itself says of the call; `identity` counts over TLS alone.
    """

    host: str
    port: int
    caller: str
    callee: str
    caller_stream: StreamPlan
    callee_stream: StreamPlan
    transport: Transport = Transport.UDP
    dialect: Dialect = Dialect.RFC7865
    pause_at_s: float | None = None
    resume_at_s: float | None = None
    pause_by: PauseBy | None = None
    sends_while_paused: bool = False
    caller_name: str = ""
    callee_name: str = ""
    domain: str = "exchange.example"
    recorded: str = "caller"
    broadworks_id: str = ""
    call_id: str | None = None
    metadata: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    requests: tuple[InDialogRequest, ...] = ()
    identity: TlsIdentity = TlsIdentity()

    @property
    def packets(self) -> int:
        """How many packet times the call lasts."""
        longest = max(len(self.caller_stream.audio), len(self.callee_stream.audio))
        return -(-longest // PACKET_OCTETS)


@dataclass(frozen=True)
class SentPacket:
    """One RTP packet as it was sent, audio or event; `index` counts packet times from the first.

    `sent_s` is when, by `time.monotonic`; the same packet sent twice is equal.
    """

    index: int
    sequence: int
    timestamp: int
    payload: bytes
    sent_s: float = field(default=0.0, compare=False)
    payload_type: int = PAYLOAD_TYPE_PCMA


@dataclass(frozen=True)
class SentStream:
    """All packets of a stream in the order they were sent, doubles included."""

    label: str
    ssrc: int
    active: bool
    packets: tuple[SentPacket, ...]

    def timeline(self, gap: bytes = SILENCE) -> bytes:
        """Return the octets a perfect recorder hears from the first sent packet to the last one.

        Packets stand where their timestamps put them; what was not sent, and what was said by
        events in place of audio, is `gap`.
        """
        if not self.packets:
            return b""
        filler = gap * PACKET_OCTETS
        payloads = {
            packet.index: packet.payload if packet.payload_type == PAYLOAD_TYPE_PCMA else filler
            for packet in self.packets
        }
        return b"".join(payloads.get(index, filler) for index in range(min(payloads), max(payloads) + 1))


@dataclass(frozen=True)
class PlacedCall:
    """What became of a call: the final answer, what was sent, and how it ended.

    `status` is 408 when nothing answered and 503 when no connection could be made, as
    RFC 3261 section 8.1.3.1 has it. `answers` are the statuses of later requests of
    ours, as (method, status) in order; `seconds` runs from the answer to the end.
    """

    call_id: str
    status: int
    reason: str
    ending: Ending
    seconds: float
    streams: tuple[SentStream, ...] = ()
    answers: tuple[tuple[str, int], ...] = ()
    answer_sdp: bytes = b""


def packet_turns(count: int, delivery: Delivery) -> list[list[int]]:
    """Return which packets are sent in each of `count` packet times, and in which order."""
    turns: list[list[int]] = [[] for _ in range(count)]
    for index in range(count):
        if index not in delivery.lost and not delivery.delayed.get(index):
            turns[index] += [index] * (2 if index in delivery.doubled else 1)
    for index, later in sorted(delivery.delayed.items()):
        if later and index not in delivery.lost and index < count:
            turn = min(index + later, count - 1)
            turns[turn] += [index] * (2 if index in delivery.doubled else 1)
    return turns
