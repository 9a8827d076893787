"""Requests, responses and the flow they came by (RFC 3261 section 7).

Rules: the accessors of a `Request` never raise: what could not be read is empty, and
why stands in `defects`, so that a defective INVITE can still be judged by its TU.
Not here: reading bytes (`parser`) and making responses (`response`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from recorder.sip.headers import CSeq, Headers, MalformedField, Via
from recorder.sip.uri import NameAddress, is_sips

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    513: "Message Too Large",
    603: "Decline",
}


class Flow(NamedTuple):
    """The way a message came and its answer goes.

    `transport` is `udp`, `tcp` or `tls`; addresses are (host, port) with numeric hosts.
    `connection_id` names a stream connection, 0 for UDP; a flow to send by with a
    stream transport and 0 asks the shell to open a connection.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    connection_id: int = 0

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits, so that timers A, E, G and J rest."""
        return self.transport != "udp"


@dataclass(frozen=True)
class Defect:
    """Something wrong with a request, and the status it would be refused with."""

    status: int
    text: str


class _Message:
    """What requests and responses have in common."""

    headers: Headers

    @cached_property
    def top_via(self) -> Via | None:
        """The Via of the last hop, None when there is none that can be read."""
        values = self.headers.values("Via")
        try:
            return Via.parse(values[0]) if values else None
        except MalformedField:
            return None

    @cached_property
    def cseq(self) -> CSeq:
        """The CSeq; number 0 and no method when it can't be read."""
        try:
            return CSeq.parse(self.headers.first("CSeq") or "")
        except MalformedField:
            return CSeq(0, "")


@dataclass(frozen=True)
class Request(_Message):
    """A request as it came; `uri` is text because `tel:` and `urn:` are asked for too."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""
    defects: tuple[Defect, ...] = ()

    @cached_property
    def call_id(self) -> str:
        """The Call-ID, "" when missing."""
        return self.headers.first("Call-ID") or ""

    @cached_property
    def from_address(self) -> NameAddress:
        """The From field, read as far as it goes."""
        return NameAddress.read(self.headers.first("From") or "")

    @cached_property
    def to_address(self) -> NameAddress:
        """The To field, read as far as it goes."""
        return NameAddress.read(self.headers.first("To") or "")

    @cached_property
    def contact(self) -> NameAddress | None:
        """The first Contact, None when there is none."""
        contacts = self.headers.values("Contact")
        return NameAddress.read(contacts[0]) if contacts else None

    @property
    def is_secure(self) -> bool:
        """Whether the dialog it makes is to be of SIPS URIs (RFC 3261 section 12.1.1)."""
        routes = self.headers.values("Record-Route")
        hop = NameAddress.read(routes[0]) if routes else self.contact
        return is_sips(self.uri) or (hop is not None and is_sips(hop.uri))

    @cached_property
    def supported(self) -> frozenset[str]:
        """The option tags the peer supports or even requires, in lower case."""
        tags = (*self.headers.values("Supported"), *self.headers.values("Require"))
        return frozenset(tag.lower() for tag in tags)

    @property
    def carries_sdp(self) -> bool:
        """Whether an offer or answer is in the body, alone or as a part."""
        content_type = (self.headers.first("Content-Type") or "").lower()
        if content_type.startswith("multipart/"):
            return b"application/sdp" in self.body.lower()
        return bool(self.body) and content_type.startswith("application/sdp")

    def to_bytes(self) -> bytes:
        """Write the request, Content-Length included."""
        return _encode(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)


@dataclass(frozen=True)
class Response(_Message):
    """A response, received or to be sent."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Write the response, Content-Length included."""
        return _encode(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)


def _encode(start_line: str, headers: Headers, body: bytes) -> bytes:
    lines = [start_line, *(f"{name}: {value}" for name, value in headers if name != "Content-Length")]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "replace") + body
