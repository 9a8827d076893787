"""From bytes to a message (RFC 3261 section 7), forgiving in form and strict in sense.

Rules: what can be read is read; what is wrong becomes a `Defect` of the request with
the status it deserves, because an emergency call is answered however it is written.
Only bytes without a start line, and responses nobody could match, raise `NotSip`.
Control characters never get past this module, so that nothing read here can break
a line of an answer, a log or a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from recorder.errors import PeerViolation
from recorder.sip.grammar import (
    BODY_SIZE_BYTES_MAX,
    FORWARDS_MAX,
    HEADER_COUNT_MAX,
    HEADER_LINE_SIZE_BYTES_MAX,
    HEADERS_SIZE_BYTES_MAX,
    STATUS_LINE,
    TOKEN,
)
from recorder.sip.headers import CSeq, Headers, MalformedField, Via
from recorder.sip.message import REASONS, Defect, Request, Response
from recorder.sip.uri import MalformedAddress, NameAddress

_HEADERS_END = re.compile(rb"\n\r?\n")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_MANDATORY = (
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
)  # RFC 3261 section 8.1.1; Max-Forwards is often left out
_SINGLE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type")


class NotSip(PeerViolation):
    """Bytes without a SIP start line: noise, or another protocol."""


def parse(data: bytes, defects: Iterable[Defect] = ()) -> Request | Response:
    """Read one message that fills `data`; `defects` are what framing already found.

    Bytes after Content-Length are ignored (RFC 3261 section 18.3). Raises NotSip.
    """
    found = list(defects)
    head, body = _divide(data.lstrip(b"\r\n"), found)
    lines = _unfold(head, found)
    start_line = next(lines, "")
    status_line = STATUS_LINE.fullmatch(start_line)
    headers = Headers(_fields(lines, found))
    body = _cut(headers, body, found)
    if status_line is not None:
        return _response(int(status_line["status"]), status_line["reason"], headers, body)
    method, uri = _request_line(start_line, found)
    if method != "ACK":
        # Nobody can refuse an ACK: what is wrong with one changes nothing (RFC 3261 section 17.1.1.3).
        found += _judge(method, headers)
    return Request(method, uri, headers, body, tuple(found))


def _divide(data: bytes, found: list[Defect]) -> tuple[bytes, bytes]:
    end = _HEADERS_END.search(data)
    head, body = (data, b"") if end is None else (data[: end.start()], data[end.end() :])
    if len(head) > HEADERS_SIZE_BYTES_MAX:
        found.append(Defect(513, "The header fields are larger than this server reads."))
        head = head[:HEADERS_SIZE_BYTES_MAX]
    elif end is None:
        found.append(Defect(400, "The empty line after the header fields is missing."))
    return head, body


def _unfold(head: bytes, found: list[Defect]) -> Iterator[str]:
    """Yield logical lines: a line that begins with a blank continues the one before (section 7.3.1)."""
    pieces: list[str] = []
    size = 0
    for raw in head.split(b"\n"):
        line = _decode(raw.removesuffix(b"\r"))
        if pieces and not line[:1].isspace():
            yield " ".join(pieces)
            pieces, size = [], 0
        size += len(raw)
        room = HEADER_LINE_SIZE_BYTES_MAX - (size - len(raw))
        if size > HEADER_LINE_SIZE_BYTES_MAX and room > 0:
            found.append(Defect(400, "A header field is longer than this server reads."))
        if room > 0:
            pieces.append(line.strip()[:room])
    if pieces:
        yield " ".join(pieces)


def _decode(raw: bytes) -> str:
    """Decode UTF-8, else ISO 8859-1 as older exchanges write display names."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    return _CONTROL.sub(" ", text)


def _fields(lines: Iterator[str], found: list[Defect]) -> Iterator[tuple[str, str]]:
    for count, line in enumerate(lines):
        if count == HEADER_COUNT_MAX:
            found.append(Defect(400, "There are more header fields than this server reads."))
            return
        name, colon, value = line.partition(":")
        name = name.rstrip()
        if colon and TOKEN.fullmatch(name):
            yield name, value.strip()
        elif line.strip():
            found.append(Defect(400, "A header line has no field name."))


def _cut(headers: Headers, body: bytes, found: list[Defect]) -> bytes:
    """Return the body that Content-Length speaks of, and note where the two disagree."""
    lengths = headers.all("Content-Length")
    if len(lengths) == 1 and re.fullmatch("[0-9]{1,10}", lengths[0]):
        length = int(lengths[0])
        if length > BODY_SIZE_BYTES_MAX:
            found.append(Defect(413, "The body is larger than this server reads."))
        elif length > len(body):
            found.append(Defect(400, "Content-Length is larger than what arrived; was a fragment lost?"))
        body = body[:length]
    elif len(lengths) == 1:
        found.append(Defect(400, "Content-Length is not a number."))
    if len(body) > BODY_SIZE_BYTES_MAX and not lengths:
        found.append(Defect(413, "The body is larger than this server reads."))
    return body[:BODY_SIZE_BYTES_MAX]


def _response(status: int, reason: str | None, headers: Headers, body: bytes) -> Response:
    try:
        CSeq.parse(headers.first("CSeq") or "")
        Via.parse((headers.values("Via") or ("",))[0])
    except MalformedField as error:
        raise NotSip("The peer sent a response that belongs to no request.") from error
    return Response(status, reason or REASONS.get(status, ""), headers, body)


def _request_line(line: str, found: list[Defect]) -> tuple[str, str]:
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rstrip().rpartition(" ")
    if not TOKEN.fullmatch(method) or not version.upper().startswith("SIP/"):
        raise NotSip("The peer sent bytes that do not begin with a SIP start line.")
    if version.upper() != "SIP/2.0":
        found.append(Defect(505, "Only SIP/2.0 is spoken here."))
    stripped = uri.strip()
    if not stripped or line != f"{method} {stripped} {version}" or re.search(r'[\s<>"]', stripped):
        found.append(Defect(400, "The request line is not method, URI and version with one space between."))
    return method, stripped.strip("<>")


def _judge(method: str, headers: Headers) -> Iterator[Defect]:
    for name in _MANDATORY:
        if name not in headers:
            yield Defect(400, f"{name} is missing.")
    for name in _SINGLE:
        if len(headers.all(name)) > 1:
            yield Defect(400, f"{name} stands there more than once.")
    yield from _judge_values(method, headers)


def _judge_values(method: str, headers: Headers) -> Iterator[Defect]:
    try:
        for via in headers.values("Via")[:1]:
            Via.parse(via)
        for name in ("From", "To"):
            for value in headers.all(name):
                NameAddress.parse(value)
        for value in headers.all("CSeq"):
            if CSeq.parse(value).method != method:
                yield Defect(400, "CSeq names another method than the request line.")
    except (MalformedField, MalformedAddress) as error:
        yield Defect(error.status, str(error))
    forwards = headers.first("Max-Forwards")
    if forwards is not None and not (re.fullmatch("[0-9]{1,10}", forwards) and int(forwards) <= FORWARDS_MAX):
        yield Defect(400, "Max-Forwards is not a number from 0 to 255.")
