"""The client's side of one dialog: writing its requests and answering those of the peer.

RFC 3261 sections 8.1, 12.1.2 and 12.2 as a UAC. Rules: no I/O, no clock; randomness
comes in. Requests are written out here, not by the recorder's own code, so that the
client stays a second opinion; only reading is shared (`recorder.sip.parser`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recorder.client.call import CallPlan, Dialect, Transport
from recorder.client.description import address_of
from recorder.sip.message import Request, Response
from recorder.sip.uri import NameAddress, SipUri, bracketed

_ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS"
_BROADWORKS_ACCEPT = "application/media_control+xml,application/sdp,application/x-broadworks-call-center+xml"
_BROADWORKS_ALLOW = "ACK,BYE,CANCEL,INFO,INVITE,OPTIONS,PRACK,REFER,NOTIFY"
_SIP_PORT, _SIPS_PORT = 5060, 5061

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class OutgoingRequest:
    """A request ready to be sent, and what its responses are recognised by."""

    method: str
    branch: str
    cseq: int
    data: bytes


class ClientDialog:
    """Call-ID, tags, CSeq, target and route of one recording session, seen from its client."""

    def __init__(self, plan: CallPlan, local: tuple[str, int], token: Callable[[], str]) -> None:
        """`local` is the address the peer reaches us at; `token` returns fresh random words."""
        self._plan = plan
        self._token = token
        self._via = f"SIP/2.0/{plan.transport.upper()} {bracketed(local[0])}:{local[1]}"
        self._local_tag, self._remote_tag = token(), ""
        self._cseq = 1
        self._route: tuple[str, ...] = ()
        self._target = f"sip:{bracketed(plan.host)}:{plan.port};transport={plan.transport}"
        self._contact_uri = f"sip:src@{bracketed(local[0])}:{local[1]};transport={plan.transport}"
        self.call_id = plan.call_id or f"{token()}@{local[0]}"

    @property
    def _is_broadworks(self) -> bool:
        return self._plan.dialect is not Dialect.RFC7865

    def invite(self, content_type: str, body: bytes) -> OutgoingRequest:
        """Write the INVITE that offers the recording session, as the dialect announces itself."""
        if self._is_broadworks:
            fields: Fields = (
                ("Supported", ""),
                ("Recv-Info", ""),
                ("Accept", _BROADWORKS_ACCEPT),
                ("Allow", _BROADWORKS_ALLOW),
                ("Privacy", "none"),
                ("MIME-Version", "1.0"),
            )
        else:
            fields = (
                ("Require", "siprec"),
                ("Supported", "siprec"),
                ("Allow", _ALLOW),
                ("MIME-Version", "1.0"),
            )
        return self.request("INVITE", content_type, body, fields + self._plan.headers)

    def request(
        self, method: str, content_type: str = "", body: bytes = b"", fields: Fields = ()
    ) -> OutgoingRequest:
        """Write the next request of the dialog."""
        branch = f"z9hG4bK{self._token()}"
        number, self._cseq = self._cseq, self._cseq + 1
        return OutgoingRequest(
            method, branch, number, self._write(method, number, branch, content_type, body, fields)
        )

    def ack(self, invite: OutgoingRequest, response: Response) -> bytes:
        """Write the ACK of a final answer: of the dialog for a 2xx, of the transaction for others."""
        branch = f"z9hG4bK{self._token()}" if response.status < 300 else invite.branch
        return self._write("ACK", invite.cseq, branch, "", b"", (), to=response.headers.first("To"))

    def establish(self, response: Response) -> None:
        """Take over what a 2xx says of the peer: tag, target and route set."""
        self._remote_tag = NameAddress.read(response.headers.first("To") or "").tag
        contacts = response.headers.values("Contact")
        if contacts:
            self._target = NameAddress.read(contacts[0]).uri
        self._route = tuple(reversed(response.headers.values("Record-Route")))

    @property
    def next_hop(self) -> tuple[str, int]:
        """Host and port the next request goes to: the first route, else the target."""
        address = NameAddress.read(self._route[0]).uri if self._route else self._target
        uri = SipUri.parse(address)
        secure = self._plan.transport is Transport.TLS
        return uri.host, uri.port or (_SIPS_PORT if secure else _SIP_PORT)

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Return the status and the answer to a request of the peer (OPTIONS, BYE; nothing else)."""
        if request.call_id != self.call_id or request.from_address.tag != self._remote_tag:
            status, reason = 481, "Call/Transaction Does Not Exist"
        elif request.method in {"OPTIONS", "BYE"}:
            status, reason = 200, "OK"
        else:
            status, reason = 501, "Not Implemented"
        lines = [f"SIP/2.0 {status} {reason}"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines += [f"{name}: {value}" for value in request.headers.all(name)]
        lines += [f"Allow: {_ALLOW}", "Content-Length: 0", "", ""]
        return status, "\r\n".join(lines).encode()

    def _write(  # noqa: PLR0917 - the parts of a request in their order
        self,
        method: str,
        number: int,
        branch: str,
        content_type: str,
        body: bytes,
        fields: Fields,
        to: str | None = None,
    ) -> bytes:
        plan = self._plan
        peer = f"<sip:srs@{bracketed(plan.host)}:{plan.port}>"
        lines = [
            f"{method} {self._target} SIP/2.0",
            f"Via: {self._via};branch={branch};rport",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in self._route),
            f"From: {self._from()};tag={self._local_tag}",
            f"To: {to or peer + (f';tag={self._remote_tag}' if self._remote_tag else '')}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            # BroadWorks writes a bare `src`; RFC 7866 section 6.1.1 the feature tag.
            f"Contact: <{self._contact_uri}>;{'src' if self._is_broadworks else '+sip.src'}",
            *(f"{name}: {value}" for name, value in fields),
        ]
        if body:
            lines.append(f"Content-Type: {content_type}")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    def _from(self) -> str:
        plan = self._plan
        if not self._is_broadworks:
            return "<sip:src@exchange.example>"
        # BroadWorks names the recorded user here, without a blank before the bracket.
        caller = plan.recorded == "caller"
        number, name = (plan.caller, plan.caller_name) if caller else (plan.callee, plan.callee_name)
        shown = (name or number).replace(chr(92), chr(92) * 2).replace('"', chr(92) + '"')
        return f'"{shown}"<{address_of(number, plan.domain)};user=phone>'
