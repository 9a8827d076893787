"""A session recording server without a machine: bytes go in, effects come out and are noted.

`Recorder` stands for the shell: it binds imaginary ports, answers by the user agent, and
keeps every effect. `Client` stands for the exchange: it writes requests, reads answers.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from archive.catalogue.snapshot import Directory
from archive.model import Peer, PeerId, RecordingMode, RetentionClass, Tenant, TenantId, User, UserId, new_id
from recorder.client.call import CallPlan, Dialect, StreamPlan
from recorder.client.description import body as multipart_body
from recorder.client.description import metadata
from recorder.sip.capability import Identity, Leniency
from recorder.sip.dialog import DialogSnapshot
from recorder.sip.message import Flow, Request, Response
from recorder.sip.parser import parse
from recorder.sip.user_agent import UserAgentServer
from recorder.srs import effects as do
from recorder.srs.effects import Limits, Moment
from recorder.srs.server import SessionRecordingServer
from recorder.srs.session import RecordingSession
from recorder.state import CallState

ANNA, BEN, NINA, OLGA = "+31201234501", "+31201234502", "+31201234503", "+31201234504"
BOB, CARL = "+31612345678", "+31687654321"
UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.10", 5070))
STRANGER = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5070))
RTP_PORT_FIRST = 20000
WALL_NS = 1_795_000_000_000_000_000
SDP, METADATA = "application/sdp", "application/rs-metadata+xml"
TENANT = Tenant(TenantId("tenant-1"), "Acme", "acme.nl")
PEER = Peer(PeerId("peer-1"), "exchange", ("192.0.2.0/24",), TENANT.id, srtp="off")

Of = TypeVar("Of")


def user(login: str, *numbers: str, mode: RecordingMode, broadworks_id: str | None = None) -> User:
    """Return a user of the tenant with a licence of a year."""
    return User(
        UserId(f"user-{login}"),
        TENANT.id,
        f"{login}@acme.nl",
        numbers,
        broadworks_id,
        licence=RetentionClass.DAYS_365,
        mode=mode,
    )


DIRECTORY = Directory(
    tenants=(TENANT,),
    peers=(PEER,),
    users=(
        user("anna", ANNA, mode=RecordingMode.ALWAYS, broadworks_id="anna@bw.example"),
        user("ben", BEN, mode=RecordingMode.ALWAYS),
        user("nina", NINA, mode=RecordingMode.NEVER),
        user("olga", OLGA, mode=RecordingMode.ON_DEMAND),
    ),
)


class Recorder:
    """The core with a shell around it that only notes what it is told to do."""

    def __init__(self, limits: Limits | None = None, directory: Directory = DIRECTORY) -> None:
        self.monotonic_s = 1000.0
        self.boot_id = ""
        self.begun_ns = WALL_NS
        self.ahead_ns = 0
        octets = random.Random(7866)
        self.agent = UserAgentServer(Identity(), octets.randbytes, lambda _: Leniency(run_together_tags=True))
        self.server = SessionRecordingServer(
            directory,
            limits or Limits(),
            lambda wall_ns: new_id(datetime.fromtimestamp(wall_ns / 1e9, UTC)),
            lambda host: host,
        )
        self.effects: list[do.Effect] = []
        self.sent: list[tuple[Flow, Response | Request]] = []
        self.ports = itertools.count(RTP_PORT_FIRST, 2)
        self.ports_left = 1000
        self.storage_trouble: str | None = None

    @property
    def now(self) -> Moment:
        """The time on both clocks."""
        steady_ns = self.begun_ns + int((self.monotonic_s - 1000.0) * 1e9)
        return Moment(self.monotonic_s, steady_ns, self.boot_id, self.ahead_ns)

    def receive(self, data: bytes, flow: Flow = UDP) -> list[Response | Request]:
        """Take a message, do everything it leads to, and return what was sent."""
        before = len(self.sent)
        self.agent.receive(data, flow, self.monotonic_s)
        self.pump()
        return [message for _, message in self.sent[before:]]

    def advance(self, seconds: float, step_s: float = 0.25) -> None:
        """Let time pass, with the ticks the shell gives."""
        for _ in range(round(seconds / step_s)):
            self.monotonic_s += step_s
            self.agent.handle_timer(self.monotonic_s)
            self.pump()
            self.carry_out(self.server.handle_timer(self.now))
            self.carry_out(self.server.check_silence(self.now))

    def pump(self) -> None:
        """Hand the user agent's events to the server until both are quiet."""
        while True:
            self.sent += [(flow, parse(data)) for flow, data in self.agent.datagrams_to_send()]
            event = self.agent.next_event()
            if event is None:
                return
            self.carry_out(self.server.handle(event, self.now))

    def carry_out(self, effects: Iterable[do.Effect]) -> None:
        """Note each effect, and do those without which the server can't go on."""
        edges: list[tuple[bytes, int]] = []
        for effect in effects:
            if isinstance(effect, do.OpenRecording) and self.storage_trouble:
                # The rest of the effects is of a call that can't be kept.
                reason, session_id = self.storage_trouble, effect.state.session_id
                self.carry_out(self.server.storage_failed(session_id, reason, self.now))
                break
            self.effects.append(effect)
            match effect:
                case do.Respond():
                    self._respond(effect)
                case do.OpenMedia():
                    self.carry_out(self._open(effect))
                case do.HangUp():
                    self.agent.bye(effect.dialog_id, self.monotonic_s)
                case do.ForgetDialog():
                    self.agent.forget(effect.dialog_id)
                case do.Probe():
                    self.agent.probe(effect.dialog_id, self.monotonic_s)
                case do.SetCapturing():
                    edges.append((effect.uid, self.now.wall_ns))
                case _:
                    pass
        # Capture tells a moment later when it began or stopped.
        for edge in edges:
            self.carry_out(self.server.edge_dated(*edge))
        self.sent += [(flow, parse(data)) for flow, data in self.agent.datagrams_to_send()]

    def _open(self, effect: do.OpenMedia) -> list[do.Effect]:
        if self.ports_left < len(effect.positions):
            return self.server.media_refused(effect.session_id, self.now)
        self.ports_left -= len(effect.positions)
        ports = {position: next(self.ports) for position in effect.positions}
        return self.server.media_opened(effect.session_id, ports, self.now)

    def _respond(self, effect: do.Respond) -> None:
        self.agent.respond(
            effect.key,
            effect.status,
            reason=effect.reason,
            headers=effect.headers,
            body=effect.body,
            content_type=effect.content_type,
            now=self.monotonic_s,
        )

    def of(self, kind: type[Of]) -> list[Of]:
        """Return every effect of a kind so far, in order."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def one(self, kind: type[Of]) -> Of:
        """Return the only effect of a kind."""
        (found,) = self.of(kind)
        return found

    @property
    def session(self) -> RecordingSession:
        """The only session there is."""
        (session,) = self.server.sessions
        return session

    @property
    def states(self) -> list[CallState]:
        """The newest state of every recording that was journalled, in the order of opening."""
        newest: dict[bytes, CallState] = {}
        for effect in self.effects:
            if isinstance(effect, do.OpenRecording | do.WriteState | do.FinishRecording | do.CutRecording):
                newest[effect.uid] = effect.state
        return list(newest.values())

    @property
    def state(self) -> CallState:
        """The newest state of the only recording."""
        (state,) = self.states
        return state


class Client:
    """One dialog of an exchange with the recorder."""

    def __init__(self, recorder: Recorder, flow: Flow = UDP, call_id: str = "call-1@src") -> None:
        self.recorder, self.flow, self.call_id = recorder, flow, call_id
        self.cseq = 0
        self.to_tag = ""
        self.from_ = "<sip:src@exchange.example>"
        self._branches = itertools.count(1)

    def send(
        self,
        method: str,
        content_type: str = "",
        body: bytes = b"",
        *headers: tuple[str, str],
        uri: str = "sip:srs@192.0.2.1",
        cseq: int | None = None,
    ) -> Response | None:
        """Send a request and return its final answer; a 2xx to an INVITE is acknowledged by `ack`."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        host, port = self.flow.remote
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self.call_id}{next(self._branches)};rport",
            f"From: {self.from_};tag=src",
            f"To: <sip:srs@192.0.2.1>{f';tag={self.to_tag}' if self.to_tag else ''}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:src@{host}:{port}>;+sip.src",
            "Max-Forwards: 70",
            *(f"{name}: {value}" for name, value in headers),
            *([f"Content-Type: {content_type}"] if content_type else []),
            f"Content-Length: {len(body)}",
        ]
        sent = self.recorder.receive("\r\n".join(lines).encode() + b"\r\n\r\n" + body, self.flow)
        finals = [item for item in sent if isinstance(item, Response) and item.status >= 200]
        answer = finals[-1] if finals else None
        if answer is not None and method == "INVITE" and answer.status == 200 and not self.to_tag:
            self.to_tag = (answer.headers.first("To") or "").partition(";tag=")[2]
        return answer

    def ack(self, body: bytes = b"", content_type: str = SDP) -> None:
        """Acknowledge the 2xx of the last INVITE."""
        self.send("ACK", content_type if body else "", body, cseq=self.cseq)

    def invite(self, content_type: str = "", body: bytes = b"", *headers: tuple[str, str]) -> Response:
        """Send an INVITE of the RFC's dialect and acknowledge its answer."""
        answer = self.send("INVITE", content_type, body, *headers)
        assert answer is not None
        if answer.status == 200:
            self.ack()
        return answer

    def call(
        self, caller: str = ANNA, callee: str = BOB, dialect: Dialect = Dialect.RFC7865, version: int = 1
    ) -> Response:
        """Place an ordinary call with SDP and metadata."""
        return self.invite(*call_body(caller, callee, dialect, version))

    def bye(self, content_type: str = "", body: bytes = b"") -> Response | None:
        """Hang up."""
        return self.send("BYE", content_type, body)


