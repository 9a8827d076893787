"""Dialogs as a UAS keeps them (RFC 3261 section 12), and how they outlive a crash.

Rules: a dialog is made by our 2xx; its remote target moves only with a re-INVITE or
UPDATE we answered 2xx; sequence numbers only grow. `DialogSnapshot` is what the
journal keeps, in plain JSON types. Not here: transactions, timers and bodies.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple

from recorder.sip.headers import Headers
from recorder.sip.message import Flow, Request
from recorder.sip.response import DEFAULT_PORT, DEFAULT_TLS_PORT
from recorder.sip.transaction import T1_S, TransactionKey
from recorder.sip.uri import MalformedAddress, NameAddress, SipUri, bracketed, is_sips
from recorder.state import DialogState

FORWARDS = "70"  # RFC 3261 section 8.1.1.6
# Requests sent after the last snapshot have used numbers we no longer know; a gap is legal, reuse is not.
SEQUENCE_GAP_AFTER_RESTORE = 100


class DialogId(NamedTuple):
    """Call-ID and both tags; `remote_tag` is "" for peers of RFC 2543."""

    call_id: str
    local_tag: str
    remote_tag: str


@dataclass(frozen=True)
class DialogSnapshot:
    """A dialog for the journal; the fields are those of `DialogState`, `local_address` is HOST:PORT."""

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

    def to_state(self, answer_sdp: str, offer_version: str) -> DialogState:
        """Return the snapshot with what the offer/answer exchange adds to it."""
        return DialogState(**vars(self), answer_sdp=answer_sdp, offer_version=offer_version)

    @classmethod
    def from_state(cls, state: DialogState) -> DialogSnapshot:
        """Take the dialog out of a journalled call."""
        kept = {name: value for name, value in vars(state).items() if name in cls.__dataclass_fields__}
        return cls(**kept)


@dataclass(slots=True)
class Unacknowledged:
    """A 2xx that is sent again until its ACK comes (RFC 3261 section 13.3.1.4)."""

    flow: Flow
    message: bytes
    deadline: float
    carries_offer: bool
    interval_s: float = T1_S


@dataclass(slots=True)
class Dialog:
    """One dialog; `flow` is how the peer's last request came."""

    id: DialogId
    local_uri: str
    remote_uri: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int
    flow: Flow
    session_expires_s: int | None = None
    pending: TransactionKey | None = None  # the re-INVITE or UPDATE our TU has not answered yet
    unacknowledged: dict[int, Unacknowledged] = field(default_factory=dict)  # by CSeq of the INVITE
    farewell: bool = False  # a BYE waits for the ACK (RFC 3261 section 15)
    probing: bool = False

    @classmethod
    def accept(cls, request: Request, dialog_id: DialogId, flow: Flow) -> Dialog:
        """Make the dialog that a 2xx to `request` establishes (section 12.1.1)."""
        return cls(
            id=dialog_id,
            local_uri=request.to_address.uri,
            remote_uri=request.from_address.uri,
            remote_target=_target(request) or f"sip:{bracketed(flow.remote[0])}:{flow.remote[1]}",
            route_set=request.headers.values("Record-Route"),
            local_cseq=0,
            remote_cseq=request.cseq.number,
            flow=flow,
        )

    @property
    def awaits_sdp_answer(self) -> bool:
        """Whether an offer of ours is out and its answer will come with an ACK."""
        return any(success.carries_offer for success in self.unacknowledged.values())

    def take_sequence(self, number: int) -> bool:
        """Note the CSeq of a new request; False for one that is older than the last (section 12.2.2).

        The same number is taken again: after a crash its request may have gone unanswered.
        """
        if number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, request: Request) -> None:
        """Move to the Contact of a target refresh that was answered 2xx."""
        self.remote_target = _target(request) or self.remote_target

    def make_request(self, method: str, flow: Flow, contact: str, branch: str) -> Request:
        """Make a request within the dialog (section 12.2.1.1), strict routers included."""
        self.local_cseq += 1
        uri, routes = self._request_uri_and_routes()
        transport = flow.transport.upper()
        sent_by = f"{bracketed(flow.local[0])}:{flow.local[1]}"
        remote_tag = f";tag={self.id.remote_tag}" if self.id.remote_tag else ""
        headers = Headers([("Via", f"SIP/2.0/{transport} {sent_by};branch={branch};rport")])
        headers.add("Max-Forwards", FORWARDS)
        for route in routes:
            headers.add("Route", route)
        headers.add("From", f"<{self.local_uri}>;tag={self.id.local_tag}")
        headers.add("To", f"<{self.remote_uri}>{remote_tag}")
        headers.add("Call-ID", self.id.call_id)
        headers.add("CSeq", f"{self.local_cseq} {method}")
        headers.add("Contact", contact)
        return Request(method, uri, headers)

    def _request_uri_and_routes(self) -> tuple[str, tuple[str, ...]]:
        if not self.route_set:
            return self.remote_target, ()
        first = NameAddress.read(self.route_set[0])
        if first.sip_uri is None or first.sip_uri.parameter("lr") is not None:
            return self.remote_target, self.route_set
        return first.uri, (*self.route_set[1:], f"<{self.remote_target}>")

    @property
    def is_secure(self) -> bool:
        """Whether our requests go to a SIPS URI, so that their Contact is one (RFC 3261 section 8.1.1.8)."""
        return is_sips(NameAddress.read(self.route_set[0]).uri if self.route_set else self.remote_target)

    def way_out(self, *, connection_open: bool) -> Flow:
        """Return the flow of our next request: the peer's connection, else the next hop's address.

        Names are not resolved: a next hop that is no numeric address is reached where
        the last request came from.
        """
        if self.flow.reliable and connection_open:
            return self.flow
        target = (
            NameAddress.read(self.route_set[0]) if self.route_set else NameAddress("", self.remote_target)
        )
        hop = target.sip_uri
        if hop is None or not _is_numeric(hop.host):
            return self.flow._replace(connection_id=0)
        transport = (
            "tls" if hop.scheme == "sips" else (hop.parameter("transport") or self.flow.transport).lower()
        )
        if transport not in ("udp", "tcp", "tls"):
            transport = self.flow.transport
        port = hop.port or (DEFAULT_TLS_PORT if transport == "tls" else DEFAULT_PORT)
        return Flow(transport, self.flow.local, (hop.host, port))

    def snapshot(self) -> DialogSnapshot:
        """Return what the journal must keep."""
        host, port = self.flow.local
        return DialogSnapshot(
            call_id=self.id.call_id,
            local_tag=self.id.local_tag,
            remote_tag=self.id.remote_tag,
            local_uri=self.local_uri,
            remote_uri=self.remote_uri,
            remote_target=self.remote_target,
            route_set=self.route_set,
            local_cseq=self.local_cseq,
            remote_cseq=self.remote_cseq,
            transport=self.flow.transport,
            local_address=f"{bracketed(host)}:{port}",
            remote_address=self.flow.remote[0],
            remote_port=self.flow.remote[1],
            session_expires_s=self.session_expires_s,
        )

    @classmethod
    def restore(cls, snapshot: DialogSnapshot) -> Dialog:
        """Bring a dialog back after a restart; its connection, if it had one, is gone."""
        host, port = _host_and_port(snapshot.local_address)
        remote = (snapshot.remote_address, snapshot.remote_port)
        return cls(
            id=DialogId(snapshot.call_id, snapshot.local_tag, snapshot.remote_tag),
            local_uri=snapshot.local_uri,
            remote_uri=snapshot.remote_uri,
            remote_target=snapshot.remote_target,
            route_set=tuple(snapshot.route_set),
            local_cseq=snapshot.local_cseq + SEQUENCE_GAP_AFTER_RESTORE,
            remote_cseq=snapshot.remote_cseq,
            flow=Flow(snapshot.transport, (host, port), remote),
            session_expires_s=snapshot.session_expires_s,
        )


def _target(request: Request) -> str | None:
    contact = request.contact
    if contact is not None and contact.sip_uri is not None:
        return contact.uri
    return None


def _host_and_port(text: str) -> tuple[str, int]:
    try:
        uri = SipUri.parse(f"sip:{text}")
    except MalformedAddress:
        return text, DEFAULT_PORT  # an IPv6 address without brackets or port
    return uri.host, uri.port or DEFAULT_PORT


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
