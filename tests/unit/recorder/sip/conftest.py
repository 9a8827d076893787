"""A session recording client without a network, talking to a `UserAgentServer` on a clock of its own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest

from recorder.sip.capability import Identity, Leniency
from recorder.sip.event import Event, InvitationReceived
from recorder.sip.message import Flow, Request, Response
from recorder.sip.parser import parse
from recorder.sip.user_agent import UserAgentServer

UDP = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.2", 5070))
TCP = Flow("tcp", ("127.0.0.1", 5060), ("127.0.0.2", 40_000), 7)

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n"


class Client:
    """Sends requests by `flow` and reads what comes back; `now` moves only by `advance`."""

    def __init__(self, flow: Flow = UDP, leniency: Leniency | None = None) -> None:
        octets = random.Random(7866)
        forgiven = leniency or Leniency()
        self.agent = UserAgentServer(Identity(), octets.randbytes, lambda _: forgiven)
        self.flow = flow
        self.now = 1000.0
        self.call_id = "call-1@src"
        self.from_tag = "src-tag"
        self.to_tag = ""
        self._branches = itertools.count(1)

    def branch(self) -> str:
        return f"z9hG4bK-{next(self._branches)}"

    def message(
        self,
        method: str,
        cseq: int,
        *,
        branch: str | None = None,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        without: Iterable[str] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> bytes:
        tag = self.to_tag if to_tag is None else to_tag
        host, port = self.flow.remote
        fields = [
            (
                "Via",
                f"SIP/2.0/{self.flow.transport.upper()} {host}:{port};branch={branch or self.branch()};rport",
            ),
            ("Max-Forwards", "70"),
            ("From", f"<sip:src@example.com>;tag={self.from_tag}"),
            ("To", f"<sip:srs@example.com>{f';tag={tag}' if tag else ''}"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:src@{host}:{port}>;+sip.src"),
            *headers,
            *([("Content-Type", content_type or "application/sdp")] if body else []),
            ("Content-Length", str(len(body))),
        ]
        left = [field for field in fields if field[0] not in set(without)]
        lines = [f"{method} sip:srs@127.0.0.1 SIP/2.0", *(f"{name}: {value}" for name, value in left)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def send(self, data: bytes, flow: Flow | None = None) -> list[Request | Response]:
        """Deliver bytes at `now`; returns what the agent sent at once."""
        self.agent.receive(data, flow or self.flow, self.now)
        return self.sent()

    def sent(self) -> list[Request | Response]:
        return [parse(data) for _, data in self.agent.datagrams_to_send()]

    def statuses(self, data: bytes, flow: Flow | None = None) -> list[int]:
        return [item.status for item in self.send(data, flow) if isinstance(item, Response)]

    def events(self) -> list[Event]:
        taken = []
        while (event := self.agent.next_event()) is not None:
            taken.append(event)
        return taken

    def event(self) -> Event:
        """Take the one event there is."""
        (event,) = self.events()
        return event

    def advance(self, seconds: float) -> list[tuple[float, Request | Response]]:
        """Let time pass; returns what was sent, each with the seconds since the call."""
        start, until = self.now, self.now + seconds
        sent: list[tuple[float, Request | Response]] = []
        while (at := self.agent.get_timer()) is not None and at <= until:
            self.now = max(self.now, at)
            self.agent.handle_timer(self.now)
            sent += [(self.now - start, message) for message in self.sent()]
        self.now = until
        return sent

    def invite(
        self, cseq: int = 1, *, branch: str | None = None, body: bytes = SDP, **options: object
    ) -> bytes:
        headers = [("Require", "siprec"), *options.pop("headers", [])]
        return self.message("INVITE", cseq, branch=branch, body=body, headers=headers, **options)

    def invited(self, data: bytes | None = None) -> InvitationReceived:
        """Send an INVITE and return the event it makes."""
        self.send(data or self.invite())
        event = self.event()
        assert isinstance(event, InvitationReceived)
        return event

    def answered(self, data: bytes | None = None, *, body: bytes = SDP) -> Response:
        """Send an INVITE, have it answered 200, and remember the dialog."""
        event = self.invited(data)
        self.dialog_id = self.agent.respond(
            event.key, 200, body=body, content_type="application/sdp", now=self.now
        )
        assert self.dialog_id == event.dialog_id
        (response,) = self.sent()
        assert isinstance(response, Response)
        self.to_tag = parse_tag(response)
        return response

    def established(self, data: bytes | None = None) -> Response:
        """Do the whole three-way handshake."""
        response = self.answered(data)
        self.send(self.message("ACK", response.cseq.number))
        self.events()
        return response


def parse_tag(response: Response) -> str:
    return response.headers.first("To").partition(";tag=")[2]


@pytest.fixture
def client() -> Client:
    """A client over UDP."""
    return Client()


@pytest.fixture
def tcp_client() -> Client:
    """A client over one TCP connection."""
    return Client(TCP)


@pytest.fixture
def make_client() -> type[Client]:
    """The class, for clients of other flows and peer profiles."""
    return Client