def restarted(
    client: Client,
    directory: Directory | None = None,
    *,
    boot_id: str = "",
    begun_ns: int = WALL_NS,
    left_ns: int = 0,
) -> Recorder:
    """Kill the recorder; return one that goes on with the only session from what was journalled.

    Its clock counts from `begun_ns`, within the start of the machine `boot_id` names; the files of the
    journal are dated `left_ns`.
    """
    before = client.recorder
    session = before.session
    dialog = before.agent.snapshot(session.dialog_id).to_state(session.answer.decode(), session.offer_version)
    after = Recorder(directory=directory or before.server.directory)
    after.monotonic_s, after.boot_id, after.begun_ns = before.monotonic_s, boot_id, begun_ns
    after.server.left_ns = left_ns
    dialog_id = after.agent.restore(DialogSnapshot.from_state(dialog), after.monotonic_s)
    states = {
        uid: CallState.from_json(dataclasses.replace(state, dialog=dialog).to_json())
        for uid, state in session.recordings.items()
    }
    after.carry_out(after.server.restore(states, dialog_id, after.now))
    client.recorder = after
    return after


def offer(
    *directions: str,
    version: int = 1,
    connection: str = "192.0.2.10",
    labels: Iterable[str] = ("1", "2", "3"),
    formats: str = "8",
) -> bytes:
    """Return an offer with an audio stream for each direction ("" writes none, "closed" port 0)."""
    lines = ["v=0", f"o=src 7 {version} IN IP4 192.0.2.10", "s=-", f"c=IN IP4 {connection}", "t=0 0"]
    for position, (direction, label) in enumerate(zip(directions, labels, strict=False)):
        port = 0 if direction == "closed" else 30000 + 2 * position
        lines += [f"m=audio {port} RTP/AVP {formats}", f"a=label:{label}"]
        if direction and direction != "closed":
            lines.append(f"a={direction}")
    return "".join(f"{line}\r\n" for line in lines).encode()


