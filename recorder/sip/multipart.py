"""Dividing a body into SDP and rs-metadata (RFC 2046 section 5.1, RFC 5621).

Session border controllers write multipart bodies by hand, and badly; so everything a
reader can still make sense of is read: bare line feeds, blanks after a delimiter, a
missing last delimiter, a boundary parameter that is missing or contains anything at
all, text before the first and after the last part. Only the limits refuse a body.

Not here: which part counts when two would do, and what to do with unknown parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recorder.errors import PeerViolation
from recorder.sip.grammar import parameter, parse_parameters
from recorder.sip.headers import Headers

PART_COUNT_MAX = 8  # SDP, metadata and a few vendor parts; the most seen is 4
BOUNDARY_SIZE_BYTES_MAX = 70  # RFC 2046 section 5.1.1

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_FIELD_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9\-]*[ \t]*:")
_FIRST_DELIMITER = re.compile(rb"^--([^\r\n]+?)[ \t]*\r?$", re.MULTILINE)
_FOLD = re.compile(rb"\r?\n[ \t]+")


class MultipartRefused(PeerViolation):
    """A body with more parts, or a longer boundary, than this server reads."""


@dataclass(frozen=True)
class Part:
    """One part; `content_type` and `disposition` as they stand in its header fields, "" when absent."""

    content_type: str
    disposition: str
    headers: Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type in lower case without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def handling_required(self) -> bool:
        """Whether the sender demands that the part is understood (RFC 3261 section 20.11).

        Only where it says so: the RFC's default would refuse the vendors' private parts.
        """
        _, _, rest = self.disposition.partition(";")
        return (parameter(parse_parameters(rest), "handling") or "").lower() == "required"


def split(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a body in order; one that is not multipart is a single part.

    Raises MultipartRefused above PART_COUNT_MAX or BOUNDARY_SIZE_BYTES_MAX.
    """
    if not body.strip():
        return []
    media_type, _, rest = content_type.partition(";")
    if not media_type.strip().lower().startswith("multipart/"):
        return [Part(content_type.strip(), "", Headers(), body)]
    boundary = _boundary(parameter(parse_parameters(rest), "boundary"), body)
    return [] if boundary is None else _divide(boundary, body)


def _boundary(declared: str | None, body: bytes) -> bytes | None:
    """Return the declared boundary if it delimits anything, else that of the first delimiter line."""
    boundary = (declared or "").strip().encode()
    if len(boundary) > BOUNDARY_SIZE_BYTES_MAX:
        raise MultipartRefused("The peer sent a multipart body whose boundary is longer than 70 octets.")
    if boundary and b"--" + boundary in body:
        return boundary
    found = _FIRST_DELIMITER.search(body)
    if found is None or len(found[1]) > BOUNDARY_SIZE_BYTES_MAX:
        return None
    return found[1]


def _divide(boundary: bytes, body: bytes) -> list[Part]:
    delimiter = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[Part] = []
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            parts.append(_part(body[start : match.start()]))
        start = None if match[1] else match.end()
        if len(parts) + (start is not None) > PART_COUNT_MAX:
            raise MultipartRefused(f"The peer sent a body of more than {PART_COUNT_MAX} parts.")
        if start is None:
            break
    if start is not None and body[start:].strip():
        parts.append(_part(body[start:]))
    return parts


def _part(octets: bytes) -> Part:
    """Read one part; `octets` begins with the line break that ends its delimiter."""
    text = octets.removeprefix(b"\r").removeprefix(b"\n")
    if text[:1] in (b"\r", b"\n") or not _FIELD_LINE.match(text):
        return Part("", "", Headers(), text.removeprefix(b"\r").removeprefix(b"\n"))
    end = _BLANK_LINE.search(text)
    head, body = (text, b"") if end is None else (text[: end.start()], text[end.end() :])
    headers = Headers()
    for line in _FOLD.sub(b" ", head).splitlines():
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers.add(name.strip(), value.strip())
    content_type = headers.first("Content-Type") or ""
    return Part(content_type, headers.first("Content-Disposition") or "", headers, body)
