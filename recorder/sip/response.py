"""Making a response, and the way it goes back (RFC 3261 sections 8.2.6 and 18.2.2, RFC 3581).

Rules: a response goes to the host the request came from, whatever its Via says, so
that nobody is flooded through us; over a connection it goes over that connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from recorder.errors import LocalDefect
from recorder.sip.capability import ACCEPT, ALLOW, SUPPORTED, Identity
from recorder.sip.grammar import parameter
from recorder.sip.headers import Headers
from recorder.sip.message import REASONS, Flow, Request, Response

DEFAULT_PORT = 5060
DEFAULT_TLS_PORT = 5061

_LINE_BREAK = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SHOWING_CAPABILITIES = ("INVITE", "UPDATE", "OPTIONS")

Fields = Iterable[tuple[str, str]]


def way_back(request: Request, flow: Flow) -> Flow:
    """Return the flow a response to `request` takes."""
    via = request.top_via
    if flow.reliable or via is None or parameter(via.parameters, "rport") is not None:
        return flow
    return flow._replace(remote=(flow.remote[0], via.port or DEFAULT_PORT))


def make_response(
    request: Request,
    flow: Flow,
    status: int,
    *,
    tag: str,
    reason: str | None = None,
    headers: Fields = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """Copy what section 8.2.6.2 says into a response; `tag` completes a To that has none.

    Raises LocalDefect for a header value with a line break in it.
    """
    fields = Headers(_echo(request, flow, status, tag))
    for name, value in headers:
        if _LINE_BREAK.search(value):
            raise LocalDefect(f"A value meant for the {name} field of a response has a line break in it.")
        fields.add(name, value)
    if content_type is not None:
        fields.replace("Content-Type", content_type)
    return Response(status, reason or REASONS.get(status, "Unknown"), fields, body)


def capabilities(request: Request, status: int, identity: Identity, flow: Flow) -> Fields:
    """Yield the fields by which a 2xx, or a provisional answer to an INVITE, shows what this server is."""
    success = 200 <= status < 300
    if request.method in _SHOWING_CAPABILITIES and (success or (100 < status < 200)):
        yield "Contact", identity.contact(flow, secure=request.is_secure)
    if request.method in _SHOWING_CAPABILITIES and success:
        yield "Allow", ALLOW
        yield "Supported", SUPPORTED
        yield "Accept", ACCEPT
    if status in (405, 501):
        yield "Allow", ALLOW
    yield "Server", identity.software


def _echo(request: Request, flow: Flow, status: int, tag: str) -> Fields:
    vias = request.headers.values("Via")
    if request.top_via is not None:
        vias = (str(request.top_via.received_from(flow.remote)), *vias[1:])
    for via in vias:
        yield "Via", via
    if request.method == "INVITE" and 100 < status < 300:
        for route in request.headers.all("Record-Route"):
            yield "Record-Route", route
    yield from (("From", value) for value in request.headers.all("From")[:1])
    for value in request.headers.all("To")[:1]:
        yield "To", value if status == 100 or request.to_address.tag else f"{value};tag={tag}"
    for name in ("Call-ID", "CSeq"):
        yield from ((name, value) for value in request.headers.all(name)[:1])
    if status == 100:
        yield from (("Timestamp", value) for value in request.headers.all("Timestamp")[:1])