TWO_STREAMS = offer("sendonly", "sendonly")


def document(
    caller: str = ANNA, callee: str = BOB, dialect: Dialect = Dialect.RFC7865, streams: int = 2
) -> bytes:
    """Return complete metadata of a call; ids are new each time."""
    plan = CallPlan("192.0.2.1", 5060, caller, callee, StreamPlan(b""), StreamPlan(b""), dialect=dialect)
    at = datetime.fromtimestamp(WALL_NS / 1e9, UTC)
    return metadata(plan, streams, at, uuid.uuid4)


def call_body(
    caller: str = ANNA,
    callee: str = BOB,
    dialect: Dialect = Dialect.RFC7865,
    version: int = 1,
    sdp: bytes | None = None,
) -> tuple[str, bytes]:
    """Return content type and body of an INVITE with SDP and metadata."""
    plan = CallPlan("192.0.2.1", 5060, caller, callee, StreamPlan(b""), StreamPlan(b""), dialect=dialect)
    described = offer("sendonly", "sendonly", version=version) if sdp is None else sdp
    return multipart_body(plan, described, document(caller, callee, dialect))


def with_document(sdp: bytes, xml: bytes) -> tuple[str, bytes]:
    """Return content type and body of SDP with this metadata."""
    plan = CallPlan("192.0.2.1", 5060, ANNA, BOB, StreamPlan(b""), StreamPlan(b""))
    return multipart_body(plan, sdp, xml)


def media_lines(answer: bytes) -> list[str]:
    """Return the m= lines of an answer."""
    return [line for line in answer.decode().splitlines() if line.startswith("m=")]


def directions(answer: bytes) -> list[str]:
    """Return the directions of an answer, in order."""
    words = {"a=recvonly", "a=inactive", "a=sendrecv", "a=sendonly"}
    return [line[2:] for line in answer.decode().splitlines() if line in words]


@pytest.fixture
def recorder() -> Recorder:
    """A recorder with the usual limits."""
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Client:
    """A client of a known peer."""
    return Client(recorder)
